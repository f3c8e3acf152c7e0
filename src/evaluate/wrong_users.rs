//! Wrong users: other users whose history replaces the right user's.
//!
//! A method's gain over another user's history is personalization; its gain over no history also
//! includes genre and length. So wrong users are matched by item category, mean rating and mean
//! text length.

use std::collections::{BTreeSet, HashSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::seed::seed_for;
use idiolect_core::corpus::{Item, Key, Review};

/// Size of the pool that wrong users are drawn from, as a multiple of the number needed.
const POOL: usize = 3;

/// A user's traits for matching.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Traits {
    user: String,
    n_reviews: usize,
    items: BTreeSet<String>,
    /// Outermost categories of the items.
    categories: BTreeSet<String>,
    mean_rating: Option<f64>,
    /// Natural logarithm of the mean text length in characters.
    log_length: f64,
    /// Hashes of the texts, ignoring case and white space.
    texts: HashSet<Key>,
}

impl Traits {
    /// Traits of a user's history, given as reviews with their items. A user with an empty history
    /// is never a match.
    #[must_use]
    pub(crate) fn of(user: &str, history: &[(&Review, &Item)]) -> Self {
        let ratings: Vec<f64> =
            history.iter().filter_map(|(review, _)| review.rating).map(f64::from).collect();
        let letters: usize = history.iter().map(|(review, _)| review.text.chars().count()).sum();
        Self {
            user: user.to_owned(),
            n_reviews: history.len(),
            items: history.iter().map(|(_, item)| item.id.clone()).collect(),
            categories: history.iter().filter_map(|(_, i)| i.categories.first().cloned()).collect(),
            mean_rating: (!ratings.is_empty())
                .then(|| ratings.iter().sum::<f64>() / ratings.len() as f64),
            log_length: (letters as f64 / history.len().max(1) as f64).max(1.0).ln(),
            texts: history.iter().map(|(review, _)| text_key(&review.text)).collect(),
        }
    }
}

fn text_key(text: &str) -> Key {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    Key::of("text").with("words", words.join(" ")).finish()
}

/// A matched other user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WrongUser {
    /// The user.
    pub(crate) user: String,
    /// Euclidean distance over two features: the mean rating and the logarithm of the mean length,
    /// each in standard deviations over all given users. A missing rating counts as no difference.
    pub(crate) distance: f64,
    /// Whether the user wrote about items of the target's category; true if the target has no
    /// category.
    pub(crate) same_category: bool,
    /// Whether the user wrote about the target's item. Then that text must be hidden from the
    /// method, like the right user's.
    pub(crate) wrote_about_item: bool,
}

/// Parameters of the choice of wrong users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct MatchOptions {
    /// Number of wrong users.
    pub(crate) n: usize,
    /// Least number of reviews in a wrong user's history.
    pub(crate) at_least: usize,
    /// Seed of the draw.
    pub(crate) seed: u64,
}

