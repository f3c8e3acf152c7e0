//! Tests of plans for users with several texts on one item, like the mails of a thread.

#![allow(clippy::unwrap_used)]

use idiolect_core::corpus::split::{self, Preset, RepeatedItems, SplitParameters, SplitPart};
use idiolect_core::corpus::{Review, ReviewId, Store, View};
use idiolect_engine::progress::Silent;

use super::plan::{Plan, PlanOptions};

/// Five users who wrote three texts each on the items `i0` to `i3`, in turns; the third one on `i3`
/// is short, and `last` wrote it on the day of the second.
fn threads() -> Store {
    let store = Store::in_memory().unwrap();
    let mut reviews = Vec::new();
    for item in 0..4 {
        for turn in 0..3 {
            for user in ["a", "b", "c", "d", "last"] {
                let is_short = item == 3 && turn == 2;
                let words = if is_short { "short" } else { "a text of more words than that" };
                let same_day = is_short && user == "last";
                reviews.push(Review {
                    user: user.to_owned(),
                    item: format!("i{item}"),
                    rating: None,
                    title: String::new(),
                    text: format!("{user}-{item}-{turn} {words}"),
                    time: 10 * item + turn - i64::from(same_day),
                });
            }
        }
    }
    store.put_reviews(&reviews).unwrap();
    store
}

fn plan(store: &Store, parameters: &SplitParameters) -> Plan {
    let (split, _) = split::make(store, "s", parameters, &Silent).unwrap();
    let options = PlanOptions {
        part: SplitPart::Test,
        users: None,
        wrong_users: 1,
        pairs: 20,
        peers_any_time: false,
        seed: 1,
    };
    Plan::new(store, &split, &options, None).unwrap()
}

/// The texts of a user that the case of that user shows, and the target.
fn shown(store: &Store, plan: &Plan, user: &str) -> (Vec<String>, String) {
    let case = plan.cases.iter().find(|case| case.review.review.user == user).unwrap();
    let view = View::all(store).without_all(case.hidden.iter().copied());
    let texts = view.history(user).unwrap().into_iter();
    let first_word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let texts = texts.map(|r| first_word(&r.review.text)).collect();
    (texts, first_word(&case.review.review.text))
}

#[test]
fn of_the_targets_item_only_what_the_split_has_before_it_is_shown() {
    let store = threads();
    let parameters = SplitParameters { min_chars: 20, ..SplitParameters::of(Preset::None) };
    let with_all = plan(&store, &parameters);
    for user in ["a", "last"] {
        let (texts, target) = shown(&store, &with_all, user);
        // The short text was written later, or at the same time, and is not part of the split.
        assert_eq!(target, format!("{user}-3-1"));
        assert_eq!(texts.len(), 10, "{texts:?}");
        assert_eq!(texts.last().unwrap(), &format!("{user}-3-0"));
    }
    // Nor is anything estimated from the short texts on the targets' item.
    let held_out = with_all.held_out();
    for stored in store.reviews_of("i3").unwrap() {
        let is_earlier = stored.review.text.contains("-3-0 ");
        assert_eq!(held_out.contains(&stored.id), !is_earlier, "{}", stored.review.text);
    }
    assert_eq!(held_out.len(), 10);
    // If the split drops repeated items, the item is new to the user.
    let parameters = SplitParameters { repeated_items: RepeatedItems::KeepNewest, ..parameters };
    let (texts, target) = shown(&store, &plan(&store, &parameters), "a");
    assert_eq!(target, "a-3-1");
    assert_eq!(texts.len(), 9);
    assert!(texts.iter().all(|text| !text.starts_with("a-3")), "{texts:?}");
}

#[test]
fn pairs_are_about_items_without_held_out_texts_and_compare_the_newest() {
    let store = threads();
    let plan = plan(&store, &SplitParameters::of(Preset::None));
    assert!(!plan.swaps.is_empty());
    for swap in &plan.swaps {
        assert_ne!(swap.item.id, "i3", "everybody's held-out text is about it");
        for real in &swap.real {
            let newest: ReviewId = store
                .history(&real.review.user)
                .unwrap()
                .iter()
                .filter(|written| written.review.item == swap.item.id)
                .map(|written| written.id)
                .next_back()
                .unwrap();
            assert_eq!(real.id, newest);
        }
    }
}
