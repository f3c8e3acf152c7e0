//! End-to-end test from a store to a report, with a language model of known behaviour.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::path::Path;

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::LocalBoxFuture;

use super::Error;
use super::cases::EvalContext;
use super::judge::{JudgedText, Reference, rate};
use super::metric_groups::{MetricGroup, MetricSet};
use super::plan::{Plan, PlanOptions};
use super::report::{EvalReport, Provenance, ReportInputs, build_report, to_csv};
use super::run::{Shard, run};
use super::synthetic::{World, WorldOptions};
use idiolect_core::client::testing::text_of;
use idiolect_core::client::{CachePolicy, CachedLm, Model};
use idiolect_core::corpus::split::{self, Preset, SplitParameters, SplitPart};
use idiolect_core::corpus::{KeptReviews, Review, Store};
use idiolect_core::difference::SentenceVectors;
use idiolect_core::difference::testing::FirstPeers;
use idiolect_core::methods::{Method, MethodOptions};
use idiolect_core::peers;
use idiolect_core::steering::Vocabulary;
use idiolect_core::task::testing::ByWords;
use idiolect_core::task::{Task, Window};
use idiolect_engine::lm::{
    self, Completion, Constraint, Finish, Prompt, Request, Score, ScoreRequest, TextToScore,
};
use idiolect_engine::model::chat::Role;
use idiolect_engine::progress::{Progress, Silent};
use idiolect_metrics::overlap::Meteor;
use idiolect_metrics::statistics::Settings;

/// A model that repeats the last assistant message, or returns a fixed text if there is none. When
/// it scores a text, words that occur in the prompt are more probable.
#[derive(Default)]
pub(crate) struct Parrot {
    pub(crate) n_asked: Cell<usize>,
}

const SAME: &str = "It does what it should and nothing else.";

impl Window for Parrot {
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

impl Model for Parrot {
    fn fingerprint(&self) -> &str {
        "parrot"
    }

    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        self.n_asked.set(self.n_asked.get() + 1);
        let prompt = &request.prompts[0];
        let said = match (prompt, &request.constraint) {
            // Prefers the text that is not the fixed one.
            (prompt, Some(Constraint::Regex(form))) if form == "A|B" => {
                let seen = text_of(prompt);
                let (_, drafts) = seen.split_once("The real review").unwrap();
                let a = drafts.find("Draft A").unwrap();
                let b = drafts.find("Draft B").unwrap();
                Some(if drafts[a..b].contains(SAME) { "B" } else { "A" }.to_owned())
            }
            (_, Some(_)) => Some("7".to_owned()),
            (Prompt::Chat(chat), None) => {
                let turns = chat.messages.iter().rev();
                let mut turns = turns.filter(|message| message.role == Role::Assistant);
                turns.next().map(|turn| turn.content.clone())
            }
            _ => None,
        };
        let text = said.unwrap_or_else(|| SAME.to_owned());
        let done = self.count(prompt).map(|prompt_tokens| Completion {
            completion_tokens: text.split_whitespace().count(),
            text,
            prompt_tokens,
            finish: Finish::End,
            tokens: Vec::new(),
        });
        async move { done }.boxed_local()
    }

    fn score(&self, request: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        self.n_asked.set(self.n_asked.get() + 1);
        let ScoreRequest { prompts, continuation, .. } = request;
        let TextToScore::Text(continuation) = continuation else {
            unreachable!("methods score texts")
        };
        let seen = text_of(&prompts[0]);
        let known = |word: &str| seen.split_whitespace().any(|other| other == word);
        let logprobs: Vec<f32> =
            continuation.split_whitespace().map(|w| if known(w) { -1.0 } else { -4.0 }).collect();
        let tokens = (0..logprobs.len() as u32).collect();
        async move { Ok(vec![Score { tokens, logprobs, ..Score::default() }]) }.boxed_local()
    }

    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Err(lm::Error::NoVocabulary { model: "parrot".to_owned() })
    }
}

/// An encoder whose vector is the count of each letter.
struct Letters;

impl SentenceVectors for Letters {
    fn vectors(&self, sentences: &[&str]) -> peers::Result<Vec<Vec<f32>>> {
        let count = |text: &&str| -> Vec<f32> {
            ('a'..='z').map(|letter| text.matches(letter).count() as f32).collect()
        };
        Ok(sentences.iter().map(count).collect())
    }
}

const METHODS: [Method; 2] = [Method::NON_PERSO, Method::SCP];

