//! Selection of reviews and of the held-out ones among them, as DPL constructs its data sets (arXiv
//! 2503.02450, and the code of its data sets).

mod core;
mod kept;
mod parameters;

pub use kept::{Split, UserSplit};
pub use parameters::{Preset, RepeatedTexts, Required, SplitParameters};

use self::core::{CandidateUser, HeldApart};
use super::{Error, Result, ReviewId, Store};
use idiolect_engine::progress::Progress;

/// Part of a split that a review belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The history, which methods may read.
    Profile,
    /// Held out for training.
    Train,
    /// Held out for validation: choosing settings.
    Val,
    /// Held out for testing: the reported results.
    Test,
}

/// Numbers of users, items and reviews that remain after a filter.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    /// Short description of the filter.
    pub after: &'static str,
    /// Users with at least one review.
    pub users: u64,
    /// Items with at least one review.
    pub items: u64,
    /// Reviews.
    pub reviews: u64,
}

/// Makes the split called `name` and stores it; it replaces an earlier split of that name. The same
/// store and parameters give the same split. If no user passes the filters, the earlier split stays
/// and the error lists what each filter left.
pub fn make(
    store: &Store,
    name: &str,
    parameters: &SplitParameters,
    progress: &dyn Progress,
) -> Result<(Split, Vec<Left>)> {
    parameters.check()?;
    let (all, mut candidates, read) = read(store, parameters, progress)?;
    let mut funnel = vec![all, read];
    core::to_fixed_point(&mut candidates, parameters);
    funnel.push(left("enough reviews per item and per user", &candidates));
    let mut users = core::held_apart(candidates, parameters.inputs());
    core::profiles_to_fixed_point(&mut users, parameters);
    funnel.push(left_of("enough profile", &users));
    if users.is_empty() {
        let told: Vec<String> = funnel
            .iter()
            .map(|l| format!("{} users and {} reviews after `{}`", l.users, l.reviews, l.after))
            .collect();
        return Err(Error::EmptySplit { funnel: told.join(", ") });
    }
    let users = users.into_iter().map(|user| parted(user, parameters)).collect();
    let split = Split { name: name.to_owned(), parameters: parameters.clone(), users };
    store.put_split(&split)?;
    Ok((split, funnel))
}

/// Reads the reviews that pass the filters on single reviews and on items. Returns the counts of
/// all reviews, the candidates, and the counts of the candidates.
fn read(
    store: &Store,
    parameters: &SplitParameters,
    progress: &dyn Progress,
) -> Result<(Left, Vec<CandidateUser>, Left)> {
    let items = parameters.items(store)?;
    let ids = store.review_ids()?;
    progress.begin("reading reviews", Some(ids.len() as u64));
    let (mut all, mut candidates) = (Vec::new(), Vec::new());
    let mut numbers = core::Numbers::default();
    for some in ids.chunks(4096) {
        if progress.stop_requested() {
            progress.end();
            return Err(Error::Stopped);
        }
        for stored in store.reviews(some)? {
            let candidate = numbers.candidate(&stored);
            if items.contains(&stored.review.item) && parameters.passes(&stored.review) {
                candidates.push(candidate.clone());
            }
            all.push(candidate);
        }
        progress.advance(some.len() as u64);
    }
    progress.end();
    let whole = left("everything", &all);
    let filtered = left("length and required fields", &candidates);
    Ok((whole, candidates, filtered))
}

fn parted(user: HeldApart, parameters: &SplitParameters) -> UserSplit {
    let part = |n: usize| match n {
        n if n < parameters.train => Part::Train,
        n if n < parameters.train + parameters.val => Part::Val,
        _ => Part::Test,
    };
    let ids = |reviews: &[CandidateUser]| reviews.iter().map(|r| r.id).collect::<Vec<ReviewId>>();
    let inputs = user.inputs.iter().enumerate().map(|(n, r)| (part(n), r.id)).collect();
    UserSplit { profile: ids(&user.profile), user: user.name, inputs }
}

fn left(after: &'static str, reviews: &[CandidateUser]) -> Left {
    let n_distinct = |key: fn(&CandidateUser) -> usize| {
        reviews.iter().map(key).collect::<std::collections::HashSet<_>>().len() as u64
    };
    let (users, items) = (n_distinct(|r| r.user), n_distinct(|r| r.item));
    Left { after, users, items, reviews: reviews.len() as u64 }
}

fn left_of(after: &'static str, users: &[HeldApart]) -> Left {
    let reviews = users.iter().flat_map(|u| u.profile.iter().chain(&u.inputs)).cloned();
    left(after, &reviews.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
