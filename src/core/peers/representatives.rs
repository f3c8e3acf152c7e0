//! The peers who stand for the others on an item.

use std::collections::HashMap;

use super::linear::{cosine, mean};
use super::nearness::Nearness;
use super::selection::{Chosen, select};
use super::user_embedding::ItemMeans;
use super::vectors::{ensure_all, vectors_of};
use super::{Anchor, Choice, ChoiceOptions, Origin, Representative, Result, Selector, near_items};
use crate::corpus::{ReviewId, StoredReview, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::Silent;

/// A review that could be chosen.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) review: StoredReview,
    pub(super) origin: Origin,
}

/// Chooses representatives for `user` on `item`, as DPL does with [`super::Selector::Kmeans`]
/// (arXiv 2503.02450). Vectors of the reviews needed are made where missing.
///
/// Candidates are the other users' visible reviews of the item; where they are fewer than K,
/// reviews of near items by users near to this one fill them up to K. Their order does not matter.
/// A user without a review of the item has no cluster to drop: K clusters are formed. An item with
/// no other reviewer and no near one gives an empty choice.
///
/// # Errors
///
/// An unknown user or item; an index beside the store that does not fit it; too many reviews
/// without a vector where near items are needed.
pub fn choose(
    view: &View<'_>,
    encoder: &Encoder,
    user: &str,
    item: &str,
    options: &ChoiceOptions,
) -> Result<Choice> {
    let history = view.history(user)?;
    let on_item = view.reviews_of(item)?;
    let own = on_item.iter().find(|r| r.review.user == user);
    let mut candidates: Vec<Candidate> = on_item
        .iter()
        .filter(|r| r.review.user != user)
        .map(|r| Candidate { review: r.clone(), origin: Origin::SameItem })
        .collect();
    if candidates.len() < options.k {
        let wanted = options.k - candidates.len();
        let scene = near_items::Scene { view, encoder, user, item };
        let more = near_items::fill_up(&scene, &candidates, wanted)?;
        candidates.extend(more);
    }
    // By user, so that the choice does not hang on the order of rows.
    candidates.sort_by(|a, b| a.review.review.user.cmp(&b.review.review.user));

    // The user's other reviews are looked at only where there is none of this item.
    let compared: Vec<ReviewId> = match own {
        Some(own) => vec![own.id],
        None => history.iter().map(|r| r.id).collect(),
    };
    let ids: Vec<ReviewId> = candidates.iter().map(|c| c.review.id).chain(compared).collect();
    let vectors = vectors_of(view, encoder, &ids)?;
    candidates.retain(|c| vectors.contains_key(&c.review.id));
    let own = own.and_then(|review| vectors.get(&review.id)).map(Vec::as_slice);
    let points: Vec<&[f32]> = candidates.iter().map(|c| vectors[&c.review.id].as_slice()).collect();
    let (anchor, compared_with) = anchor(own, &history, &vectors, &points, encoder.dimension());

    let nearness = match options.selector {
        Selector::Neighbours => nearness_of(view, encoder, user, &candidates)?,
        _ => Vec::new(),
    };
    let selection = select(own, &anchor, &points, &nearness, options);
    let representative = |chosen: Chosen| Representative {
        review: candidates[chosen.candidate].review.clone(),
        cluster: chosen.cluster,
        cluster_size: chosen.cluster_size,
        similarity: cosine(&anchor, points[chosen.candidate]),
        origin: candidates[chosen.candidate].origin.clone(),
    };
    Ok(Choice {
        representatives: selection.chosen.into_iter().map(representative).collect(),
        n_candidates: candidates.len(),
        n_dropped: selection.n_dropped,
        compared_with,
    })
}

/// Cosine between the embeddings of the user and of each candidate's user, -1 to 1.
fn nearness_of(
    view: &View<'_>,
    encoder: &Encoder,
    user: &str,
    candidates: &[Candidate],
) -> Result<Vec<f32>> {
    ensure_all(view, encoder)?;
    let means = ItemMeans::of_view(view, encoder, &Silent)?;
    let nearness = Nearness::of(view, encoder, user, &means)?;
    candidates.iter().map(|c| nearness.to(&c.review.review.user)).collect()
}

/// What candidates are compared with: the own text, else what the user is like elsewhere, else what
/// the candidates have in common.
fn anchor(
    own: Option<&[f32]>,
    history: &[StoredReview],
    vectors: &HashMap<ReviewId, Vec<f32>>,
    points: &[&[f32]],
    dimension: usize,
) -> (Vec<f32>, Anchor) {
    if let Some(own) = own {
        return (own.to_vec(), Anchor::OwnReview);
    }
    let written = history.iter().filter_map(|r| vectors.get(&r.id)).map(Vec::as_slice);
    if let Some(mean) = mean(written, dimension) {
        return (mean, Anchor::OwnMean);
    }
    let common = mean(points.iter().copied(), dimension);
    (common.unwrap_or_else(|| vec![0.0; dimension]), Anchor::Candidates)
}
