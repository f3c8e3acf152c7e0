//! Tests of the controls on users with known styles: they must detect a method that has the user's
//! style, and no other.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::identification::{IdentifyOptions, identify, trials};
use super::pairs::{PairOptions, Partner, UserPair, choose_pairs};
use super::swap::{SwapScores, SwapTest, swap_test};
use super::synthetic::{Author, World, WorldOptions};
use super::wrong_users::{MatchOptions, Traits, wrong_users};
use idiolect_core::corpus::{Item, Review};
use idiolect_metrics::overlap::Rouge;
use idiolect_metrics::statistics::{PerUser, Settings, Verdict, compare};
use idiolect_metrics::stylometry::{Delta, Features, StyleProfile, StyleSpace, TfIdf};

/// Text by an author (first) about an item (last), possibly in another author's style (second).
type Method = fn(&World, &Author, &Author, usize) -> String;

/// A method that has learnt the user's style.
const RIGHT: Method = |world, author, _, item| world.write(author, item, 1).text;
/// A method that has learnt another user's style.
const WRONG: Method = |world, _, other, item| world.write(other, item, 1).text;
/// A method that ignores the user.
const BLIND: Method = |world, _, _, item| world.write(&World::stranger(), item, 1).text;
/// A method that ignores the user and samples a different text for each.
const BLIND_DRAWS: Method = |world, author, _, item| {
    let draw = author.name.bytes().map(u64::from).fold(7, |draw, byte| draw * 31 + byte);
    world.write(&World::stranger(), item, draw).text
};
/// The users' real texts.
const REAL: Method = |world, author, _, item| world.write(author, item, 0).text;

fn world(n_without_rules: usize) -> World {
    World::new(&WorldOptions {
        n_authors: 60,
        n_without_rules,
        n_items: 16,
        n_reviews: 12,
        seed: 3,
    })
}

fn spaces(world: &World) -> [Box<dyn StyleSpace>; 3] {
    let texts: Vec<&str> = world.reviews.iter().map(|review| review.text.as_str()).collect();
    [
        Box::new(Delta::fit(Features::FunctionWords, &texts).unwrap()),
        Box::new(Delta::fit(Features::Trigrams(500), &texts).unwrap()),
        Box::new(TfIdf::fit(&texts).unwrap()),
    ]
}

fn place(world: &World, item: &str) -> usize {
    world.items.iter().position(|i| i.id == item).unwrap()
}

fn author<'a>(world: &'a World, name: &str) -> &'a Author {
    world.authors.iter().find(|author| author.name == name).unwrap()
}

/// Style profile of a user's texts about other items.
fn own(world: &World, space: &dyn StyleSpace, user: &str, but: &str) -> StyleProfile {
    let reviews = world.reviews.iter().filter(|r| r.user == user && r.item != but);
    space.profile(&reviews.map(|review| review.text.as_str()).collect::<Vec<_>>())
}

fn swap(world: &World, space: &dyn StyleSpace, method: Method) -> SwapTest {
    let texts: Vec<(&str, &str)> =
        world.reviews.iter().map(|r| (r.user.as_str(), r.item.as_str())).collect();
    let options = PairOptions { n: 80, most_per_user: 3, seed: 1 };
    let crossings: Vec<SwapScores> = choose_pairs(&texts, Partner::Random, &options)
        .iter()
        .map(|UserPair { a, b, item }| {
            let (one, other) = (author(world, a), author(world, b));
            let i = place(world, item);
            let (as_a, as_b) = (method(world, one, other, i), method(world, other, one, i));
            let own = [a, b].map(|user| own(world, space, user, item));
            SwapScores::measured(space, (a, b), item, (&as_a, &as_b), (&own[0], &own[1]))
        })
        .collect();
    assert_eq!(crossings.len(), 80);
    swap_test(&crossings, &Settings::default()).unwrap()
}

