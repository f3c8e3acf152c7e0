//! Stand-ins for tests: peers in alphabetical order.

#![allow(missing_docs)]

use super::Peers;
use crate::corpus::{StoredReview, View};
use crate::peers::{
    self, Anchor, Choice, ChoiceOptions, OnItem, Origin, Representative, one_per_user,
};

/// Chooses the first K other reviewers of the item; the nearest users are the first in alphabetical
/// order.
pub struct FirstPeers;

impl Peers for FirstPeers {
    fn choose(
        &self,
        view: &View<'_>,
        user: &str,
        item: &str,
        options: &ChoiceOptions,
    ) -> peers::Result<Choice> {
        first_others(view, (user, item), None, options)
    }

    fn choose_for(
        &self,
        view: &View<'_>,
        own: &StoredReview,
        options: &ChoiceOptions,
    ) -> peers::Result<Choice> {
        let of = (own.review.user.as_str(), own.review.item.as_str());
        first_others(view, of, Some(own.review.time), options)
    }

    fn nearest(&self, view: &View<'_>, user: &str, n: usize) -> peers::Result<Vec<String>> {
        let mut others = Vec::new();
        for other in view.store().users(1)? {
            if other.user != user && !view.history(&other.user)?.is_empty() {
                others.push(other.user);
            }
        }
        others.sort();
        others.truncate(n);
        Ok(others)
    }

    /// The share of items that somebody else wrote about.
    fn distinctness(&self, _: &View<'_>, items: &[OnItem]) -> peers::Result<f32> {
        let with_others = items.iter().filter(|item| !item.others.is_empty()).count();
        Ok(with_others as f32 / items.len().max(1) as f32)
    }
}

fn first_others(
    view: &View<'_>,
    (user, item): (&str, &str),
    time: Option<i64>,
    options: &ChoiceOptions,
) -> peers::Result<Choice> {
    let mut others = view.reviews_of(item)?;
    others.retain(|r| r.review.user != user);
    let others = one_per_user(others, time);
    let n_candidates = others.len();
    let representatives = others
        .into_iter()
        .take(options.k)
        .enumerate()
        .map(|(i, review)| Representative {
            review,
            cluster: Some(i),
            cluster_size: 1,
            similarity: 0.0,
            origin: Origin::SameItem,
        })
        .collect();
    Ok(Choice {
        clusters: Vec::new(),
        representatives,
        n_candidates,
        n_dropped: 0,
        compared_with: Anchor::OwnReview,
    })
}
