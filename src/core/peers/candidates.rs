//! Candidates for representatives on an item: one review of it by each other user or, if these are
//! too few, also reviews of similar items by users near to the user.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::linear::cosine;
use super::nearness::Nearness;
use super::user_embedding::ItemMeans;
use super::vectors::ensure_all;
use super::{Origin, Result};
use crate::corpus::{ReviewId, StoredReview, View};
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

/// Inputs of the search: the view, the encoder, the user, the item, and the time of the user's own
/// review of it, if there is one.
pub(super) struct CandidateQuery<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) encoder: &'a Encoder,
    pub(super) user: &'a str,
    pub(super) item: &'a str,
    pub(super) own_time: Option<i64>,
}

/// Keeps one review of each user, in the given order: the nearest in time to `time` (seconds since
/// the Unix epoch), or the newest if it is `None`. A user who wrote much about an item thus counts as
/// one candidate, and texts of one phase of a conversation are compared. A blank text is kept only
/// if the user has no other. Among equally near ones the newer counts, then the greater text, so that
/// the choice does not depend on the order of rows.
pub(crate) fn one_per_user(reviews: Vec<StoredReview>, time: Option<i64>) -> Vec<StoredReview> {
    let rank = |stored: &StoredReview| {
        let review = &stored.review;
        let distance = time.map_or(0, |time| time.abs_diff(review.time));
        (!review.text.trim().is_empty(), Reverse(distance), review.time)
    };
    let mut kept: HashMap<&str, &StoredReview> = HashMap::new();
    for review in &reviews {
        let kept = kept.entry(&review.review.user).or_insert(review);
        let order = rank(review).cmp(&rank(kept)).then(review.review.text.cmp(&kept.review.text));
        if order.is_gt() {
            *kept = review;
        }
    }
    let kept: HashSet<ReviewId> = kept.into_values().map(|review| review.id).collect();
    reviews.into_iter().filter(|review| kept.contains(&review.id)).collect()
}

/// Returns one review of each other user in `on_item`, filled up to `k` candidates if they are
/// fewer; sorted by user, so that a selection does not depend on the order of rows.
pub(super) fn candidates(
    query: &CandidateQuery<'_>,
    mut on_item: Vec<StoredReview>,
    k: usize,
) -> Result<Vec<Candidate>> {
    on_item.retain(|r| r.review.user != query.user);
    let mut candidates: Vec<Candidate> = one_per_user(on_item, query.own_time)
        .into_iter()
        .map(|review| Candidate { review, origin: Origin::SameItem })
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
        let mut reviews = one_per_user(query.view.reviews_of(&item)?, None);
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
