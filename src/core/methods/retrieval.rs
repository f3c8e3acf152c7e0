//! Retrieval of the past reviews for a prompt (DPL, step 2).

use std::collections::{HashMap, HashSet};

use super::{Bm25, PastReview, Result};
use crate::corpus::{ReviewId, Target, View};
use crate::task::{Block, Task};

/// The `n` past reviews that are most relevant to the target by BM25, most relevant first; without
/// a target the newest `n`, newest first.
///
/// The query consists of the target's fields that the task names (for reviews: the new review's
/// title and the item's description), a document of the same fields of a past review. The texts
/// themselves are not searched. Among equals the newest comes first, so that a target without these
/// fields gets the newest reviews.
pub(super) fn most_relevant(
    task: &Task,
    target: Option<&Target>,
    past: &[PastReview],
    n: usize,
) -> Vec<PastReview> {
    let Some(target) = target else { return most_recent(past, n) };
    let documents: Vec<String> = past
        .iter()
        .map(|(review, item)| task.retrieval_text(&Block::of_review(review, item)))
        .collect();
    let query = task.retrieval_text(&Block::of_target(target));
    let top = Bm25::new(&documents).top(&query, n);
    top.into_iter().map(|i| past[i].clone()).collect()
}

/// The newest `n` past reviews, newest first.
pub(super) fn most_recent(past: &[PastReview], n: usize) -> Vec<PastReview> {
    past.iter().rev().take(n).cloned().collect()
}

/// The newest of the past reviews of each item, in the given order, which is oldest first.
pub(super) fn newest_of_each_item(past: &[PastReview]) -> Vec<PastReview> {
    let newest: HashMap<&str, ReviewId> =
        past.iter().map(|(review, item)| (item.id.as_str(), review.id)).collect();
    past.iter().filter(|(review, item)| newest[item.id.as_str()] == review.id).cloned().collect()
}

/// Past reviews whose item at least `k` other users reviewed, as far as the view shows.
pub(super) fn comparable(
    view: &View<'_>,
    past: &[PastReview],
    k: usize,
) -> Result<Vec<PastReview>> {
    let mut comparable = Vec::new();
    for (review, item) in past {
        let reviews = view.reviews_of(&item.id)?;
        let others: HashSet<&str> = reviews
            .iter()
            .map(|r| r.review.user.as_str())
            .filter(|user| *user != review.review.user)
            .collect();
        if others.len() >= k {
            comparable.push((review.clone(), item.clone()));
        }
    }
    Ok(comparable)
}
