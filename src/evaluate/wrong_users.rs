//! Other users to write as, in place of the right one.
//!
//! What a method gains over somebody else's history is personalization; what it gains over no
//! history at all is also genre and length. So the others are matched: the same kind of items, like
//! ratings, texts of like length.

use std::collections::{BTreeSet, HashSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::seed::seed_for;
use idiolect_core::corpus::{Item, Key, Review};

/// Others among whom is drawn, for each that is wanted.
const POOL: usize = 3;

/// What others are matched by.
#[derive(Debug, Clone, PartialEq)]
pub struct Traits {
    user: String,
    n_reviews: usize,
    items: BTreeSet<String>,
    /// Outermost categories of the items.
    categories: BTreeSet<String>,
    mean_rating: Option<f64>,
    /// Natural logarithm of the mean length of a text in characters.
    log_length: f64,
    /// Hashes of the texts, without case and white space.
    texts: HashSet<Key>,
}

impl Traits {
    /// Of a user's history, each review with its item. An empty one matches nobody.
    #[must_use]
    pub fn of(user: &str, history: &[(&Review, &Item)]) -> Self {
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

    /// Whose traits these are.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

fn text_key(text: &str) -> Key {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    Key::of("text").with("words", words.join(" ")).finish()
}

/// Another user to write as.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WrongUser {
    /// The user.
    pub user: String,
    /// Root of the sum of two squares: the difference of the mean ratings, and that of the
    /// logarithms of the mean lengths, each in standard deviations over all users given. A rating
    /// that either lacks counts as no difference.
    pub distance: f64,
    /// Whether they wrote about items of the target's category; also true where the target has none.
    pub same_category: bool,
    /// Whether they wrote about the target's item. That text must be hidden from the method, like the
    /// right user's.
    pub wrote_about_item: bool,
}

/// What is asked of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MatchOptions {
    /// How many.
    pub n: usize,
    /// Fewest reviews of their histories.
    pub at_least: usize,
    /// Seed of the draw.
    pub seed: u64,
}

/// Others to write a target of `right` as: `n` drawn from the `3 n` that match best, best match
/// first; fewer where there are not as many.
///
/// Best are, in this order: those with the target's outermost category, if it has one; those who did
/// not write about its item; the nearest by [`WrongUser::distance`]. Whoever shares a text with the
/// right user, case and white space aside, may be the same person and is left out. The order of
/// `users`, among whom the right one may be, does not matter.
#[must_use]
pub fn wrong_users(
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
    // A worse kind of match only makes up for what the better kinds lack.
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

    /// Two reviews of `letters` characters, about `first` and another item of the same category.
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
        // Where three are of the best kind nobody of another is drawn.
        for seed in 0..30 {
            let options = MatchOptions { n: 3, at_least: 2, seed };
            let drawn = wrong_users(&users[0], &tea, &users, &options);
            assert_eq!(names(&drawn), ["like", "near", "far"]);
        }
        // Without a category anybody will do.
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
