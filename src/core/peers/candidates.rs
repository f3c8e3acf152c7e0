//! Candidates for representatives on an item: the other users' reviews of it or, if these are too
//! few, also reviews of similar items by users near to the user.

use std::collections::HashSet;

use super::linear::cosine;
use super::nearness::Nearness;
use super::user_embedding::ItemMeans;
use super::vectors::ensure_all;
use super::{Origin, Result};
use crate::corpus::{StoredReview, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::Silent;

/// Maximum number of items whose reviewers are considered.
const MAX_ITEMS: usize = 32;

/// Number of users to consider per wanted candidate; the nearest of them are selected.
const USERS_PER_CANDIDATE: usize = 8;

/// A review that may be selected.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) review: StoredReview,
    pub(super) origin: Origin,
}

/// Inputs of the search: the view, the encoder, the user and the item.
pub(super) struct CandidateQuery<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) encoder: &'a Encoder,
    pub(super) user: &'a str,
    pub(super) item: &'a str,
}

/// Returns the other users' reviews in `on_item`, filled up to `k` candidates if they are fewer;
/// sorted by user, so that a selection does not depend on the order of rows.
pub(super) fn candidates(
    query: &CandidateQuery<'_>,
    on_item: &[StoredReview],
    k: usize,
) -> Result<Vec<Candidate>> {
    let mut candidates: Vec<Candidate> = on_item
        .iter()
        .filter(|r| r.review.user != query.user)
        .map(|r| Candidate { review: r.clone(), origin: Origin::SameItem })
        .collect();
    if candidates.len() < k {
        let more = on_similar_items(query, &candidates, k - candidates.len())?;
        candidates.extend(more);
    }
    candidates.sort_by(|a, b| a.review.review.user.cmp(&b.review.review.user));
    Ok(candidates)
}

/// Returns up to `wanted` candidates in addition to `have`, one review per user, nearest users
/// first.
///
/// Goes through the items, nearest first, until it has enough of their reviewers, and selects those
/// nearest to the user. Everything is computed from visible reviews; the store's index is used only
/// if the view hides nothing.
fn on_similar_items(
    query: &CandidateQuery<'_>,
    have: &[Candidate],
    wanted: usize,
) -> Result<Vec<Candidate>> {
    ensure_all(query.view, query.encoder)?;
    let means = ItemMeans::of_view(query.view, query.encoder, &Silent)?;
    let near = nearest_items(query, &means)?;

    let mut seen: HashSet<String> = have.iter().map(|c| c.review.review.user.clone()).collect();
    seen.insert(query.user.to_owned());
    let mut pool: Vec<(f32, Candidate)> = Vec::new();
    let users = Nearness::of(query.view, query.encoder, query.user, &means)?;
    for (similarity, item) in near.into_iter().take(MAX_ITEMS) {
        let mut reviews = query.view.reviews_of(&item)?;
        reviews.sort_by(|a, b| a.review.user.cmp(&b.review.user));
        for review in reviews {
            if !seen.insert(review.review.user.clone()) {
                continue;
            }
            let nearness = users.to(&review.review.user)?;
            let origin = Origin::NearItem { item: item.clone(), similarity };
            pool.push((nearness, Candidate { review, origin }));
        }
        if pool.len() >= wanted * USERS_PER_CANDIDATE {
            break;
        }
    }
    // Stable sort: among users with equal similarity, the nearer item comes first.
    pool.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(pool.into_iter().take(wanted).map(|(_, candidate)| candidate).collect())
}

/// Returns the other items with reviews and their cosine to the query's item, nearest first. Empty
/// if the item has neither reviews nor a title or description.
fn nearest_items(query: &CandidateQuery<'_>, means: &ItemMeans) -> Result<Vec<(f32, String)>> {
    let narrow = |mean: Vec<f64>| mean.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
    let vector = match means.mean(query.item) {
        Some(mean) => narrow(mean),
        None => {
            let item = query.view.item(query.item)?;
            let text = format!("{}\n{}", item.title, item.description);
            if text.trim().is_empty() {
                return Ok(Vec::new());
            }
            query.encoder.encode(&[text])?.swap_remove(0).vector
        }
    };
    let mut near: Vec<(f32, String)> = means
        .items()
        .filter(|&item| item != query.item)
        .filter_map(|item| Some((cosine(&vector, &narrow(means.mean(item)?)), item.to_owned())))
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    Ok(near)
}