#[test]
fn the_swap_test_finds_who_has_the_style_and_nobody_else() {
    let world = world(0);
    for space in spaces(&world) {
        let name = space.name();
        let [ceiling, right, wrong, blind, draws] = [REAL, RIGHT, WRONG, BLIND, BLIND_DRAWS]
            .map(|method| swap(&world, space.as_ref(), method));
        let interval = |test: &SwapTest| test.accuracy.interval.unwrap();
        assert!(ceiling.accuracy.value > 0.85, "{name}: {ceiling:?}");
        assert!((ceiling.accuracy.value - right.accuracy.value).abs() < 0.1, "{name}: {right:?}");
        assert!(interval(&right).low > 0.5 && right.p < 0.001, "{name}: {right:?}");
        assert!(wrong.accuracy.value < 0.15 && interval(&wrong).high < 0.5, "{name}: {wrong:?}");
        assert!(wrong.p < 0.001);
        assert_eq!((blind.accuracy.value, blind.ties, blind.p), (0.5, 1.0, 1.0), "{name}");
        assert!(interval(&draws).holds(0.5) && draws.p > 0.05, "{name}: {draws:?}");
    }
}

#[test]
fn the_swap_test_finds_nothing_where_there_is_no_style() {
    let world = world(60);
    for space in spaces(&world) {
        let name = space.name();
        for method in [REAL, RIGHT, WRONG] {
            let test = swap(&world, space.as_ref(), method);
            assert!(test.accuracy.interval.unwrap().holds(0.5), "{name}: {test:?}");
            assert!(test.p > 0.05, "{name}: {test:?}");
        }
    }
}

#[test]
fn identification_finds_users_above_chance_and_better_in_several_texts() {
    let world = world(0);
    for space in spaces(&world) {
        let name = space.name();
        let own: BTreeMap<&str, StyleProfile> = world
            .authors
            .iter()
            .map(|author| {
                (author.name.as_str(), self::own(&world, space.as_ref(), &author.name, ""))
            })
            .collect();
        let found = |method: Method, together: usize| {
            let written: Vec<(&str, Vec<String>)> = (0..60)
                .map(|i| {
                    let (author, other) = (&world.authors[i], &world.authors[(i + 7) % 60]);
                    let write = |item| method(&world, author, other, item);
                    (author.name.as_str(), (0..5).map(write).collect())
                })
                .collect();
            let written: BTreeMap<&str, Vec<&str>> = written
                .iter()
                .map(|(user, texts)| (*user, texts.iter().map(String::as_str).collect()))
                .collect();
            let options = IdentifyOptions { together, ..IdentifyOptions::default() };
            let trials = trials(space.as_ref(), &written, &own, &options).unwrap();
            identify(&trials, &Settings::default()).unwrap()
        };
        let (one, five) = (found(RIGHT, 1), found(RIGHT, 5));
        assert_eq!((one.n_trials, five.n_trials, five.n_candidates), (300, 60, 50));
        assert!(five.auc.value > 0.95 && five.mrr.value > 0.7, "{name}: {five:?}");
        assert!(one.mrr.value < five.mrr.value, "{name}: {one:?} {five:?}");
        assert!(one.mrr.interval.unwrap().low > 3.0 * one.chance.mrr, "{name}: {one:?}");
        let blind = found(BLIND_DRAWS, 1);
        assert!(blind.auc.interval.unwrap().holds(0.5), "{name}: {blind:?}");
        assert!(blind.mrr.interval.unwrap().holds(blind.chance.mrr), "{name}: {blind:?}");
        let wrong = found(WRONG, 5);
        assert!(wrong.recall_at_1.value < 0.1 && wrong.auc.value < 0.65, "{name}: {wrong:?}");
    }
}

