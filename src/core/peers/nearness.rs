//! Similarity between users, by their embeddings.

use std::collections::BTreeMap;

use super::index::PeerIndex;
use super::linear::cosine;
use super::user_embedding::{EmbeddingKind, ItemMeans, Sums, user_embedding};
use super::vectors::{ensure_all, for_each_review, vectors_of};
use super::{Error, Result};
use crate::corpus::{ReviewId, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::Silent;

/// Returns the `n` users whose embeddings are nearest to the embedding of `user`, nearest first,
/// without `user`. Ties are sorted by user id. Empty if `user` has no embedding.
///
/// Everything is computed from visible reviews; the store's index is used only if the view hides
/// nothing.
///
/// # Errors
///
/// The user is unknown; the store's index does not fit it; or too many reviews have no vector.
pub fn nearest_users(
    view: &View<'_>,
    encoder: &Encoder,
    user: &str,
    n: usize,
) -> Result<Vec<String>> {
    ensure_all(view, encoder)?;
    let means = ItemMeans::of_view(view, encoder, &Silent)?;
    Nearness::of(view, encoder, user, &means)?.nearest(n)
}

/// Computes the similarity of other users to one user.
pub(super) struct Nearness<'a> {
    view: &'a View<'a>,
    encoder: &'a Encoder,
    user: &'a str,
    means: &'a ItemMeans,
    index: Option<PeerIndex>,
    kind: EmbeddingKind,
    embedding: Option<Vec<f32>>,
}

impl<'a> Nearness<'a> {
    /// Prepares the embedding of `user`; `means` are the item means of the view.
    pub(super) fn of(
        view: &'a View<'a>,
        encoder: &'a Encoder,
        user: &'a str,
        means: &'a ItemMeans,
    ) -> Result<Self> {
        let index = match PeerIndex::open(view.store(), encoder) {
            Ok(index) => Some(index),
            Err(Error::NoIndex { .. } | Error::NoFolder) => None,
            Err(error) => return Err(error),
        };
        let kind = index.as_ref().map_or(EmbeddingKind::Residual, |i| i.manifest().embedding);
        // The index also covers reviews that a narrower view hides.
        let index = index.filter(|_| view.shows_all());
        let mut nearness = Self { view, encoder, user, means, index, kind, embedding: None };
        nearness.embedding = nearness.embedding_of(user)?;
        Ok(nearness)
    }

    /// Returns the cosine between the embeddings of the user and of `other`; 0 if one has no
    /// embedding.
    pub(super) fn to(&self, other: &str) -> Result<f32> {
        let Some(embedding) = &self.embedding else { return Ok(0.0) };
        let other = self.embedding_of(other)?;
        Ok(other.map_or(0.0, |other| cosine(embedding, &other)))
    }

    /// Returns the `n` nearest other users.
    fn nearest(&self, n: usize) -> Result<Vec<String>> {
        let Some(embedding) = &self.embedding else { return Ok(Vec::new()) };
        let others = |user: &str| user != self.user;
        if let Some(index) = &self.index {
            let near = index.near(embedding, n.saturating_add(1))?;
            let near = near.into_iter().map(|(user, _)| user).filter(|user| others(user));
            return Ok(near.take(n).map(str::to_owned).collect());
        }
        let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
        for_each_review(self.view, self.encoder.stamp(), &Silent, |review, vector| {
            if others(&review.review.user) {
                let mean = self.means.mean(&review.review.item);
                sums.entry(review.review.user.clone()).or_default().add(vector, mean.as_deref());
            }
        })?;
        let mut near: Vec<(f32, String)> = sums
            .into_iter()
            .filter_map(|(user, sums)| {
                Some((cosine(embedding, &sums.embedding(self.kind)?.vector), user))
            })
            .collect();
        // Stable sort: ties stay in order of user ids.
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(near.into_iter().take(n).map(|(_, user)| user).collect())
    }

    fn embedding_of(&self, user: &str) -> Result<Option<Vec<f32>>> {
        if let Some(index) = &self.index {
            return Ok(index.embedding(user).map(<[f32]>::to_vec));
        }
        let history = self.view.history(user)?;
        let ids: Vec<ReviewId> = history.iter().map(|r| r.id).collect();
        let vectors = vectors_of(self.view, self.encoder, &ids)?;
        let made = user_embedding(&history, &vectors, self.means, self.kind);
        Ok(made.map(|embedding| embedding.vector))
    }
}
