//! Tests of the judge with a rule-based model and with a model of random weights.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::LocalBoxFuture;

use super::*;
use idiolect_core::client::testing::text_of;
use idiolect_core::client::{CachePolicy, Model};
use idiolect_core::corpus::{KeptReviews, Review, Store};
use idiolect_core::steering::Vocabulary;
use idiolect_core::task::testing::ByWords;
use idiolect_core::task::{Task, Window};
use idiolect_engine::lm::{self, Completion, Finish, Prompt, Request, Score, ScoreRequest, tiny};

/// A model that answers by a rule over the whole prompt and records prompts and requests.
struct ByRule {
    rule: Box<dyn Fn(&str) -> String>,
    asked: RefCell<Vec<(String, Request)>>,
}

impl ByRule {
    fn new(rule: impl Fn(&str) -> String + 'static) -> Self {
        Self { rule: Box::new(rule), asked: RefCell::default() }
    }
}

impl Window for ByRule {
    fn context(&self) -> usize {
        10_000
    }
    fn count(&self, prompt: &Prompt) -> lm::Result<usize> {
        ByWords(10_000).count(prompt)
    }
    fn count_text(&self, text: &str) -> lm::Result<usize> {
        ByWords(10_000).count_text(text)
    }
}

impl Model for ByRule {
    fn fingerprint(&self) -> &str {
        "by rule"
    }
    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        async move {
            let prompt = text_of(&request.prompts[0]);
            let text = (self.rule)(&prompt);
            self.asked.borrow_mut().push((prompt, request));
            Ok(Completion {
                text,
                prompt_tokens: 9,
                completion_tokens: 1,
                finish: Finish::End,
                tokens: Vec::new(),
            })
        }
        .boxed_local()
    }
    fn score(&self, _: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        async { Err(lm::Error::NoCombination) }.boxed_local()
    }
    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Err(lm::Error::NoVocabulary { model: "by rule".to_owned() })
    }
}

struct World {
    store: Store,
    item: Item,
    review: StoredReview,
}

impl World {
    fn new() -> Self {
        let store = Store::in_memory().unwrap();
        let item = Item {
            id: "kettle".into(),
            title: "Red kettle".into(),
            description: "Whistles.".into(),
            categories: Vec::new(),
        };
        store.put_items(std::slice::from_ref(&item)).unwrap();
        let review = Review {
            user: "ann".into(),
            item: "kettle".into(),
            rating: Some(2.0),
            title: "Too loud".into(),
            text: "It woke the dog.".into(),
            time: 1,
        };
        store.put_reviews(&[review]).unwrap();
        let review = store.history("ann").unwrap().remove(0);
        Self { store, item, review }
    }

    fn reference(&self) -> Reference<'_> {
        Reference { item: &self.item, review: &self.review }
    }
}

fn judged(text: &str) -> JudgedText<'_> {
    JudgedText { text, sources: &[] }
}

#[test]
fn points_are_asked_for_once_and_without_chance() {
    let world = World::new();
    for name in ["review", "headline"] {
        let task = Task::load(name).unwrap();
        let model = ByRule::new(|_| "7".to_owned());
        let calls = CachedLm::new(&world.store, &model, &task, CachePolicy::Stored);
        let rate = |text| block_on(rate(&calls, &world.reference(), &judged(text))).unwrap();
        let rating = rate("A text about a dog.");
        assert_eq!((rating.points, rating.share(), rating.reused), (7, 0.7, false));
        assert!(rate("A text about a dog.").reused && !rate("Another.").reused);
        let asked = model.asked.borrow();
        assert_eq!(asked.len(), 2);
        let (prompt, request) = &asked[0];
        assert_eq!(request.sampling.temperature, 0.0);
        for shown in ["Red kettle", "It woke the dog.", "A text about a dog.", "0 to 10"] {
            assert!(prompt.contains(shown), "{name}: {prompt}");
        }
    }
}

#[test]
fn answers_of_another_form_are_errors() {
    let world = World::new();
    let task = Task::load("review").unwrap();
    for answer in ["11", "-1", "seven", "", "7/10"] {
        let model = ByRule::new(move |_| answer.to_owned());
        let calls = CachedLm::new(&world.store, &model, &task, CachePolicy::Nothing);
        let error = block_on(rate(&calls, &world.reference(), &judged("x"))).unwrap_err();
        assert!(matches!(&error, Error::Form { answer: got, .. } if got == answer), "{error}");
        let both = (judged("x"), judged("y"));
        assert!(block_on(prefer(&calls, &world.reference(), &both.0, &both.1, 0)).is_err());
    }
}

