//! Filters that depend on each other, taken to the point where none removes anything more.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::parameters::{RepeatedTexts, SplitParameters};
use crate::corpus::{ReviewId, StoredReview};

/// A review, with numbers in place of names and text.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) id: ReviewId,
    pub(super) user: usize,
    pub(super) item: usize,
    time: i64,
    /// Hash of the text; two texts of one user with the same hash are taken for the same.
    text: u64,
    name: std::rc::Rc<str>,
}

/// A user's reviews, oldest first, in two: those that methods may read and those held out.
pub(super) struct HeldApart {
    pub(super) name: String,
    pub(super) profile: Vec<Candidate>,
    pub(super) inputs: Vec<Candidate>,
}

/// Numbers for names, in order of appearance.
#[derive(Default)]
pub(super) struct Numbers {
    users: HashMap<std::rc::Rc<str>, usize>,
    items: HashMap<String, usize>,
}

impl Numbers {
    pub(super) fn candidate(&mut self, stored: &StoredReview) -> Candidate {
        let review = &stored.review;
        let (n_users, n_items) = (self.users.len(), self.items.len());
        let name = match self.users.get_key_value(review.user.as_str()) {
            Some((name, _)) => name.clone(),
            None => review.user.as_str().into(),
        };
        let mut hasher = DefaultHasher::new();
        review.text.split_whitespace().for_each(|word| word.hash(&mut hasher));
        Candidate {
            id: stored.id,
            user: *self.users.entry(name.clone()).or_insert(n_users),
            item: *self.items.entry(review.item.clone()).or_insert(n_items),
            time: review.time,
            text: hasher.finish(),
            name,
        }
    }
}

/// Drops repeated texts, items with too few users and users with too few or too many reviews, until
/// all that is left passes. A user's reviews end up oldest first.
pub(super) fn to_fixed_point(reviews: &mut Vec<Candidate>, parameters: &SplitParameters) {
    reviews.sort_by_key(|r| (r.user, r.time, r.id));
    if parameters.repeated_texts == RepeatedTexts::KeepNewest {
        // Later rounds only remove reviews, so they cannot make a text a repeated one.
        let mut newest = HashMap::new();
        for review in reviews.iter() {
            newest.insert((review.user, review.text), review.id);
        }
        reviews.retain(|r| newest[&(r.user, r.text)] == r.id);
    }
    loop {
        let before = reviews.len();
        // A user has one review of an item at most, so reviews of an item are its users.
        let users_of_item = counts(reviews.iter().map(|r| r.item));
        reviews.retain(|r| users_of_item[&r.item] >= parameters.item_users);
        let reviews_of_user = counts(reviews.iter().map(|r| r.user));
        let enough = parameters.min_reviews..=parameters.max_reviews;
        reviews.retain(|r| enough.contains(&reviews_of_user[&r.user]));
        if reviews.len() == before {
            return;
        }
    }
}

/// Sets each user's newest `n_inputs` reviews apart; users in order of their names. A user who has
/// not more than that is left out.
pub(super) fn held_apart(reviews: Vec<Candidate>, n_inputs: usize) -> Vec<HeldApart> {
    let mut users: Vec<HeldApart> = reviews
        .chunk_by(|a, b| a.user == b.user)
        .filter(|reviews| reviews.len() > n_inputs)
        .map(|reviews| {
            let (profile, inputs) = reviews.split_at(reviews.len() - n_inputs);
            let name = reviews[0].name.to_string();
            HeldApart { name, profile: profile.to_vec(), inputs: inputs.to_vec() }
        })
        .collect();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    users
}

/// Drops items that too few profiles have, and users with too small a profile, until all that is
/// left passes.
pub(super) fn profiles_to_fixed_point(users: &mut Vec<HeldApart>, parameters: &SplitParameters) {
    loop {
        let profiles = |users: &[HeldApart]| users.iter().map(|u| u.profile.len()).sum::<usize>();
        let before = (users.len(), profiles(users));
        let users_of_item = counts(users.iter().flat_map(|u| u.profile.iter().map(|r| r.item)));
        for user in users.iter_mut() {
            user.profile.retain(|r| users_of_item[&r.item] >= parameters.profile_item_users);
        }
        users.retain(|user| user.profile.len() >= parameters.profile_reviews);
        if before == (users.len(), profiles(users)) {
            return;
        }
    }
}

fn counts(keys: impl Iterator<Item = usize>) -> HashMap<usize, usize> {
    let mut counts = HashMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}
