#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::{Item, KeptReviews, Review};
use idiolect_engine::progress::Silent;

fn review(user: usize, item: usize, time: i64) -> Review {
    Review {
        user: format!("u{user:02}"),
        item: format!("i{item:02}"),
        rating: Some(3.0),
        title: "t".to_owned(),
        text: format!("text {user} {item} {time}"),
        time,
    }
}

fn store(reviews: &[Review]) -> Store {
    let store = Store::in_memory().unwrap();
    store.put_reviews(reviews).unwrap();
    store
}

/// Reviews of every one of `n_items` items by every one of `n_users` users; a user reviews the
/// items in order.
fn grid(n_users: usize, n_items: usize) -> Vec<Review> {
    let users = 0..n_users;
    users.flat_map(|u| (0..n_items).map(move |i| review(u, i, 1 + i as i64))).collect()
}

#[test]
fn the_newest_are_held_out_and_the_rest_is_the_profile() {
    let store = store(&grid(3, 20));
    let parameters = SplitParameters {
        item_users: 3,
        profile_item_users: 3,
        min_chars: 1,
        min_description: 0,
        required: vec![Required::Rating, Required::Title, Required::Time],
        ..SplitParameters::of(Preset::Dpl)
    };
    let (split, funnel) = make(&store, "s", &parameters, &Silent).unwrap();
    assert_eq!(split.users.len(), 3);
    for user in &split.users {
        let history = store.history(&user.user).unwrap();
        let ids: Vec<ReviewId> = history.iter().map(|r| r.id).collect();
        assert_eq!(user.profile, ids[..10]);
        let inputs: Vec<_> = user.inputs.iter().map(|(_, id)| *id).collect();
        assert_eq!(inputs, ids[10..]);
        let parts: Vec<SplitPart> = user.inputs.iter().map(|(part, _)| *part).collect();
        assert_eq!(parts[..8], [SplitPart::Train; 8]);
        assert_eq!(parts[8..], [SplitPart::Val, SplitPart::Test]);
    }
    assert_eq!(funnel.last().unwrap().reviews, 60);
    assert_eq!(store.split("s").unwrap(), split);
    assert_eq!(split.held_out(SplitPart::Test).count(), 3);

    // Repeating gives the same split; new parameters replace it; if no user passes, it stays.
    assert_eq!(make(&store, "s", &parameters, &Silent).unwrap().0, split);
    let fewer = SplitParameters { train: 0, ..parameters.clone() };
    let (other, _) = make(&store, "s", &fewer, &Silent).unwrap();
    assert_eq!(store.split("s").unwrap(), other);
    let impossible = SplitParameters { item_users: 4, ..parameters };
    let message = make(&store, "s", &impossible, &Silent).unwrap_err().to_string();
    assert!(message.contains("3 users and 60 reviews after `everything`"), "{message}");
    assert_eq!(store.split("s").unwrap(), other);
    assert_eq!(store.splits().unwrap(), ["s"]);
}

#[test]
fn filters_on_reviews_and_items() {
    let mut reviews = grid(1, 12);
    reviews[0].text = "  short  ".to_owned();
    reviews[1].rating = None;
    reviews[2].title = " ".to_owned();
    reviews[3].time = 0;
    reviews[4].text = "the same text here".to_owned();
    reviews[5].text = "the same  text here".to_owned();
    let store = store(&reviews);
    let described = |n: usize, heading: &str, length: usize| Item {
        id: format!("i{n:02}"),
        title: "T".to_owned(),
        description: format!("{heading}{}", "é".repeat(length)),
        categories: vec!["C".to_owned()],
    };
    let mut items: Vec<Item> = (0..12).map(|n| described(n, "", 100)).collect();
    items[6] = described(6, "", 99);
    items[7] = described(7, "", 2001);
    items[8] = described(8, "Product Description ", 99);
    items[9] = described(9, "Product Description ", 100);
    items[10].title = String::new();
    items[11].categories = Vec::new();
    store.put_items(&items).unwrap();
    let parameters = SplitParameters {
        min_chars: 8,
        item_users: 1,
        min_reviews: 2,
        profile_item_users: 1,
        profile_reviews: 1,
        train: 0,
        val: 0,
        ..SplitParameters::of(Preset::Dpl)
    };
    let (split, _) = make(&store, "s", &parameters, &Silent).unwrap();
    let user = &split.users[0];
    let all = user.profile.iter().chain(user.inputs.iter().map(|(_, id)| id));
    let kept: Vec<String> =
        all.map(|id| store.reviews(&[*id]).unwrap()[0].review.item.clone()).collect();
    assert_eq!(kept, ["i05", "i09"]);
}

#[test]
fn what_is_missing_or_out_of_date_says_so() {
    let store = store(&grid(2, 3));
    let parameters = SplitParameters::of(Preset::None);
    make(&store, "mine", &parameters, &Silent).unwrap();
    let message = store.split("yours").unwrap_err().to_string();
    assert!(message.contains("`yours`") && message.contains("`mine`"), "{message}");
    let newer = review(0, 0, 99).into();
    store.put_source_reviews(&[newer], KeptReviews::Newest).unwrap();
    assert!(matches!(store.split("mine"), Err(Error::StaleSplit { lost: 1, size: 6, .. })));
    make(&store, "mine", &parameters, &Silent).unwrap();
    assert!(store.split("mine").is_ok());
    let none = SplitParameters { test: 0, ..parameters };
    assert!(matches!(make(&store, "mine", &none, &Silent), Err(Error::BadSplit { .. })));
}

