//! Tests of picks among drafts, with rewards that know the user and rewards that know nothing.
#![allow(clippy::unwrap_used)]

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::LocalBoxFuture;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::best_of::{BestOfEvaluation, evaluate_best_of};
use super::cases::EvalContext;
use super::metric_groups::{MetricGroup, MetricSet};
use super::plan::{Plan, PlanOptions};
use super::synthetic::{World, WorldOptions};
use idiolect_core::client::Model;
use idiolect_core::corpus::split::{self, Preset, SplitParameters, SplitPart};
use idiolect_core::corpus::{Store, View};
use idiolect_core::methods::{Method, MethodOptions, RewardError, TextReward};
use idiolect_core::steering::Vocabulary;
use idiolect_core::task::testing::ByWords;
use idiolect_core::task::{Task, Window};
use idiolect_engine::lm::{
    self, Completion, Finish, Prompt, Request, Score, ScoreRequest, TextToScore,
};
use idiolect_engine::progress::Silent;
use idiolect_metrics::stylometry::{Delta, Features, StyleSpace};

/// Writes a text of some author of the world, drawn by the seed; every score is the same.
struct Ghostwriter {
    texts: Vec<String>,
}

impl Window for Ghostwriter {
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

impl Model for Ghostwriter {
    fn fingerprint(&self) -> &str {
        "ghostwriter"
    }

    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        let mut random = ChaCha8Rng::seed_from_u64(request.sampling.seed);
        let done = Completion {
            text: self.texts[random.random_range(0..self.texts.len())].clone(),
            prompt_tokens: 1,
            completion_tokens: 1,
            finish: Finish::End,
            tokens: Vec::new(),
        };
        async move { Ok(done) }.boxed_local()
    }

    fn score(&self, request: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        let TextToScore::Text(text) = request.continuation else { panic!() };
        let logprobs = vec![-1.0; text.split_whitespace().count()];
        let tokens = (0..logprobs.len() as u32).collect();
        async move { Ok(vec![Score { tokens, logprobs, ..Score::default() }]) }.boxed_local()
    }

    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Err(lm::Error::NoVocabulary { model: "ghostwriter".to_owned() })
    }
}

/// Likes texts by the function words of the user's visible texts.
struct ByWordsOfUser(Delta);

impl TextReward for ByWordsOfUser {
    fn rewards(
        &self,
        view: &View<'_>,
        user: &str,
        texts: &[&str],
    ) -> Result<Vec<f32>, RewardError> {
        let history = view.history(user)?;
        let own: Vec<&str> = history.iter().map(|stored| stored.review.text.as_str()).collect();
        let own = self.0.profile(&own);
        Ok(texts
            .iter()
            .map(|text| self.0.similarity(&self.0.profile(&[text]), &own) as f32)
            .collect())
    }
}

/// Likes a text by its length, whoever asks.
struct ByLength;

impl TextReward for ByLength {
    fn rewards(&self, _: &View<'_>, _: &str, texts: &[&str]) -> Result<Vec<f32>, RewardError> {
        Ok(texts.iter().map(|text| text.len() as f32).collect())
    }
}

fn run(reward: impl FnOnce(&[&str]) -> Box<dyn TextReward>) -> BestOfEvaluation {
    let world = World::new(&WorldOptions {
        n_authors: 40,
        n_without_rules: 0,
        n_items: 14,
        n_reviews: 12,
        seed: 7,
    });
    let store = Store::in_memory().unwrap();
    world.put(&store).unwrap();
    split::make(&store, "default", &SplitParameters::of(Preset::Small), &Silent).unwrap();
    let options = PlanOptions {
        part: SplitPart::Test,
        users: None,
        wrong_users: 0,
        pairs: 60,
        peers_any_time: true,
        seed: 3,
    };
    let plan = Plan::new(&store, &store.split("default").unwrap(), &options, None).unwrap();
    let all: Vec<&str> = world.reviews.iter().map(|review| review.text.as_str()).collect();
    let model = Ghostwriter { texts: all.iter().map(|text| (*text).to_owned()).collect() };
    let reward = reward(&all);
    let task = Task::load(Task::DEFAULT).unwrap();
    let context = EvalContext {
        store: &store,
        model: &model,
        judge: None,
        peers: None,
        reward: Some(&*reward),
        task: &task,
        options: &MethodOptions::of(&task),
        n_seeds: 1,
        score_limit: None,
        metrics: &MetricSet::new(&[MetricGroup::Swap]),
        held_out: &plan.held_out(),
    };
    block_on(evaluate_best_of(&context, &plan, Method::SCP, 8, None, &Silent)).unwrap()
}

#[test]
fn a_reward_that_knows_the_user_picks_closer_drafts_and_not_with_anothers_texts() {
    let evaluation =
        run(|texts| Box::new(ByWordsOfUser(Delta::fit(Features::FunctionWords, texts).unwrap())));
    assert!(evaluation.pairs >= 10, "{evaluation:?}");
    let trigrams = evaluation.measures.iter().find(|of| of.name == "trigrams").unwrap();
    assert!(trigrams.own.margin_gain.value > 0.5 && trigrams.own.p_margin < 0.01, "{trigrams:?}");
    assert!(trigrams.own.accuracy.value > trigrams.random.value + 0.1, "{trigrams:?}");
    assert!(trigrams.wrong.p_margin > 0.01, "{trigrams:?}");
    // Scores that are all equal tell nothing.
    let likelihood = &evaluation.measures[0];
    assert_eq!((likelihood.name, likelihood.random.value), ("likelihood", 0.5));
    assert_eq!((likelihood.own.accuracy_gain.value, likelihood.own.p_margin), (0.0, 1.0));
}

#[test]
fn a_reward_that_knows_nobody_gains_nothing() {
    let evaluation = run(|_| Box::new(ByLength));
    let trigrams = &evaluation.measures[1];
    assert!(trigrams.own.p_margin > 0.01, "{trigrams:?}");
    assert_eq!(trigrams.own, trigrams.wrong);
}
