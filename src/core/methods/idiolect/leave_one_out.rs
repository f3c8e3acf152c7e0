//! Held-out examples: each own text in turn is taken out of the history and becomes the text to be
//! generated.

use super::example_selection::ExampleSelection;
use crate::corpus::{ReviewId, StoredReview, Target};
use crate::difference::HeldOutExample;
use crate::methods::{MethodContext, PastReview, Result};
use crate::peers::one_per_user;

/// Maximum number of others' texts about the item of each example, one per user.
const MAX_OTHERS: usize = 2;

/// The newest `n` of the past texts, oldest first.
pub(super) fn newest(history: &[PastReview], n: usize) -> Vec<PastReview> {
    history[history.len().saturating_sub(n)..].to_vec()
}

/// Returns the target for which one text of a history would be generated, and all its other texts
/// but later ones on the same item, which may answer or quote it.
pub(super) fn without(history: &[PastReview], own: &PastReview) -> (Target, Vec<PastReview>) {
    let (review, item) = own;
    let order = |stored: &StoredReview| (stored.review.time, stored.id);
    let is_later = |past: &StoredReview| order(past) > order(review);
    let rest = history
        .iter()
        .filter(|(past, about)| past.id != review.id && (about.id != item.id || !is_later(past)))
        .cloned()
        .map(|(mut past, about)| {
            // An own text that answers it would show it.
            past.context = past.context.filter(|context| context.review != Some(review.id));
            (past, about)
        })
        .collect();
    (review.as_target(item.clone()), rest)
}

/// Makes a held-out example of each text of `held_out`, whose prompt shows the rest of the history
/// as `selection` selects it.
pub(super) fn held_out_examples(
    context: &MethodContext<'_>,
    history: &[PastReview],
    held_out: &[PastReview],
    selection: &ExampleSelection,
) -> Result<Vec<HeldOutExample>> {
    let mut examples = Vec::with_capacity(held_out.len());
    for held_out in held_out {
        let (target, rest) = without(history, held_out);
        let past = selection.past(context, Some(&target), &rest);
        let from_summary = selection.summary.iter().flat_map(|summary| summary.sources());
        let sources: Vec<ReviewId> =
            past.iter().map(|(review, _)| review.id).chain(from_summary).collect();
        let (own, item) = held_out;
        let mut others = context.view.reviews_of(&item.id)?;
        others.retain(|other| {
            other.review.user != own.review.user && !other.review.text.trim().is_empty()
        });
        let others = one_per_user(others, Some(own.review.time)).into_iter();
        examples.push(HeldOutExample {
            draft: selection.draft(Some(&target), &past),
            own: own.clone(),
            others: others.take(MAX_OTHERS).collect(),
            sources,
        });
    }
    Ok(examples)
}
