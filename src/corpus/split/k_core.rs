//! Mutually dependent filters on users and items, repeated until they reach a fixed point (k-core).

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::parameters::{RepeatedItems, RepeatedTexts, SplitParameters};
use crate::{ReviewId, StoredReview};

/// A review, with indices in place of user and item and a hash in place of the text.
#[derive(Debug, Clone)]
pub(super) struct CandidateReview {
    pub(super) id: ReviewId,
    pub(super) user: usize,
    pub(super) item: usize,
    time: i64,
    /// Hash of the text's words. Two texts of one user with the same hash count as equal.
    text: u64,
    name: std::rc::Rc<str>,
}

/// A user's reviews, oldest first, split into the profile, which methods may read, and the held-out
/// inputs.
pub(super) struct HeldOutUser {
    pub(super) name: String,
    pub(super) profile: Vec<CandidateReview>,
    pub(super) inputs: Vec<CandidateReview>,
}

/// Indices of users and items, in order of first appearance.
#[derive(Default)]
pub(super) struct Numbers {
    users: HashMap<std::rc::Rc<str>, usize>,
    items: HashMap<String, usize>,
}

impl Numbers {
    pub(super) fn candidate(&mut self, stored: &StoredReview) -> CandidateReview {
        let review = &stored.review;
        let (n_users, n_items) = (self.users.len(), self.items.len());
        let name = match self.users.get_key_value(review.user.as_str()) {
            Some((name, _)) => name.clone(),
            None => review.user.as_str().into(),
        };
        let mut hasher = DefaultHasher::new();
        review.text.split_whitespace().for_each(|word| word.hash(&mut hasher));
        CandidateReview {
            id: stored.id,
            user: *self.users.entry(name.clone()).or_insert(n_users),
            item: *self.items.entry(review.item.clone()).or_insert(n_items),
            time: review.time,
            text: hasher.finish(),
            name,
        }
    }
}

/// Drops repeated items and texts, items with too few users, and users with too few or too many reviews,
/// until all that remain pass. Sorts the reviews by user and then from oldest to newest.
pub(super) fn to_fixed_point(reviews: &mut Vec<CandidateReview>, parameters: &SplitParameters) {
    reviews.sort_by_key(|r| (r.user, r.time, r.id));
    // The rounds below only remove reviews, so they cannot create new repeated items or texts.
    if parameters.repeated_items == RepeatedItems::KeepNewest {
        keep_newest(reviews, |review| (review.user, review.item));
    }
    if parameters.repeated_texts == RepeatedTexts::KeepNewest {
        keep_newest(reviews, |review| (review.user, review.text));
    }
    loop {
        let before = reviews.len();
        let users_of_item = users_of_items(reviews.iter());
        reviews.retain(|r| users_of_item[&r.item] >= parameters.item_users);
        let reviews_of_user = counts(reviews.iter().map(|r| r.user));
        let enough = parameters.min_reviews..=parameters.max_reviews;
        reviews.retain(|r| enough.contains(&reviews_of_user[&r.user]));
        if reviews.len() == before {
            return;
        }
    }
}

/// Keeps the last review of each key. `reviews` are sorted from oldest to newest for each user.
fn keep_newest<K: Eq + Hash>(
    reviews: &mut Vec<CandidateReview>,
    key: impl Fn(&CandidateReview) -> K,
) {
    let newest: HashMap<K, ReviewId> = reviews.iter().map(|r| (key(r), r.id)).collect();
    reviews.retain(|review| newest[&key(review)] == review.id);
}

/// Splits off each user's newest `n_inputs` reviews; sorts the users by name. Leaves out a user
/// with `n_inputs` reviews or fewer.
pub(super) fn hold_out(reviews: Vec<CandidateReview>, n_inputs: usize) -> Vec<HeldOutUser> {
    let mut users: Vec<HeldOutUser> = reviews
        .chunk_by(|a, b| a.user == b.user)
        .filter(|reviews| reviews.len() > n_inputs)
        .map(|reviews| {
            let (profile, inputs) = reviews.split_at(reviews.len() - n_inputs);
            let name = reviews[0].name.to_string();
            HeldOutUser { name, profile: profile.to_vec(), inputs: inputs.to_vec() }
        })
        .collect();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    users
}

/// Drops items that occur in too few profiles, and users with too small a profile, until all that
/// remain pass.
pub(super) fn profiles_to_fixed_point(users: &mut Vec<HeldOutUser>, parameters: &SplitParameters) {
    loop {
        let profiles = |users: &[HeldOutUser]| users.iter().map(|u| u.profile.len()).sum::<usize>();
        let before = (users.len(), profiles(users));
        let users_of_item = users_of_items(users.iter().flat_map(|u| &u.profile));
        for user in users.iter_mut() {
            user.profile.retain(|r| users_of_item[&r.item] >= parameters.profile_item_users);
        }
        users.retain(|user| user.profile.len() >= parameters.profile_reviews);
        if before == (users.len(), profiles(users)) {
            return;
        }
    }
}

/// Returns the number of users of each item. A user may have several reviews of it.
fn users_of_items<'a>(reviews: impl Iterator<Item = &'a CandidateReview>) -> HashMap<usize, usize> {
    let pairs: HashSet<(usize, usize)> = reviews.map(|r| (r.item, r.user)).collect();
    counts(pairs.into_iter().map(|(item, _)| item))
}

fn counts(keys: impl Iterator<Item = usize>) -> HashMap<usize, usize> {
    let mut counts = HashMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}