#[test]
fn a_winner_must_win_in_both_orders() {
    let world = World::new();
    let task = Task::load("review").unwrap();
    let winner = |rule: fn(&str) -> String, first, second, seed| {
        let model = ByRule::new(rule);
        let calls = CachedLm::new(&world.store, &model, &task, CachePolicy::Nothing);
        let (first, second) = (judged(first), judged(second));
        let preference =
            block_on(prefer(&calls, &world.reference(), &first, &second, seed)).unwrap();
        let asked = model.asked.into_inner();
        (preference.winner, asked.into_iter().map(|(prompt, _)| prompt).collect::<Vec<_>>())
    };
    // Finds the better text and answers with its label.
    let honest: fn(&str) -> String = |prompt| {
        let better = prompt.find("the better one").unwrap();
        let worse = prompt.find("the worse one").unwrap();
        if better < worse { "A".to_owned() } else { "B".to_owned() }
    };
    let biased: fn(&str) -> String = |_| "A".to_owned();
    let mut begins = Vec::new();
    for seed in 0..8 {
        let (won, prompts) = winner(honest, "the better one", "the worse one", seed);
        assert_eq!((won, prompts.len()), (Winner::First, 2));
        begins.push(prompts[0].find("better") < prompts[0].find("worse"));
        assert_ne!(prompts[0], prompts[1]);
        assert_eq!(winner(honest, "the worse one", "the better one", seed).0, Winner::Second);
        assert_eq!(winner(biased, "the better one", "the worse one", seed).0, Winner::Tie);
    }
    assert!(begins.contains(&true) && begins.contains(&false));
    let (won, prompts) = winner(honest, "the same", " the same\n", 0);
    assert_eq!((won, prompts.len()), (Winner::Tie, 0));
}

#[test]
fn a_judgement_goes_with_the_texts_it_was_made_from() {
    let world = World::new();
    let task = Task::load("review").unwrap();
    let other = Review { user: "bob".into(), time: 2, ..world.review.review.clone() };
    world.store.put_reviews(std::slice::from_ref(&other)).unwrap();
    let of_bob = world.store.history("bob").unwrap().remove(0).id;
    let model = ByRule::new(|_| "3".to_owned());
    let calls = CachedLm::new(&world.store, &model, &task, CachePolicy::Stored);
    let sources = [of_bob];
    let text = JudgedText { text: "made of bob's", sources: &sources };
    let rate = || block_on(rate(&calls, &world.reference(), &text)).unwrap();
    assert!(!rate().reused && rate().reused);
    let newer = Review { text: "New.".into(), time: 3, ..other };
    world.store.put_source_reviews(&[newer.into()], KeptReviews::Newest).unwrap();
    assert!(!rate().reused);
}

#[test]
fn a_model_with_random_weights_always_gives_an_answer_that_parses() {
    let world = World::new();
    let lm = tiny::Tiny { context: 8192, ..tiny::Tiny::new("llama") }.lm();
    let mut seen = std::collections::BTreeSet::new();
    for name in ["review", "headline"] {
        let task = Task::load(name).unwrap();
        let calls = CachedLm::new(&world.store, &lm, &task, CachePolicy::Stored);
        for i in 0..6 {
            let (one, other) = (format!("Text {i} {}", "x".repeat(i)), format!("Other {i}"));
            let (one, other) = (judged(&one), judged(&other));
            seen.insert(block_on(rate(&calls, &world.reference(), &one)).unwrap().points);
            block_on(prefer(&calls, &world.reference(), &one, &other, 0)).unwrap();
        }
    }
    assert!(seen.iter().all(|points| *points <= MAX_POINTS));
}

#[test]
fn the_built_in_tasks_have_a_prompt_for_each_stage_and_no_other() {
    for name in ["review", "headline"] {
        let task = Task::load(name).unwrap();
        task.check(&stages()).unwrap();
        for stage in stages() {
            task.stage(stage).unwrap();
        }
        assert!(task.check(&methods::stages()).is_err());
    }
}