fn world(path: &Path) -> Store {
    let options =
        WorldOptions { n_authors: 30, n_without_rules: 0, n_items: 14, n_reviews: 12, seed: 7 };
    let store = Store::open(path).unwrap();
    World::new(&options).put(&store).unwrap();
    split::make(&store, "default", &SplitParameters::of(Preset::Small), &Silent).unwrap();
    store
}

fn plan_of(store: &Store) -> Plan {
    let options = PlanOptions {
        part: SplitPart::Test,
        users: Some(24),
        wrong_users: 2,
        pairs: 12,
        peers_any_time: false,
        seed: 3,
    };
    Plan::new(store, &store.split("default").unwrap(), &options, None).unwrap()
}

fn context<'a>(
    store: &'a Store,
    model: &'a Parrot,
    task: &'a Task,
    options: &'a MethodOptions,
    metrics: &'a MetricSet,
) -> EvalContext<'a> {
    EvalContext {
        store,
        model,
        judge: None,
        peers: None,
        reward: None,
        task,
        options,
        n_seeds: 1,
        score_limit: None,
        metrics,
        held_out: &[],
    }
}

fn evaluated(store: &Store, model: &Parrot, shard: Shard) -> Option<EvalReport> {
    let task = Task::load(Task::DEFAULT).unwrap();
    let options = MethodOptions::of(&task);
    let measures = MetricSet::new(&MetricGroup::ALL);
    let plan = plan_of(store);
    let context = EvalContext {
        peers: Some(&FirstPeers),
        n_seeds: 2,
        score_limit: Some(50),
        ..context(store, model, &task, &options, &measures)
    };
    let results = block_on(run(&context, &plan, &METHODS, shard, &Silent)).unwrap();
    if shard != Shard::WHOLE {
        return None;
    }
    let provenance = Provenance {
        command: String::new(),
        version: "0",
        models: [("lm", "parrot".to_owned())].into(),
        task: task.hash().to_owned(),
        split: serde_json::Value::Null,
        plan: serde_json::json!(plan.options),
        settings: options.changed_from(&MethodOptions::of(&task)),
        seed: options.seed,
        statistics: Settings { resamples: 500, flips: 500, ..Settings::default() },
    };
    let inputs = ReportInputs {
        store,
        plan: &plan,
        results: &results,
        metrics: &measures,
        seeds: 2,
        meteor: &Meteor::exact_stem(),
        encoder: Some(&Letters),
    };
    Some(build_report(&inputs, provenance).unwrap())
}

fn mean(report: &EvalReport, method: &str, measure: &str) -> f64 {
    let figures = &report.methods[method].figures;
    figures.get(measure).unwrap_or_else(|| panic!("{method} has no {measure}")).mean
}

#[test]
fn who_copies_the_user_is_told_from_who_ignores_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = world(&folder.path().join("t.sqlite"));
    let report = evaluated(&store, &Parrot::default(), Shard::WHOLE).unwrap();
    assert_eq!((report.users, report.texts, report.seeds), (24, 24, 2));
    assert!(report.pairs >= 10, "{}", report.pairs);

    let tests = ["stylometry", "likelihood", "tfidf", "function_words", "lambda_g", "encoder"];
    for test in tests.map(|test| format!("swap_{test}")) {
        let test = test.as_str();
        assert_eq!(mean(&report, "non-perso", test), 0.5, "{test}");
        assert!(report.ceiling[test].mean >= 0.5, "{test}");
    }
    for test in ["swap_stylometry", "swap_lambda_g", "swap_likelihood"] {
        let copied = mean(&report, "scp", test);
        assert!(copied >= 0.8, "{test}: {copied}");
        assert!(report.ceiling[test].mean >= 0.8, "{test}");
    }
    // LambdaG: the user's own texts are likelier to be the user's, and the ratios say something.
    let ratio = |method: &str| mean(&report, method, "lambda_g_llr");
    assert!(ratio("scp") > ratio("non-perso"), "{} {}", ratio("scp"), ratio("non-perso"));
    assert!(
        report.ceiling["lambda_g_llr"].mean > 0.0 && report.ceiling["lambda_g_cllr"].mean < 1.0
    );
    for gain in ["rouge1_gain", "rougeL_gain", "likelihood_lift", "likelihood_lift_neutral"] {
        assert_eq!(mean(&report, "non-perso", gain), 0.0, "{gain}");
    }
    assert!(mean(&report, "scp", "likelihood_lift") > 0.0);
    assert!(mean(&report, "scp", "bits_right") < mean(&report, "scp", "bits_none"));
    assert_eq!(mean(&report, "non-perso", "bits_right"), mean(&report, "non-perso", "bits_none"));
    // Copies from the history are counted; a method that shows no history copies nothing.
    assert!(mean(&report, "scp", "copied_from_history") > 0.9);
    assert_eq!(mean(&report, "non-perso", "copied_from_history"), 0.0);
    assert!((mean(&report, "scp", "judge") - 0.7).abs() < 1e-12);
    assert!(
        mean(&report, "scp", "identified_mrr") > 2.0 * mean(&report, "non-perso", "identified_mrr")
    );

    // The judge prefers the personalized text in either order.
    assert_eq!(mean(&report, "scp", "judge_wins"), 1.0);
    assert_eq!(mean(&report, "non-perso", "judge_wins"), 0.0);
    let wins = report.comparisons.iter().find(|c| c.measure == "judge_wins").unwrap();
    assert_eq!((wins.a, wins.b, wins.difference), ("non-perso", "scp", -1.0));

    let lift = report.comparisons.iter().find(|c| c.measure == "likelihood_lift").unwrap();
    assert_eq!((lift.a, lift.b, lift.n), ("non-perso", "scp", 24));
    assert!(lift.difference < 0.0 && lift.p_holm < 0.05 && lift.high.unwrap() < 0.0);
    let csv = to_csv(&report);
    assert!(csv.lines().any(|line| line.starts_with("scp,likelihood_lift,")), "{csv}");
}

