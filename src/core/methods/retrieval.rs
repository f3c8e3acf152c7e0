//! Retrieval of the past reviews for a prompt (DPL, step 2).

use std::borrow::Cow;
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
    let past = &*of_kind(task, Some(target), past, n);
    let documents: Vec<String> = past
        .iter()
        .map(|(review, item)| task.retrieval_text(&Block::of_review(review, item)))
        .collect();
    let query = task.retrieval_text(&Block::of_target(target));
    let top = Bm25::new(&documents).top(&query, n);
    top.into_iter().map(|i| past[i].clone()).collect()
}

/// The past reviews of the target's kind, if they are at least `n`, else all: in a task that shows what texts
/// answer, examples of answers for an answer, and of texts that answer nothing for such a text.
pub(super) fn of_kind<'p>(
    task: &Task,
    target: Option<&Target>,
    past: &'p [PastReview],
    n: usize,
) -> Cow<'p, [PastReview]> {
    let Some(target) = target.filter(|_| task.shows_context()) else { return past.into() };
    let is_alike = |(review, _): &&PastReview| review.context.is_some() == target.context.is_some();
    match past.iter().filter(is_alike).count() >= n {
        true => past.iter().filter(is_alike).cloned().collect(),
        false => past.into(),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::corpus::{Item, Review, ReviewContext, StoredReview};

    fn past(id: i64, answers: Option<&str>) -> PastReview {
        let item = Item {
            id: format!("i{id}"),
            title: String::new(),
            description: String::new(),
            categories: Vec::new(),
        };
        let review = Review {
            user: "ann".to_owned(),
            item: item.id.clone(),
            rating: None,
            title: String::new(),
            text: format!("text {id}"),
            time: id,
        };
        let context = answers.map(|text| ReviewContext::given(text.to_owned()));
        (StoredReview { id: ReviewId(id), review, context }, item)
    }

    #[test]
    fn answers_are_shown_for_an_answer_if_there_are_enough() {
        let history = [past(1, Some("tea")), past(2, Some("milk")), past(3, None), past(4, None)];
        let (answer, item) = past(5, Some("more tea"));
        let target = answer.as_target(item);
        let ids = |task: &str, n| {
            let task = Task::load(task).unwrap();
            let kept = of_kind(&task, Some(&target), &history, n);
            kept.iter().map(|(review, _)| review.id.0).collect::<Vec<_>>()
        };
        assert_eq!(ids("reply", 2), [1, 2]);
        assert_eq!(ids("reply", 3), [1, 2, 3, 4]);
        assert_eq!(ids("review", 2), [1, 2, 3, 4]);
        // Relevance compares what is answered. A word that half of the texts have tells nothing.
        let history = ["tea", "milk", "bread", "jam"];
        let history = [1, 2, 3, 4].map(|id| past(id, Some(history[id as usize - 1])));
        let task = Task::load("reply").unwrap();
        assert_eq!(most_relevant(&task, Some(&target), &history, 1)[0].0.id.0, 1);
    }
}
