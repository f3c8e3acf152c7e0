//! How near users are to a user, by their embeddings.

use std::collections::BTreeMap;

use super::index::PeerIndex;
use super::linear::cosine;
use super::user_embedding::{EmbeddingKind, ItemMeans, Sums, user_embedding};
use super::vectors::{ensure_all, for_each_review, vectors_of};
use super::{Error, Result};
use crate::corpus::{ReviewId, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::Silent;

/// The `n` users nearest to `user` by their embeddings, nearest first, themselves left out; of users
/// as near the one with the smaller id goes first. Nobody where the user has no visible review, or
/// none that sets them apart.
///
/// Everything is computed from what the view shows; the index next to the store serves where the
/// view shows all.
///
/// # Errors
///
/// An unknown user; an index beside the store that does not fit it; too many reviews without a
/// vector.
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

/// How near other users are to one.
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
    /// `means` are those of the view.
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
        let kind = index.as_ref().map_or(EmbeddingKind::Residual, |i| i.facts().embedding);
        // In the index is also what a narrower view hides.
        let index = index.filter(|_| view.shows_all());
        let mut nearness = Self { view, encoder, user, means, index, kind, embedding: None };
        nearness.embedding = nearness.embedding_of(user)?;
        Ok(nearness)
    }

    /// Cosine between the users' embeddings; 0 where one has none.
    pub(super) fn to(&self, other: &str) -> Result<f32> {
        let Some(embedding) = &self.embedding else { return Ok(0.0) };
        let other = self.embedding_of(other)?;
        Ok(other.map_or(0.0, |other| cosine(embedding, &other)))
    }

    /// The `n` nearest others.
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
        // A stable sort: users stand in order of their ids.
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