/// Chooses `n` wrong users for a target of `right`, best match first; fewer if there are not as
/// many.
///
/// The kind of match comes first: users with the target's outermost category, if it has one, and
/// within them users who did not write about its item. A worse kind is used only if better kinds
/// have too few users. From the last kind used, the `m` users that are still needed are drawn from
/// the `3 m` nearest by [`WrongUser::distance`]. A user who shares a text with the right user,
/// ignoring case and white space, may be the same person and is left out. The order of `users` does
/// not matter; the right user may be among them.
#[must_use]
pub(crate) fn wrong_users(
    right: &Traits,
    target: &Item,
    users: &[Traits],
    options: &MatchOptions,
) -> Vec<WrongUser> {
    let spread = |values: Vec<f64>| {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        if variance > 0.0 { variance.sqrt() } else { 1.0 }
    };
    let sorted = |values: &mut dyn Iterator<Item = f64>| {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let rating_spread = spread(sorted(&mut users.iter().filter_map(|u| u.mean_rating)));
    let length_spread = spread(sorted(&mut users.iter().map(|u| u.log_length)));
    let category = target.categories.first();
    let mut others: Vec<WrongUser> = users
        .iter()
        .filter(|other| other.user != right.user && other.n_reviews >= options.at_least.max(1))
        .filter(|other| other.texts.is_disjoint(&right.texts))
        .map(|other| {
            let rating = match (right.mean_rating, other.mean_rating) {
                (Some(a), Some(b)) => (a - b) / rating_spread,
                _ => 0.0,
            };
            let length = (right.log_length - other.log_length) / length_spread;
            WrongUser {
                user: other.user.clone(),
                distance: rating.hypot(length),
                same_category: category.is_none_or(|c| other.categories.contains(c)),
                wrote_about_item: other.items.contains(&target.id),
            }
        })
        .collect();
    others.sort_unstable_by(by_match);
    // A worse kind of match is used only for what the better kinds lack.
    let kind = |other: &WrongUser| (!other.same_category, other.wrote_about_item);
    let last_kind = others.get(options.n.saturating_sub(1)).map(kind);
    let n_better = others.iter().filter(|other| Some(kind(other)) < last_kind).count();
    let n_last = others.iter().filter(|other| Some(kind(other)) == last_kind).count();
    let mut random = ChaCha8Rng::seed_from_u64(seed_for(options.seed, &[&right.user, &target.id]));
    if n_better < options.n && last_kind.is_some() {
        let pool = n_last.min(POOL * (options.n - n_better));
        others[n_better..n_better + pool].shuffle(&mut random);
    }
    others.truncate(options.n);
    others.sort_unstable_by(by_match);
    others
}

fn by_match(a: &WrongUser, b: &WrongUser) -> std::cmp::Ordering {
    let kind = |other: &WrongUser| (!other.same_category, other.wrote_about_item);
    kind(a).cmp(&kind(b)).then(a.distance.total_cmp(&b.distance)).then(a.user.cmp(&b.user))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, category: &str) -> Item {
        let categories = if category.is_empty() { vec![] } else { vec![category.to_owned()] };
        Item { id: id.to_owned(), title: String::new(), description: String::new(), categories }
    }

    /// Traits of two reviews of about `letters` characters, of `first` and of another item of its
    /// category.
    fn traits(user: &str, first: &Item, rating: f32, letters: usize) -> Traits {
        let second = Item { id: format!("{user}-second"), ..first.clone() };
        let review = |item: &Item, mark: &str| Review {
            user: user.to_owned(),
            item: item.id.clone(),
            rating: Some(rating),
            title: String::new(),
            text: format!("{user} {mark} {}", "x".repeat(letters)),
            time: 0,
        };
        let reviews = [review(first, "one"), review(&second, "two")];
        Traits::of(user, &[(&reviews[0], first), (&reviews[1], &second)])
    }

    fn names(others: &[WrongUser]) -> Vec<&str> {
        others.iter().map(|other| other.user.as_str()).collect()
    }

    #[test]
    fn category_comes_first_then_the_item_then_likeness() {
        let (tea, tool) = (item("t", "tea"), item("h", "tools"));
        let users = [
            traits("right", &item("r", "tea"), 4.0, 200),
            traits("far", &item("f", "tea"), 1.0, 900),
            traits("like", &item("l", "tea"), 4.0, 210),
            traits("near", &item("n", "tea"), 4.5, 250),
            traits("same-item", &tea, 4.0, 200),
            traits("carpenter", &tool, 4.0, 200),
        ];
        let all = |n| MatchOptions { n, at_least: 2, seed: 1 };
        let others = wrong_users(&users[0], &tea, &users, &all(9));
        assert_eq!(names(&others), ["like", "near", "far", "same-item", "carpenter"]);
        assert!(others[0].distance < others[1].distance);
        assert!(others[3].wrote_about_item && !others[2].wrote_about_item);
        assert!(others[3].same_category && !others[4].same_category);
        // If three users are of the best kind, no user of another kind is drawn.
        for seed in 0..30 {
            let options = MatchOptions { n: 3, at_least: 2, seed };
            let drawn = wrong_users(&users[0], &tea, &users, &options);
            assert_eq!(names(&drawn), ["like", "near", "far"]);
        }
        // A target without a category matches users of any category.
        let anything = wrong_users(&users[0], &item("a", ""), &users, &all(9));
        assert!(anything.iter().all(|other| other.same_category));
        assert_eq!(names(&anything)[..2], ["carpenter", "same-item"]);
        let eager = MatchOptions { at_least: 3, ..all(9) };
        assert!(wrong_users(&users[0], &tea, &users, &eager).is_empty());
    }

    #[test]
    fn whoever_shares_a_text_is_left_out() {
        let lamp = item("lamp", "");
        let review = |text: &str| Review {
            user: "u".to_owned(),
            item: "lamp".to_owned(),
            rating: None,
            title: String::new(),
            text: text.to_owned(),
            time: 0,
        };
        let [one, copy, other] = ["It is  bright.", "it IS bright.", "It is dim."].map(review);
        let right = Traits::of("right", &[(&one, &lamp)]);
        let users =
            [Traits::of("copy", &[(&copy, &lamp)]), Traits::of("other", &[(&other, &lamp)])];
        let options = MatchOptions { n: 5, at_least: 1, seed: 0 };
        let others = wrong_users(&right, &lamp, &users, &options);
        assert_eq!(names(&others), ["other"]);
        assert!(others[0].wrote_about_item && others[0].distance < 10.0);
    }

    #[test]
    fn draws_are_seeded_come_from_the_nearest_and_know_no_order() {
        let mut users: Vec<Traits> = (0..40)
            .map(|i| traits(&format!("u{i:02}"), &item(&format!("i{i}"), ""), 3.0, 100 + 20 * i))
            .collect();
        let right = traits("right", &item("r", ""), 3.0, 90);
        let draw = |users: &[Traits], seed| {
            let options = MatchOptions { n: 4, at_least: 1, seed };
            let others = wrong_users(&right, &item("t", ""), users, &options);
            others.into_iter().map(|other| other.user).collect::<Vec<_>>()
        };
        let first = draw(&users, 1);
        assert!((0..20).any(|seed| draw(&users, seed) != first));
        for seed in 0..20 {
            let drawn = draw(&users, seed);
            assert!(
                drawn.len() == 4 && drawn.iter().all(|user| user.as_str() < "u12"),
                "{drawn:?}"
            );
        }
        users.reverse();
        assert_eq!(draw(&users, 1), first);
    }
}
