//! Tests of the reward head on synthetic authors.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::head::HEAD;
use super::*;
use crate::{Error, TrainingBudget, TrainingSettings};
use idiolect_core::corpus::{ForgetScope, Store, View};
use idiolect_core::methods::TextReward;
use idiolect_engine::progress::{Progress, Silent};
use idiolect_evaluate::synthetic::{World, WorldOptions};

fn world(n_authors: usize, n_without_rules: usize) -> (World, Store) {
    let options = WorldOptions { n_authors, n_without_rules, n_items: 16, n_reviews: 10, seed: 7 };
    let world = World::new(&options);
    let store = Store::in_memory().unwrap();
    world.put(&store).unwrap();
    (world, store)
}

/// Settings that a second of computing allows.
fn short(steps: u64) -> NpSettings {
    let training = TrainingSettings {
        budget: TrainingBudget::Steps(steps),
        learning_rate: 2e-3,
        warm_up: 10,
        validate_every: 20,
        ..NpSettings::default().training
    };
    NpSettings { training, ..NpSettings::default() }
}

/// Asks to stop after some checkpoints.
struct StopAfter(AtomicU64);

impl Progress for StopAfter {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, n: u64) {
        let left = self.0.load(Ordering::SeqCst);
        self.0.store(left.saturating_sub(n), Ordering::SeqCst);
    }
    fn end(&self) {}
    fn stop_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

#[test]
fn a_style_is_found_and_controls_are_at_chance() {
    let (_, store) = world(180, 0);
    let options = NpEvaluationOptions { users: 30, min_texts: 6, seed: 3 };
    let evaluation = evaluate_np(&View::all(&store), &options, &short(80), &Silent).unwrap();
    assert_eq!(evaluation.rows.len(), 5);
    for row in &evaluation.rows {
        let shares: Vec<f64> = row.by_pairs.iter().map(|(_, share)| share.share).collect();
        let near_chance = |share: f64| (share - 0.5).abs() < 0.17;
        assert!(near_chance(shares[0]), "{row:?}");
        if row.settings.shuffled {
            assert!(shares.iter().all(|share| near_chance(*share)), "{row:?}");
            continue;
        }
        assert!(shares[4] > 0.75 && shares[4] > shares[0] + 0.2, "{row:?}");
        assert!(near_chance(row.wrong.share) && row.p < 0.01, "{row:?}");
        assert!(row.spread_of_z > 0.01, "{row:?}");
    }
    // The same again trains nothing.
    let again =
        evaluate_np(&View::all(&store), &options, &short(80), &StopAfter(AtomicU64::new(0)));
    assert_eq!(again.unwrap(), evaluation);
}

#[test]
fn authors_without_a_style_are_not_told_apart() {
    let (_, store) = world(80, 80);
    let options = NpEvaluationOptions { users: 30, min_texts: 6, seed: 3 };
    let evaluation = evaluate_np(&View::all(&store), &options, &short(40), &Silent).unwrap();
    for row in &evaluation.rows {
        let most = row.by_pairs[4].1.share;
        assert!((most - 0.5).abs() < 0.17 && row.p > 0.001, "{row:?}");
    }
}

#[test]
fn a_stopped_training_goes_on_and_gives_the_same_bytes() {
    let bytes = |store: &Store| store.derived_values(HEAD).unwrap();
    let (_, whole) = world(20, 0);
    train_head(&View::all(&whole), &[], &short(60), &Silent).unwrap();
    let (_, store) = world(20, 0);
    let view = View::all(&store);
    for _ in 0..2 {
        let stopped = train_head(&view, &[], &short(60), &StopAfter(AtomicU64::new(20)));
        assert!(matches!(stopped, Err(Error::Stopped)));
        assert!(bytes(&store).is_empty());
    }
    assert_eq!(store.derived_values("training").unwrap().len(), 1);
    train_head(&view, &[], &short(60), &Silent).unwrap();
    assert_eq!(bytes(&store), bytes(&whole));
    assert!(store.derived_values("training").unwrap().is_empty());
    // Another seed gives others.
    let other = NpSettings { seed: 1, ..short(60) };
    train_head(&view, &[], &other, &Silent).unwrap();
    assert_ne!(bytes(&store)[1], bytes(&store)[0]);
}

#[test]
fn a_forgotten_user_takes_heads_and_checkpoints_along() {
    let (world, store) = world(20, 0);
    let view = View::all(&store);
    let [first, second, last] = [0, 1, 19].map(|i| world.authors[i].name.clone());
    let all = train_head(&view, &[], &short(20), &Silent).unwrap();
    let without = train_head(&view, std::slice::from_ref(&first), &short(20), &Silent).unwrap();
    assert!(all.users().contains(&first) && !without.users().contains(&first));
    let stopped = train_head(
        &view,
        std::slice::from_ref(&second),
        &short(60),
        &StopAfter(AtomicU64::new(20)),
    );
    assert!(stopped.is_err());
    let held = store.history(&first).unwrap().iter().map(|r| r.id).collect::<Vec<_>>();
    let unseen = NpHead::newest(&store, &held).unwrap().unwrap();
    assert_eq!(unseen.users(), without.users());
    store.forget(&first, &ForgetScope::User).unwrap();
    let left = NpHead::newest(&store, &[]).unwrap().unwrap();
    assert_eq!(left.users(), without.users());
    assert!(store.derived_values("training").unwrap().is_empty());
    store.forget(&last, &ForgetScope::User).unwrap();
    assert!(NpHead::newest(&store, &[]).unwrap().is_none());
}

