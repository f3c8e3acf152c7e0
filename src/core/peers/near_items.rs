//! Candidates for an item that too few users reviewed: reviews of similar items by users near to
//! the user.

use std::collections::HashSet;

use super::linear::cosine;
use super::nearness::Nearness;
use super::representatives::Candidate;
use super::user_embedding::ItemMeans;
use super::vectors::ensure_all;
use super::{Origin, Result};
use crate::corpus::View;
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::Silent;

/// Maximum number of items whose reviewers are considered.
const MOST_ITEMS: usize = 32;

/// Number of users to consider per wanted candidate; the nearest of them are selected.
const USERS_FOR_ONE: usize = 8;

/// Inputs of the search: the view, the encoder, the user and the item.
pub(super) struct Scene<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) encoder: &'a Encoder,
    pub(super) user: &'a str,
    pub(super) item: &'a str,
}

/// Returns up to `wanted` candidates in addition to `have`, one review per user, nearest users
/// first.
///
/// Goes through the items, nearest first, until it has enough of their reviewers, and selects those
/// nearest to the user. Everything is computed from visible reviews; the store's index is used only
/// if the view hides nothing.
pub(super) fn fill_up(
    scene: &Scene<'_>,
    have: &[Candidate],
    wanted: usize,
) -> Result<Vec<Candidate>> {
    ensure_all(scene.view, scene.encoder)?;
    let means = ItemMeans::of_view(scene.view, scene.encoder, &Silent)?;
    let near = nearest_items(scene, &means)?;

    let mut seen: HashSet<String> = have.iter().map(|c| c.review.review.user.clone()).collect();
    seen.insert(scene.user.to_owned());
    let mut pool: Vec<(f32, Candidate)> = Vec::new();
    let users = Nearness::of(scene.view, scene.encoder, scene.user, &means)?;
    for (similarity, item) in near.into_iter().take(MOST_ITEMS) {
        let mut reviews = scene.view.reviews_of(&item)?;
        reviews.sort_by(|a, b| a.review.user.cmp(&b.review.user));
        for review in reviews {
            if !seen.insert(review.review.user.clone()) {
                continue;
            }
            let nearness = users.to(&review.review.user)?;
            let origin = Origin::NearItem { item: item.clone(), similarity };
            pool.push((nearness, Candidate { review, origin }));
        }
        if pool.len() >= wanted * USERS_FOR_ONE {
            break;
        }
    }
    // Stable sort: among users with equal similarity, the nearer item comes first.
    pool.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(pool.into_iter().take(wanted).map(|(_, candidate)| candidate).collect())
}

/// Returns the other items with reviews and their cosine to the scene's item, nearest first. Empty
/// if the item has neither reviews nor a title or description.
fn nearest_items(scene: &Scene<'_>, means: &ItemMeans) -> Result<Vec<(f32, String)>> {
    let narrow = |mean: Vec<f64>| mean.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
    let query = match means.mean(scene.item) {
        Some(mean) => narrow(mean),
        None => {
            let item = scene.view.item(scene.item)?;
            let text = format!("{}\n{}", item.title, item.description);
            if text.trim().is_empty() {
                return Ok(Vec::new());
            }
            scene.encoder.encode(&[text])?.swap_remove(0).vector
        }
    };
    let mut near: Vec<(f32, String)> = means
        .items()
        .filter(|&item| item != scene.item)
        .filter_map(|item| Some((cosine(&query, &narrow(means.mean(item)?)), item.to_owned())))
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    Ok(near)
}