/// Requests a stop at once.
struct Stopping;

impl Progress for Stopping {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _n: u64) {}
    fn end(&self) {}
    fn stop_requested(&self) -> bool {
        true
    }
}

#[test]
fn a_stop_is_no_error_of_a_method() {
    let store = world(":memory:".as_ref());
    let (model, task) = (Parrot::default(), Task::load(Task::DEFAULT).unwrap());
    let (options, metrics) = (MethodOptions::of(&task), MetricSet::new(&[MetricGroup::Swap]));
    let context = context(&store, &model, &task, &options, &metrics);
    let plan = plan_of(&store);
    let stopped = block_on(context.real_swap(&plan, &plan.swaps[0], &Stopping));
    assert!(matches!(stopped, Err(Error::Stopped)));
}

#[test]
fn a_judgement_goes_with_the_reviews_that_the_text_was_made_from() {
    let store = world(":memory:".as_ref());
    let (model, task) = (Parrot::default(), Task::load(Task::DEFAULT).unwrap());
    let (options, metrics) = (MethodOptions::of(&task), MetricSet::new(&[MetricGroup::Judge]));
    let context = context(&store, &model, &task, &options, &metrics);
    let plan = plan_of(&store);
    let case = &plan.cases[0];
    let result = block_on(context.case(&plan, Method::SCP, case, &Silent)).unwrap();
    let calls = CachedLm::new(&store, &model, &task, CachePolicy::Stored);
    let is_stored = || {
        let text = JudgedText { text: &result.texts[0], sources: &[] };
        let reference = Reference { item: &case.item, review: &case.review };
        block_on(rate(&calls, &reference, &text)).unwrap().reused
    };
    assert!(is_stored());
    let source = store.reviews(&result.sources[..1]).unwrap().remove(0).review;
    let newer = Review { time: source.time + 1, ..source };
    store.put_source_reviews(&[newer.into()], KeptReviews::Newest).unwrap();
    assert!(!is_stored());
}

#[test]
fn nothing_is_computed_twice_and_parts_join_to_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    drop(world(&path("base.sqlite")));
    let copy = |name: &str| {
        std::fs::copy(path("base.sqlite"), path(name)).unwrap();
        Store::open(&path(name)).unwrap()
    };
    let model = Parrot::default();
    let whole = copy("whole.sqlite");
    let reported = |store: &Store| {
        let report = evaluated(store, &model, Shard::WHOLE).unwrap();
        (serde_json::to_string(&report).unwrap(), report.examples)
    };
    let report = reported(&whole);
    let n_asked = model.n_asked.get();
    assert!(reported(&whole) == report, "a second run tells the same");
    assert_eq!(model.n_asked.get(), n_asked, "a second run asks for nothing");

    let (first, second) = (copy("first.sqlite"), copy("second.sqlite"));
    evaluated(&first, &model, Shard { index: 0, of: 2 });
    evaluated(&second, &model, Shard { index: 1, of: 2 });
    assert!(first.take_derived(&second).unwrap() > 0);
    assert_eq!(first.take_derived(&second).unwrap(), 0);
    let n_asked = model.n_asked.get();
    let joined = reported(&first);
    assert_eq!(model.n_asked.get(), n_asked, "the parts are the whole");
    assert!(joined == report, "and tell the same");
    assert!(Store::in_memory().unwrap().take_derived(&first).is_err());
}
