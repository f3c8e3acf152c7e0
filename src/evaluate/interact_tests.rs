//! Tests of the curve of turns on synthetic authors, with a model to which words of the prompt are
//! likelier.
#![allow(clippy::unwrap_used)]

use futures::executor::block_on;

use super::cases::EvalContext;
use super::flow_tests::Parrot;
use super::interact::{InteractCurves, InteractMemory, InteractOptions, interact_curves};
use super::metric_groups::MetricSet;
use super::synthetic::{World, WorldOptions};
use idiolect_core::corpus::{Store, View};
use idiolect_core::methods::{Method, MethodOptions};
use idiolect_core::task::Task;
use idiolect_engine::progress::Silent;
use idiolect_metrics::statistics::Settings;

fn store(n_without_rules: usize) -> Store {
    let options =
        WorldOptions { n_authors: 24, n_without_rules, n_items: 40, n_reviews: 9, seed: 11 };
    let store = Store::in_memory().unwrap();
    World::new(&options).put(&store).unwrap();
    store
}

fn curves(store: &Store, model: &Parrot, method: Method, turns: usize) -> InteractCurves {
    let task = Task::load(Task::DEFAULT).unwrap();
    let context = EvalContext {
        store,
        model,
        judge: None,
        peers: None,
        reward: None,
        task: &task,
        options: &MethodOptions::of(&task),
        n_seeds: 1,
        score_limit: Some(60),
        metrics: &MetricSet::new(&[]),
        held_out: &[],
    };
    let options = InteractOptions { turns, users: Some(20), seed: 5 };
    block_on(interact_curves(&context, method, &options, &Silent)).unwrap()
}

#[test]
fn bits_fall_with_the_users_own_memory_and_not_as_much_with_others() {
    let store = store(0);
    let model = Parrot::default();
    let measured = curves(&store, &model, Method::SCP, 6);
    assert!(measured.users.len() >= 15, "{}", measured.users.len());
    for user in &measured.users {
        assert_eq!(user.turns.len(), 6);
        assert_ne!(user.user, user.wrong);
        assert_eq!(user.turns[0].with, [user.turns[0].none; 3]);
        // At the second turn the frozen memory is still all there is.
        assert_eq!(user.turns[1].with[0], user.turns[1].with[2]);
    }
    let apart = measured.users.iter().filter(|user| user.turns[5].with[0] != user.turns[5].with[2]);
    assert!(2 * apart.count() > measured.users.len());
    let summary = measured.summary(&Settings::default()).unwrap();
    let [own, wrong, frozen] = &summary[..] else { panic!() };
    assert_eq!(own.memory, InteractMemory::Own);
    assert!(own.slope.value < 0.0 && own.p < 0.01, "{own:?}");
    assert!(own.gain[5].value < own.gain[1].value, "{own:?}");
    for other in [wrong, frozen] {
        assert!(other.own_minus.value < 0.0 && other.p_own_minus < 0.01, "{other:?}");
    }
    // Stored scores are not asked for again.
    let asked = model.n_asked.get();
    assert_eq!(curves(&store, &model, Method::SCP, 6), measured);
    assert_eq!(model.n_asked.get(), asked);
}

#[test]
fn authors_without_a_style_gain_no_more_by_their_own_memory_than_by_others() {
    let store = store(24);
    let measured = curves(&store, &Parrot::default(), Method::SCP, 6);
    let summary = measured.summary(&Settings::default()).unwrap();
    assert!(summary[1].p_own_minus > 0.01, "{:?}", summary[1]);
}

#[test]
fn a_wrong_memory_is_of_other_items_and_a_stop_keeps_what_was_scored() {
    let store = store(0);
    let measured = curves(&store, &Parrot::default(), Method::SCP, 4);
    let items = |user: &str| -> Vec<String> {
        let texts = View::all(&store).history(user).unwrap().into_iter();
        texts.take(4).map(|stored| stored.review.item).collect()
    };
    for user in &measured.users {
        let own = items(&user.user);
        let theirs = View::all(&store).history(&user.wrong).unwrap();
        let apart = theirs.iter().filter(|s| !own.contains(&s.review.item)).count();
        assert!(apart >= 3, "{user:?}");
    }
    let missing = InteractOptions { turns: 50, users: None, seed: 1 };
    let task = Task::load(Task::DEFAULT).unwrap();
    let model = Parrot::default();
    let context = EvalContext {
        store: &store,
        model: &model,
        judge: None,
        peers: None,
        reward: None,
        task: &task,
        options: &MethodOptions::of(&task),
        n_seeds: 1,
        score_limit: None,
        metrics: &MetricSet::new(&[]),
        held_out: &[],
    };
    let few = block_on(interact_curves(&context, Method::SCP, &missing, &Silent));
    assert!(few.unwrap_err().to_string().contains("as many texts as turns"));
}
