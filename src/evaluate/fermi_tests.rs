//! Tests of improved instructions on authors who end all sentences with one mark, with a model that
//! believes what an instruction says about marks.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::LocalBoxFuture;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::cases::EvalContext;
use super::fermi::{FermiEvalOptions, FermiEvaluation, evaluate_fermi};
use super::metric_groups::MetricSet;
use idiolect_core::client::Model;
use idiolect_core::client::testing::text_of;
use idiolect_core::corpus::{Item, Review, Store};
use idiolect_core::difference::testing::FirstPeers;
use idiolect_core::methods::{FermiOptimiser, MethodOptions};
use idiolect_core::steering::Vocabulary;
use idiolect_core::task::testing::ByWords;
use idiolect_core::task::{Task, Window};
use idiolect_engine::lm::{
    self, Completion, Finish, Prompt, Request, Score, ScoreRequest, TextToScore,
};
use idiolect_engine::progress::Silent;

#[derive(Default)]
struct Believer {
    n_asked: Cell<usize>,
}

/// The claim of a prompt about the end of sentences: exclamation marks, full stops, or nothing.
fn said(prompt: &str) -> Option<bool> {
    let is_about = |line: &&str| line.contains("xclamation") || line.contains("full stop");
    let line = prompt.lines().find(is_about)?;
    let is_denied = line.contains("Never") || line.contains("Seldom");
    Some(line.contains("xclamation") != is_denied)
}

impl Window for Believer {
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

impl Model for Believer {
    fn fingerprint(&self) -> &str {
        "believer"
    }

    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        self.n_asked.set(self.n_asked.get() + 1);
        // As an optimiser it proposes both sides of the matter.
        let text = match request.constraint {
            Some(_) => {
                r#"{"instruction 1": "End with an exclamation mark.", "instruction 2": "Never end with an exclamation mark.", "instruction 3": "Be kind.", "instruction 4": "Be kind."}"#
            }
            None => "It works.",
        };
        let done = Completion {
            text: text.to_owned(),
            prompt_tokens: 1,
            completion_tokens: 1,
            finish: Finish::End,
            tokens: Vec::new(),
        };
        async move { Ok(done) }.boxed_local()
    }

    fn score(&self, request: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        self.n_asked.set(self.n_asked.get() + 1);
        let TextToScore::Text(text) = request.continuation else { panic!() };
        let said = said(&text_of(&request.prompts[0]));
        let logprob = |word: &str| match (word.ends_with('!'), word.ends_with('.'), said) {
            (true, _, Some(true)) | (_, true, Some(false)) => -1.0,
            (true, _, Some(false)) | (_, true, Some(true)) => -5.0,
            _ => -3.0,
        };
        let logprobs: Vec<f32> = text.split_whitespace().map(logprob).collect();
        let tokens = (0..logprobs.len() as u32).collect();
        async move { Ok(vec![Score { tokens, logprobs, ..Score::default() }]) }.boxed_local()
    }

    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Err(lm::Error::NoVocabulary { model: "believer".to_owned() })
    }
}

const N_USERS: usize = 12;

/// Every other user shouts; with `shuffled`, every text is by whoever it falls to.
fn store(shuffled: bool) -> Store {
    let store = Store::in_memory().unwrap();
    let items: Vec<Item> = (0..16)
        .map(|i| Item {
            id: format!("i{i:02}"),
            title: format!("Item {i}"),
            description: String::new(),
            categories: Vec::new(),
        })
        .collect();
    store.put_items(&items).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut reviews = Vec::new();
    for user in 0..N_USERS {
        for (item, about) in items.iter().enumerate() {
            let shouts = if shuffled { random.random_bool(0.5) } else { user % 2 == 0 };
            let end = if shouts { "!" } else { "." };
            let parts = ["the lid", "the cord", "a handle", "the box", "this part"];
            let sentence = |n: usize| {
                let (part, day) = (parts[(n + item) % 5], random.random_range(2..9));
                format!("I used {part} for {day} days and it held{end}")
            };
            let n = 3 + (item + user) % 2;
            let text: Vec<String> = (0..n).map(sentence).collect();
            reviews.push(Review {
                user: format!("u{user:02}"),
                item: about.id.clone(),
                rating: Some(4.0),
                title: "held".to_owned(),
                text: text.join(" "),
                time: 100 * item as i64 + user as i64,
            });
        }
    }
    store.put_reviews(&reviews).unwrap();
    store
}

fn run(store: &Store, model: &Believer, optimiser: FermiOptimiser) -> FermiEvaluation {
    let task = Task::load(Task::DEFAULT).unwrap();
    let mut options = MethodOptions::of(&task);
    options.fermi.optimiser = optimiser;
    options.fermi.rounds = 3;
    let context = EvalContext {
        store,
        model,
        judge: None,
        peers: Some(&FirstPeers as _),
        reward: None,
        task: &task,
        options: &options,
        n_seeds: 1,
        score_limit: None,
        metrics: &MetricSet::new(&[]),
        held_out: &[],
    };
    let options = FermiEvalOptions { users: N_USERS, min_texts: 8, seed: 2 };
    block_on(evaluate_fermi(&context, &options, &Silent)).unwrap()
}

fn figure(evaluation: &FermiEvaluation, name: &str) -> (f64, f64) {
    let found = evaluation.figures.iter().find(|figure| figure.name == name).unwrap();
    (found.mean.value, found.p)
}

#[test]
fn instructions_help_their_own_user_and_others_less() {
    let store = store(false);
    for optimiser in [FermiOptimiser::Measured, FermiOptimiser::Model] {
        let model = Believer::default();
        let evaluation = run(&store, &model, optimiser);
        assert_eq!(evaluation.users.len(), N_USERS);
        let (own, p) = figure(&evaluation, "newer texts, own");
        assert!(own > 0.2 && p < 0.01, "{evaluation:#?}");
        let (beyond, p) = figure(&evaluation, "newer texts, own beyond peers'");
        assert!(beyond > 0.1 && p < 0.01, "{beyond} {p}");
        let (apart, p) = figure(&evaluation, "own minus another user's");
        assert!(apart > own / 2.0 && p < 0.05, "{apart} {p}");
        assert!(figure(&evaluation, "the method on the newest text").0 > 0.2);
        assert_eq!(evaluation.keeps_seed, 0.0);
        for user in &evaluation.users {
            let shouts = user.user[1..].parse::<usize>().unwrap() % 2 == 0;
            assert_eq!(said(&user.lines.join("\n")), Some(shouts), "{user:?}");
            assert!(user.rounds <= 3 && user.tried <= 13, "{user:?}");
        }
        // Stored scores are not asked for again.
        let asked = model.n_asked.get();
        assert_eq!(run(&store, &model, optimiser), evaluation);
        assert_eq!(model.n_asked.get(), asked);
    }
}

#[test]
fn with_owners_shuffled_nothing_is_gained_on_newer_texts() {
    let store = store(true);
    let evaluation = run(&store, &Believer::default(), FermiOptimiser::Model);
    for name in ["newer texts, own beyond peers'", "own minus another user's"] {
        let (gain, p) = figure(&evaluation, name);
        assert!(p > 0.05, "{name}: {gain} {p}");
    }
}
