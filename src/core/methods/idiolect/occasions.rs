//! Held-out examples: each own text in turn is taken out of the history and becomes the text to be
//! generated.

use super::showing::Showing;
use crate::corpus::{ReviewId, Target};
use crate::difference::Occasion;
use crate::methods::{Material, Options, Past, Result};

/// Maximum number of others' texts about the item of each example.
const OTHERS: usize = 2;

/// The newest `n` of the past texts, oldest first.
pub(super) fn newest(history: &[Past], n: usize) -> Vec<Past> {
    history[history.len().saturating_sub(n)..].to_vec()
}

/// Returns the target for which one text of a history would be generated, and all its other texts.
pub(super) fn without(history: &[Past], own: &Past) -> (Target, Vec<Past>) {
    let (review, item) = own;
    let rest = history.iter().filter(|(past, _)| past.id != review.id).cloned().collect();
    let title = Some(review.review.title.clone()).filter(|title| !title.is_empty());
    let (user, rating) = (review.review.user.clone(), review.review.rating);
    (Target { user, item: item.clone(), rating, title }, rest)
}

/// Makes a held-out example of each text of `tried`, whose prompt shows the rest of the history as
/// `showing` selects it.
pub(super) fn occasions(
    material: &Material<'_>,
    history: &[Past],
    tried: &[Past],
    options: &Options,
    showing: &Showing,
) -> Result<Vec<Occasion>> {
    let mut occasions = Vec::with_capacity(tried.len());
    for tried in tried {
        let (target, rest) = without(history, tried);
        let past = showing.past(material, &target, &rest, options);
        let from_summary = showing.summary.iter().flat_map(|summary| summary.sources());
        let sources: Vec<ReviewId> =
            past.iter().map(|(review, _)| review.id).chain(from_summary).collect();
        let (own, item) = tried;
        let others = material.view.reviews_of(&item.id)?;
        let others = others.into_iter().filter(|other| {
            other.review.user != own.review.user && !other.review.text.trim().is_empty()
        });
        occasions.push(Occasion {
            draft: showing.draft(&target, &past),
            own: own.clone(),
            others: others.take(OTHERS).collect(),
            sources,
        });
    }
    Ok(occasions)
}