/// Two users with three reviews each of items 0 to 3, and one with a single review of item 0.
fn threads() -> Vec<Review> {
    let mut reviews = vec![review(2, 0, 1)];
    for user in 0..2 {
        for item in 0..4 {
            reviews.extend((0..3).map(|n| review(user, item, 1 + 10 * item as i64 + n)));
        }
    }
    reviews
}

#[test]
fn an_item_counts_users_and_not_reviews() {
    let store = store(&threads());
    let none = SplitParameters { min_reviews: 1, ..SplitParameters::of(Preset::None) };
    let parameters = SplitParameters { item_users: 3, ..none.clone() };
    // Only item 0 has three users; users 0 and 1 have three reviews of it.
    let (split, funnel) = make(&store, "s", &parameters, &Silent).unwrap();
    assert_eq!(funnel[2].reviews, 7);
    assert_eq!(split.users.iter().map(|u| u.profile.len()).collect::<Vec<_>>(), [2, 2]);
    let parameters = SplitParameters { profile_item_users: 3, ..none };
    assert!(matches!(make(&store, "s", &parameters, &Silent), Err(Error::EmptySplit { .. })));
}

#[test]
fn of_repeated_items_the_newest_is_kept_as_dpl_does() {
    let store = store(&threads());
    let kept = |repeated_items| {
        let parameters = SplitParameters { repeated_items, ..SplitParameters::of(Preset::None) };
        let (split, _) = make(&store, "s", &parameters, &Silent).unwrap();
        assert_eq!(store.split("s").unwrap(), split);
        let user = split.users[0].clone();
        let ids: Vec<ReviewId> =
            user.profile.into_iter().chain(user.inputs.into_iter().map(|(_, id)| id)).collect();
        store.reviews(&ids).unwrap().iter().map(|r| r.review.time).collect::<Vec<_>>()
    };
    assert_eq!(kept(RepeatedItems::KeepAll), [1, 2, 3, 11, 12, 13, 21, 22, 23, 31, 32, 33]);
    assert_eq!(kept(RepeatedItems::KeepNewest), [3, 13, 23, 33]);
    assert_eq!(SplitParameters::of(Preset::Dpl).repeated_items, RepeatedItems::KeepNewest);
}

#[test]
fn a_split_of_before_repeated_items_is_read() {
    let mut parameters = serde_json::json!(SplitParameters::of(Preset::Small));
    parameters.as_object_mut().unwrap().remove("repeated_items").unwrap();
    let read: SplitParameters = serde_json::from_value(parameters).unwrap();
    assert_eq!(read, SplitParameters::of(Preset::Small));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any corpus, the remaining reviews pass every threshold. No review was dropped that could
    /// have stayed: the k-core is the largest set that passes.
    #[test]
    fn what_is_left_passes_every_threshold(
        written in prop::collection::hash_set((0..12_usize, 0..12_usize, 0..2_i64), 1..110),
        item_users in 1..5_usize,
        min_reviews in 2..6_usize,
        profile_item_users in 1..4_usize,
        profile_reviews in 1..4_usize,
    ) {
        let mut written: Vec<_> = written.into_iter().collect();
        written.sort_unstable();
        let reviews: Vec<_> = written
            .iter()
            .map(|&(u, i, n)| review(u, i, 1 + (i as i64 * 7 + u as i64 + 5 * n) % 12))
            .collect();
        let store = store(&reviews);
        let parameters = SplitParameters {
            item_users, min_reviews, profile_item_users, profile_reviews,
            ..SplitParameters::of(Preset::None)
        };
        let Ok((split, funnel)) = make(&store, "s", &parameters, &Silent) else { return Ok(()) };
        let mut users_of_item: HashMap<String, HashSet<&str>> = HashMap::new();
        for user in &split.users {
            prop_assert!(user.profile.len() >= profile_reviews);
            let held_out = user.inputs[0].1;
            let newest = store.reviews(&[held_out]).unwrap()[0].review.time;
            for stored in store.reviews(&user.profile).unwrap() {
                prop_assert!(stored.review.time <= newest);
                users_of_item.entry(stored.review.item).or_default().insert(&user.user);
            }
        }
        prop_assert!(users_of_item.values().all(|users| users.len() >= profile_item_users));
        let cored = brute_force_core(&written, item_users, min_reviews);
        prop_assert_eq!(funnel[2].reviews, cored.len() as u64);
    }
}

/// User, item and number of a review.
type Written = (usize, usize, i64);

fn brute_force_core(
    written: &[Written],
    item_users: usize,
    min_reviews: usize,
) -> HashSet<Written> {
    let mut left: HashSet<_> = written.iter().copied().collect();
    loop {
        // Remove one review at a time, in any order: the core does not depend on the order.
        let fails = left.iter().copied().find(|&(u, i, _)| {
            let users: HashSet<usize> = left.iter().filter(|w| w.1 == i).map(|w| w.0).collect();
            users.len() < item_users || left.iter().filter(|w| w.0 == u).count() < min_reviews
        });
        match fails {
            Some(review) => left.remove(&review),
            None => return left,
        };
    }
}