/// Verdict on a method's gain from the right user's style over matched wrong users' styles.
fn wrong_user_gain(world: &World) -> Verdict {
    let item_of = |review: &Review| &world.items[place(world, &review.item)];
    let traits: Vec<Traits> = world
        .authors
        .iter()
        .map(|author| {
            let history: Vec<(&Review, &Item)> = world
                .reviews
                .iter()
                .filter(|review| review.user == author.name)
                .map(|review| (review, item_of(review)))
                .collect();
            Traits::of(&author.name, &history)
        })
        .collect();
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for (author, own) in world.authors.iter().zip(&traits) {
        for target in world.reviews.iter().filter(|review| review.user == author.name).take(4) {
            let i = place(world, &target.item);
            let options = MatchOptions { n: 2, at_least: 5, seed: 1 };
            let others = wrong_users(own, &world.items[i], &traits, &options);
            assert_eq!(others.len(), 2);
            for other in &others {
                assert_ne!(other.user, author.name);
                let as_other = world.write(self::author(world, &other.user), i, 1).text;
                wrong.push((author.name.as_str(), Rouge::of(&as_other, &target.text).rouge_l));
            }
            let as_self = world.write(author, i, 1).text;
            right.push((author.name.as_str(), Rouge::of(&as_self, &target.text).rouge_l));
        }
    }
    let (right, wrong) = (PerUser::averaged(right).unwrap(), PerUser::averaged(wrong).unwrap());
    compare(&[(&right, &wrong)], &Settings::default()).unwrap()[0].verdict
}

#[test]
fn the_right_user_gains_over_matched_others_only_where_there_is_a_style() {
    assert_eq!(wrong_user_gain(&world(0)), Verdict::Higher);
    assert_eq!(wrong_user_gain(&world(60)), Verdict::NoDifferenceShown);
}

#[derive(serde::Deserialize)]
struct SampleReview {
    user: String,
    text: String,
    time: i64,
}

/// The invented users of data/sample were written to be distinguishable.
#[test]
fn the_voices_of_the_sample_are_found_by_their_newest_texts() {
    let lines = include_str!("../../data/sample/reviews.jsonl").lines();
    let reviews: Vec<SampleReview> =
        lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut by_user: BTreeMap<&str, Vec<&SampleReview>> = BTreeMap::new();
    reviews.iter().for_each(|review| by_user.entry(&review.user).or_default().push(review));
    by_user.values_mut().for_each(|of_user| of_user.sort_by_key(|review| review.time));
    let texts = |reviews: &[&SampleReview]| -> Vec<String> {
        reviews.iter().map(|review| review.text.clone()).collect()
    };
    let population: Vec<String> = reviews.iter().map(|review| review.text.clone()).collect();
    let spaces: [Box<dyn StyleSpace>; 3] = [
        Box::new(Delta::fit(Features::FunctionWords, &population).unwrap()),
        Box::new(Delta::fit(Features::Trigrams(500), &population).unwrap()),
        Box::new(TfIdf::fit(&population).unwrap()),
    ];
    for (space, least_auc) in spaces.iter().zip([0.7, 0.8, 0.8]) {
        let split = |of_user: &[&SampleReview]| {
            let (past, newest) = of_user.split_at(of_user.len() - 3);
            (texts(past), texts(newest))
        };
        let split: BTreeMap<&str, (Vec<String>, Vec<String>)> =
            by_user.iter().map(|(user, of_user)| (*user, split(of_user))).collect();
        let strings: fn(&[String]) -> Vec<&str> =
            |texts| texts.iter().map(String::as_str).collect();
        let own = split.iter().map(|(user, (past, _))| (*user, space.profile(&strings(past))));
        let own: BTreeMap<&str, StyleProfile> = own.collect();
        let newest = split.iter().map(|(user, (_, newest))| (*user, strings(newest))).collect();
        let trials = trials(space.as_ref(), &newest, &own, &IdentifyOptions::default()).unwrap();
        let found = identify(&trials, &Settings::default()).unwrap();
        let name = space.name();
        assert_eq!((found.n_candidates, found.n_trials), (16, 48));
        assert!(found.auc.value > least_auc, "{name}: {found:?}");
        assert!(found.mrr.interval.unwrap().low > found.chance.mrr, "{name}: {found:?}");
    }
}
