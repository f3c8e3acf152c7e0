//! Choice of the people and the texts of a question.

use std::collections::HashMap;

use idiolect_core::corpus::{Result, Store, StoredReview};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::guesses::Question;

/// Number of texts of each person to study.
const STUDIED: usize = 3;

/// Minimum length of a text, characters; shorter ones tell little.
const MIN_LENGTH: usize = 40;

/// Maximum ratio of the lengths of the two texts, so that their lengths alone do not tell.
const MAX_RATIO: f64 = 2.0;

/// Maximum number of users who are tried as the first person.
const MAX_TRIED: usize = 200;

/// Chooses two people who wrote about one item, or, if there are no such two, about different ones;
/// `None` if no two users have enough texts. `may` says whose texts may be shown. The same store and
/// seed give the same question.
pub(super) fn choose(
    store: &Store,
    seed: u64,
    may: &dyn Fn(&str) -> bool,
) -> Result<Option<Question>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut users: Vec<String> = store
        .users(STUDIED as u64 + 1)?
        .into_iter()
        .map(|user| user.user)
        .filter(|user| may(user))
        .collect();
    users.sort_unstable();
    shuffle(&mut users, &mut random);
    users.truncate(MAX_TRIED);
    let mut histories: HashMap<String, Vec<StoredReview>> = HashMap::new();
    // Texts of similar lengths on one item, else any on one item, else on different ones.
    let mut other_choice = None;
    for first in &users {
        let mut own = texts_of(store, &mut histories, first)?;
        shuffle(&mut own, &mut random);
        for text in own {
            let mut others = store.reviews_of(&text.review.item)?;
            others.retain(|other| {
                let user = &other.review.user;
                user != first && may(user) && is_long(other)
            });
            shuffle(&mut others, &mut random);
            for other in others {
                let Some(question) = question(store, &mut histories, [&text, &other], &mut random)?
                else {
                    continue;
                };
                if ratio(&text, &other) <= MAX_RATIO {
                    return Ok(Some(question));
                }
                other_choice = other_choice.or(Some(question));
            }
        }
    }
    if other_choice.is_some() {
        return Ok(other_choice);
    }
    for (at, first) in users.iter().enumerate() {
        for second in &users[at + 1..] {
            let own = texts_of(store, &mut histories, first)?;
            let others = texts_of(store, &mut histories, second)?;
            for text in own.iter().take(STUDIED + 1) {
                for other in others.iter().take(STUDIED + 1) {
                    let pair = [text, other];
                    if let Some(question) = question(store, &mut histories, pair, &mut random)? {
                        return Ok(Some(question));
                    }
                }
            }
        }
    }
    Ok(None)
}

/// The question about two texts; `None` if one of their writers has too few others.
fn question(
    store: &Store,
    histories: &mut HashMap<String, Vec<StoredReview>>,
    texts: [&StoredReview; 2],
    random: &mut ChaCha8Rng,
) -> Result<Option<Question>> {
    let mut studied = [Vec::new(), Vec::new()];
    for (text, studied) in texts.iter().zip(&mut studied) {
        let mut others = texts_of(store, histories, &text.review.user)?;
        // Neither text's item, and nothing that repeats one of the texts.
        others.retain(|other| {
            texts.iter().all(|text| {
                let is_same = other.review.text.trim() == text.review.text.trim();
                other.review.item != text.review.item && !is_same
            })
        });
        if others.len() < STUDIED {
            return Ok(None);
        }
        shuffle(&mut others, random);
        others.truncate(STUDIED);
        *studied = others;
    }
    let is_same = texts[0].review.text.trim() == texts[1].review.text.trim();
    Ok((!is_same).then(|| Question { texts: texts.map(Clone::clone), studied }))
}

/// A user's texts of some length, oldest first.
fn texts_of(
    store: &Store,
    histories: &mut HashMap<String, Vec<StoredReview>>,
    user: &str,
) -> Result<Vec<StoredReview>> {
    if let Some(known) = histories.get(user) {
        return Ok(known.clone());
    }
    let mut texts = store.history(user)?;
    texts.retain(is_long);
    histories.insert(user.to_owned(), texts.clone());
    Ok(texts)
}

fn is_long(stored: &StoredReview) -> bool {
    stored.review.text.trim().chars().count() >= MIN_LENGTH
}

fn ratio(a: &StoredReview, b: &StoredReview) -> f64 {
    let length = |stored: &StoredReview| stored.review.text.trim().chars().count().max(1) as f64;
    let (a, b) = (length(a), length(b));
    a.max(b) / a.min(b)
}

fn shuffle<T>(list: &mut [T], random: &mut ChaCha8Rng) {
    for i in (1..list.len()).rev() {
        list.swap(i, random.random_range(0..=i));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect_core::corpus::Review;

    fn store(rows: &[(&str, &str, &str)]) -> Store {
        let store = Store::in_memory().unwrap();
        let reviews: Vec<Review> = rows
            .iter()
            .enumerate()
            .map(|(time, (user, item, text))| Review {
                user: (*user).to_owned(),
                item: (*item).to_owned(),
                rating: None,
                title: String::new(),
                text: format!("{text} by {user} about {item}, as long as it has to be for this"),
                time: time as i64,
            })
            .collect();
        store.put_reviews(&reviews).unwrap();
        store
    }

    fn all(_: &str) -> bool {
        true
    }

    #[test]
    fn both_texts_are_about_one_item_and_no_other_text_is() {
        let mut rows = Vec::new();
        for user in ["ann", "bob", "cyd", "few"] {
            let items = ["kettle", "lamp", "spade", "mug", "rug"];
            let n = if user == "few" { 2 } else { 5 };
            rows.extend(items[..n].iter().map(|item| (user, *item, "a text")));
        }
        let store = store(&rows);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let question = choose(&store, seed, &all).unwrap().unwrap();
            let [first, second] = &question.texts;
            assert_eq!(first.review.item, second.review.item);
            assert_ne!(first.review.user, second.review.user);
            for (text, studied) in question.texts.iter().zip(&question.studied) {
                assert_eq!(studied.len(), 3);
                for other in studied {
                    assert_eq!(other.review.user, text.review.user);
                    assert_ne!(other.review.item, text.review.item);
                }
                assert_ne!(text.review.user, "few");
            }
            let again = choose(&store, seed, &all).unwrap().unwrap();
            assert_eq!((&again.texts, &again.studied), (&question.texts, &question.studied));
            seen.insert((first.id, second.id));
        }
        assert!(seen.len() > 5, "{seen:?}");
        let restricted = choose(&store, 1, &|user| user != "ann").unwrap().unwrap();
        assert!(restricted.texts.iter().all(|text| text.review.user != "ann"));
        assert!(choose(&store, 1, &|user| user == "ann").unwrap().is_none());
    }

    #[test]
    fn people_without_a_common_item_are_asked_about_different_ones() {
        let rows: Vec<(&str, &str, &str)> = ["a1", "a2", "a3", "a4"]
            .iter()
            .map(|item| ("ann", *item, "a text"))
            .chain(["b1", "b2", "b3", "b4"].iter().map(|item| ("bob", *item, "a text")))
            .collect();
        let question = choose(&store(&rows), 7, &all).unwrap().unwrap();
        assert_ne!(question.texts[0].review.item, question.texts[1].review.item);
        assert!(choose(&store(&rows[..4]), 7, &all).unwrap().is_none());
        assert!(choose(&store(&[]), 7, &all).unwrap().is_none());
    }
}
