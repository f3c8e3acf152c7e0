//! Selection of reviews and of the held-out ones among them, as DPL constructs its data sets (arXiv
//! 2503.02450, and the code of its data sets).

mod k_core;
mod parameters;
mod saved;

pub use parameters::{Preset, RepeatedItems, RepeatedTexts, Required, SplitParameters};
pub use saved::{Split, UserSplit};

use super::{Error, Result, ReviewId, Store};
use idiolect_engine::progress::{Progress, ProgressStage};
use k_core::{CandidateReview, HeldOutUser};

/// Part of a split that a review belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitPart {
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
pub struct FunnelStep {
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
) -> Result<(Split, Vec<FunnelStep>)> {
    parameters.check()?;
    let (all, mut candidates, read) = read(store, parameters, progress)?;
    let mut funnel = vec![all, read];
    k_core::to_fixed_point(&mut candidates, parameters);
    funnel.push(step("enough reviews per item and per user", &candidates));
    let mut users = k_core::hold_out(candidates, parameters.inputs());
    k_core::profiles_to_fixed_point(&mut users, parameters);
    funnel.push(step_of_users("enough profile", &users));
    if users.is_empty() {
        let steps: Vec<String> = funnel
            .iter()
            .map(|l| format!("{} users and {} reviews after `{}`", l.users, l.reviews, l.after))
            .collect();
        return Err(Error::EmptySplit { funnel: steps.join(", ") });
    }
    let users = users.into_iter().map(|user| assign_parts(user, parameters)).collect();
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
) -> Result<(FunnelStep, Vec<CandidateReview>, FunnelStep)> {
    let items = parameters.items(store)?;
    let ids = store.review_ids()?;
    let stage = ProgressStage::begin(progress, "reading reviews", Some(ids.len() as u64));
    let (mut all, mut candidates) = (Vec::new(), Vec::new());
    let mut numbers = k_core::Numbers::default();
    for some in ids.chunks(4096) {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        for stored in store.reviews(some)? {
            let candidate = numbers.candidate(&stored);
            if items.contains(&stored.review.item) && parameters.passes(&stored.review) {
                candidates.push(candidate.clone());
            }
            all.push(candidate);
        }
        stage.advance(some.len() as u64);
    }
    let whole = step("everything", &all);
    let filtered = step("length and required fields", &candidates);
    Ok((whole, candidates, filtered))
}

fn assign_parts(user: HeldOutUser, parameters: &SplitParameters) -> UserSplit {
    let part = |n: usize| match n {
        n if n < parameters.train => SplitPart::Train,
        n if n < parameters.train + parameters.val => SplitPart::Val,
        _ => SplitPart::Test,
    };
    let ids = |reviews: &[CandidateReview]| reviews.iter().map(|r| r.id).collect::<Vec<ReviewId>>();
    let inputs = user.inputs.iter().enumerate().map(|(n, r)| (part(n), r.id)).collect();
    UserSplit { profile: ids(&user.profile), user: user.name, inputs }
}

fn step(after: &'static str, reviews: &[CandidateReview]) -> FunnelStep {
    let n_distinct = |key: fn(&CandidateReview) -> usize| {
        reviews.iter().map(key).collect::<std::collections::HashSet<_>>().len() as u64
    };
    let (users, items) = (n_distinct(|r| r.user), n_distinct(|r| r.item));
    FunnelStep { after, users, items, reviews: reviews.len() as u64 }
}

fn step_of_users(after: &'static str, users: &[HeldOutUser]) -> FunnelStep {
    let reviews = users.iter().flat_map(|u| u.profile.iter().chain(&u.inputs)).cloned();
    step(after, &reviews.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