#[test]
fn three_choices_make_the_ranking_of_a_newcomer_better() {
    let (world, store) = world(60, 0);
    let view = View::all(&store);
    // The last ten authors are unknown to the head and to the store.
    let newcomers: Vec<_> = world.authors[50..].iter().collect();
    for author in &newcomers {
        store.forget(&author.name, &ForgetScope::User).unwrap();
    }
    let head = train_head(&view, &[], &short(120), &Silent).unwrap();
    let texts = |item: usize, draw: u64, author| world.write(author, item, draw).text;
    let mut before = (0, 0);
    let mut after = (0, 0);
    for (n, author) in newcomers.iter().enumerate() {
        let other = newcomers[(n + 1) % newcomers.len()];
        // Somebody with one text on an item of their own, whom nothing is known of yet.
        let own =
            idiolect_core::corpus::Review { item: format!("own-{n}"), ..world.write(author, 0, 9) };
        store.put_reviews(&[own]).unwrap();
        let withheld: Vec<[String; 2]> =
            (4..16).map(|item| [texts(item, 1, author), texts(item, 1, other)]).collect();
        let judge = |counts: &mut (usize, usize), view: &View<'_>| {
            for [own, peers] in &withheld {
                let scores = head.rewards(view, &author.name, &[own, peers]).unwrap();
                counts.0 += usize::from(scores[0] > scores[1]);
                counts.1 += 1;
            }
        };
        let id = store.history(&author.name).unwrap()[0].id;
        let nothing = View::all(&store).without(id);
        judge(&mut before, &nothing);
        for item in 1..4 {
            let choice = DraftChoice {
                user: author.name.clone(),
                item: String::new(),
                chosen: texts(item, 2, author),
                rejected: texts(item, 2, other),
                sources: Vec::new(),
                time: DraftChoice::now(),
            };
            put_draft_choice(&store, &choice).unwrap();
        }
        assert_eq!(head.n_known_pairs(&nothing, &author.name).unwrap(), 3);
        judge(&mut after, &nothing);
    }
    let share = |(right, of): (usize, usize)| right as f64 / of as f64;
    assert!(share(after) > 0.7 && share(after) > share(before) + 0.1, "{before:?} {after:?}");
}

#[test]
fn tastes_are_found_in_ratings_and_anothers_pairs_do_not_help() {
    let texts: std::collections::BTreeMap<String, String> = (0..40)
        .map(|n| {
            let marks = if n % 2 == 0 { "!!" } else { "." };
            let words = vec!["the lid is on it and"; 1 + n / 8].join(" ");
            (format!("t{n:02}"), format!("{words} number {n} is fine{marks}"))
        })
        .collect();
    // Each person likes loud texts or calm ones, and everybody short ones a little.
    let ratings: Vec<TextRating> = (0..240)
        .flat_map(|person| {
            texts.keys().enumerate().map(move |(n, text)| {
                let taste = if (n + person) % 2 == 0 { 4.0 } else { -4.0 };
                let user = format!("u{person:03}");
                TextRating { user, text: text.clone(), rating: taste - n as f32 / 20.0 }
            })
        })
        .collect();
    let store = Store::in_memory().unwrap();
    let done = evaluate_rated(&ratings, &texts, (&short(100), 60), &store, &Silent).unwrap();
    let share = |shares: &[(usize, NpShare)], at: usize| shares[at].1.share;
    assert_eq!((done.users, done.by_pairs[4].0), (60, 10));
    assert!(share(&done.by_pairs, 4) > 0.9, "{done:?}");
    assert!(share(&done.by_pairs, 0) < 0.7 && share(&done.wrong, 4) < 0.75, "{done:?}");
    assert!((done.mean_rating.share - 0.5).abs() < 0.15, "{done:?}");
    assert!(store.derived_values("training").unwrap().is_empty());
    assert!(evaluate_rated(&ratings[..400], &texts, (&short(5), 60), &store, &Silent).is_err());
}

#[test]
fn own_texts_are_known_by_their_peers_on_the_item_or_by_strangers() {
    let (world, store) = world(12, 0);
    let view = View::all(&store);
    let head = train_head(&view, &[], &short(20), &Silent).unwrap();
    let name = &world.authors[0].name;
    assert_eq!(head.n_known_pairs(&view, name).unwrap(), 8);
    let drafts = ["It is a lamp.", "it is a lamp!!!"];
    let once = head.rewards(&view, name, &drafts).unwrap();
    assert_eq!(once, head.rewards(&view, name, &drafts).unwrap());
    assert_ne!(once, head.rewards(&view, &world.authors[1].name, &drafts).unwrap());
    let all = view.history(name).unwrap();
    let nothing = view.clone().without_all(all.iter().map(|stored| stored.id));
    assert_eq!(head.n_known_pairs(&nothing, name).unwrap(), 0);
    let alone = idiolect_core::corpus::Review {
        user: "loner".to_owned(),
        item: "nobody-elses".to_owned(),
        ..all[0].review.clone()
    };
    store.put_reviews(&[alone]).unwrap();
    assert_eq!(head.n_known_pairs(&view, "loner").unwrap(), 8);
    assert!(head.rewards(&view, "who", &drafts).is_err());
}
