//! Selection of representatives of the other users on an item.

use std::collections::HashMap;

use super::candidates::{Candidate, CandidateQuery, candidates};
use super::linear::{cosine, mean};
use super::nearness::Nearness;
use super::selection::{Chosen, select};
use super::user_embedding::ItemMeans;
use super::vectors::{ensure_all, vectors_of};
use super::{Anchor, Choice, ChoiceOptions, PeerCluster, Representative, Result, Selector};
use crate::corpus::{ReviewId, StoredReview, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::Silent;

/// Selects representatives for `user` on `item`; with [`super::Selector::Kmeans`] as DPL does
/// (arXiv 2503.02450). Computes missing vectors of the reviews it needs.
///
/// Candidates are the other users' visible reviews of the item, one of each user: of several the
/// nearest in time to the user's own. If they are fewer than K, reviews of similar items by users
/// near to this one fill them up to K. The order of the reviews in the store does not matter. The
/// user's own review is the newest visible one of the item; [`choose_for`] takes another. If there is
/// none, K clusters are formed and none is dropped. If nobody else reviewed the item or a similar
/// one, the result is empty.
///
/// # Errors
///
/// The user or item is unknown; the store's index does not fit it; or too many reviews have no
/// vector while similar items are needed.
pub fn choose(
    view: &View<'_>,
    encoder: &Encoder,
    user: &str,
    item: &str,
    options: &ChoiceOptions,
) -> Result<Choice> {
    let on_item = view.reviews_of(item)?;
    let own = on_item.iter().rev().find(|r| r.review.user == user).cloned();
    let own_time = own.as_ref().map(|own| own.review.time);
    choose_among(&CandidateQuery { view, encoder, user, item, own_time }, own.as_ref(), options)
}

/// Selects representatives for one of a user's reviews, on its item; see [`choose`]. Other reviews of
/// the user on the item do not matter.
///
/// # Errors
///
/// As [`choose`].
pub fn choose_for(
    view: &View<'_>,
    encoder: &Encoder,
    own: &StoredReview,
    options: &ChoiceOptions,
) -> Result<Choice> {
    let (user, item) = (own.review.user.as_str(), own.review.item.as_str());
    let own_time = Some(own.review.time);
    choose_among(&CandidateQuery { view, encoder, user, item, own_time }, Some(own), options)
}

fn choose_among(
    query: &CandidateQuery<'_>,
    own: Option<&StoredReview>,
    options: &ChoiceOptions,
) -> Result<Choice> {
    let &CandidateQuery { view, encoder, user, .. } = query;
    let history = view.history(user)?;
    let mut candidates = candidates(query, view.reviews_of(query.item)?, options.k)?;

    // The user's other reviews are needed only if there is none of this item.
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
    let user_of = |at: usize| candidates[at].review.review.user.clone();
    let clusters = selection.clusters.iter().filter(|cluster| !cluster.candidates.is_empty());
    let clusters = clusters.map(|cluster| PeerCluster {
        size: cluster.candidates.len(),
        members: cluster.candidates.iter().map(|at| user_of(*at)).collect(),
        representative: cluster.representative.map(user_of),
        own: cluster.is_own,
    });
    Ok(Choice {
        clusters: clusters.collect(),
        representatives: selection.chosen.into_iter().map(representative).collect(),
        n_candidates: candidates.len(),
        n_dropped: selection.n_dropped,
        compared_with,
    })
}

/// Returns the cosine between the embeddings of the user and of each candidate's user, -1 to 1.
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

/// Returns the vector that candidates are compared with: the user's own review of the item, else
/// the mean of their reviews, else the mean of the candidates.
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
