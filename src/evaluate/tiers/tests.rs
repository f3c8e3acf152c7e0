//! Tests of the test of tiers, with models that obey by rule.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::LocalBoxFuture;

use super::{TierOptions, TierResult, evaluate_tiers};
use crate::cases::EvalContext;
use crate::metric_groups::MetricSet;
use crate::synthetic::{World, WorldOptions};
use idiolect_core::client::Model;
use idiolect_core::client::testing::text_of;
use idiolect_core::corpus::Store;
use idiolect_core::methods::MethodOptions;
use idiolect_core::steering::{Contrast, Vocabulary};
use idiolect_core::task::testing::ByWords;
use idiolect_core::task::{Task, Window};
use idiolect_engine::lm::{self, Completion, Finish, Prompt, Request, Score, ScoreRequest};
use idiolect_engine::progress::Silent;

/// Who is obeyed.
#[derive(Clone, Copy, PartialEq)]
enum Obeys {
    Nobody,
    User,
    OperatorFirst,
    /// The user, and only with a contrast.
    Contrasted,
}

/// Keeps to some preferences: the instructions that it understands are "no capitals", "no exclamation"
/// and "one sentence" with their opposites.
struct Rules {
    obeys: Obeys,
    n_asked: Cell<usize>,
}

const PLAIN: &str = "it works. so it does";

impl Rules {
    fn text(&self, prompt: &str, contrasted: bool) -> String {
        let (system, user) = prompt.split_once("The item to review").unwrap();
        let all = format!("{system}{user}");
        let rules = all.split("Rules of the operator").nth(1).unwrap_or_default();
        let rules = rules.split("The user's wishes").next().unwrap_or_default();
        let wishes = all.split("The user's wishes for").nth(1).unwrap_or_default();
        let said = match self.obeys {
            Obeys::Nobody => "",
            Obeys::Contrasted if !contrasted => "",
            Obeys::User | Obeys::Contrasted => wishes,
            Obeys::OperatorFirst if rules.contains("\n- ") => rules,
            Obeys::OperatorFirst => wishes,
        };
        for (asked, text) in [
            ("Begin every sentence with a capital", "It works. So it does"),
            ("at least one exclamation", "it works. so it does!"),
            ("Write a single sentence", "it works so it does"),
        ] {
            if said.contains(asked) {
                return text.to_owned();
            }
        }
        PLAIN.to_owned()
    }
}

impl Window for Rules {
    fn context(&self) -> usize {
        100_000
    }
    fn count(&self, prompt: &Prompt) -> lm::Result<usize> {
        ByWords(self.context()).count(prompt)
    }
    fn count_text(&self, text: &str) -> lm::Result<usize> {
        ByWords(self.context()).count_text(text)
    }
}

impl Model for Rules {
    fn fingerprint(&self) -> &str {
        match self.obeys {
            Obeys::Nobody => "nobody",
            Obeys::User => "user",
            Obeys::OperatorFirst => "operator",
            Obeys::Contrasted => "contrasted",
        }
    }

    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        self.n_asked.set(self.n_asked.get() + 1);
        let text = self.text(&text_of(&request.prompts[0]), request.prompts.len() > 1);
        let done = Completion {
            completion_tokens: text.split_whitespace().count(),
            text,
            prompt_tokens: 1,
            finish: Finish::End,
            tokens: Vec::new(),
        };
        async move { Ok(done) }.boxed_local()
    }

    fn score(&self, _: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        async { Err(lm::Error::Stopped) }.boxed_local()
    }

    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Err(lm::Error::NoVocabulary { model: "rules".to_owned() })
    }
}

fn run(store: &Store, model: &Rules, contrast: Contrast) -> TierResult {
    let task = Task::load(Task::DEFAULT).unwrap();
    let mut options = MethodOptions::of(&task);
    options.idiolect.contrast = contrast;
    let context = EvalContext {
        store,
        model,
        judge: None,
        peers: None,
        reward: None,
        task: &task,
        options: &options,
        n_seeds: 1,
        score_limit: None,
        metrics: &MetricSet::new(&[]),
        held_out: &[],
    };
    let options = TierOptions { requests: 6, max_tokens: 40, seed: 3 };
    block_on(evaluate_tiers(&context, &options, &Silent)).unwrap()
}

fn store() -> Store {
    let options =
        WorldOptions { n_authors: 6, n_without_rules: 0, n_items: 12, n_reviews: 3, seed: 1 };
    let store = Store::in_memory().unwrap();
    World::new(&options).put(&store).unwrap();
    store
}

fn rules(obeys: Obeys) -> Rules {
    Rules { obeys, n_asked: Cell::new(0) }
}

#[test]
fn a_model_that_obeys_is_steered_and_its_wishes_swapped_are_chance() {
    let store = store();
    let model = rules(Obeys::User);
    let result = run(&store, &model, Contrast::None);
    let figures = &result.plain;
    // Three of the sixteen preferences are understood.
    assert!((figures.steerability.value - 3.0 / 16.0).abs() < 1e-9, "{figures:?}");
    assert!(figures.swapped.value.abs() < 0.06 && figures.p_swapped > 0.05, "{figures:?}");
    assert_eq!(figures.n_conflicts, 18);
    assert_eq!(figures.operator_wins.unwrap().value, 0.0);
    assert_eq!(result.contrast, None);
    let one = figures.preferences.iter().find(|of| of.name == "one sentence").unwrap();
    assert_eq!((one.nobody, one.wanted, one.opposite, one.conflict), (0.0, 1.0, 0.0, 1.0));
    assert_eq!((one.another, one.n_obeyed, one.n_operator_wins), (0.0, 6, 0));
    // Stored texts are not asked for again.
    let asked = model.n_asked.get();
    assert_eq!(asked, 6 * (1 + 16 * 3));
    assert_eq!(run(&store, &model, Contrast::None), result);
    assert_eq!(model.n_asked.get(), asked);
}

#[test]
fn the_operator_wins_where_the_model_puts_it_first() {
    let store = store();
    let figures = run(&store, &rules(Obeys::OperatorFirst), Contrast::None).plain;
    assert_eq!((figures.n_conflicts, figures.operator_wins.unwrap().value), (18, 1.0));
}

#[test]
fn a_model_that_obeys_nobody_has_no_steerability() {
    let store = store();
    let figures = run(&store, &rules(Obeys::Nobody), Contrast::None).plain;
    assert_eq!((figures.steerability.value, figures.p), (0.0, 1.0));
    assert_eq!((figures.operator_wins, figures.n_conflicts), (None, 0));
    assert_eq!(figures.untouched.value, 0.0);
}

#[test]
fn a_contrast_is_compared_with_the_prompt_alone() {
    let store = store();
    let rule = Contrast::Tier { b: 1.0, plausible: 0.05, outside: None };
    let result = run(&store, &rules(Obeys::Contrasted), rule);
    assert_eq!(result.plain.steerability.value, 0.0);
    let with = result.contrast.unwrap();
    assert!((with.gain.value - 3.0 / 16.0).abs() < 1e-9, "{with:?}");
    assert_eq!(with.gain.value, with.figures.steerability.value);
    assert!((with.p - 0.25).abs() < 1e-9, "three of three preferences: {}", with.p);
}
