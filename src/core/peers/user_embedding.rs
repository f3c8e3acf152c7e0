//! User embeddings in the encoder's space.

use std::collections::HashMap;

use super::linear::{add, unit};
use super::vectors::for_each_review;
use super::{Result, linear};
use crate::corpus::{ReviewId, StoredReview, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::Progress;

/// Length of a mean below which it is rounding noise.
const MIN_LENGTH: f64 = 1e-6;

/// Definition of a user's embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddingKind {
    /// Mean over the user's reviews of (review vector − mean vector of that item's reviews). The
    /// item's content cancels; the user's style remains.
    Residual,
    /// Mean of the user's review vectors: the ablation, and the fallback if all residuals vanish,
    /// because nobody else reviewed the user's items or all texts are equal.
    PlainMean,
}

/// A user's embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct UserEmbedding {
    /// The embedding, of unit length, `[dimension]`.
    pub vector: Vec<f32>,
    /// Its kind; `PlainMean` if `Residual` was requested but vanishes.
    pub kind: EmbeddingKind,
}

/// Mean review vectors of all items under one view.
#[derive(Debug, Default)]
pub struct ItemMeans {
    sums: HashMap<String, (Vec<f64>, u32)>,
}

impl ItemMeans {
    /// Computes the means over all visible reviews that have a vector of `encoder`.
    pub fn of_view(view: &View<'_>, encoder: &Encoder, progress: &dyn Progress) -> Result<Self> {
        let mut means = Self::default();
        for_each_review(view, encoder.stamp(), progress, |review, vector| {
            means.add(&review.review.item, vector);
        })?;
        Ok(means)
    }

    /// Adds a review's vector to its item's mean.
    pub fn add(&mut self, item: &str, vector: &[f32]) {
        if !self.sums.contains_key(item) {
            self.sums.insert(item.to_owned(), (vec![0.0; vector.len()], 0));
        }
        if let Some((sum, n)) = self.sums.get_mut(item) {
            linear::add(sum, vector);
            *n += 1;
        }
    }

    /// Returns the mean vector of the item's reviews, `[dimension]`; `None` if the item has none.
    #[must_use]
    pub fn mean(&self, item: &str) -> Option<Vec<f64>> {
        self.sums.get(item).map(|(sum, n)| sum.iter().map(|x| x / f64::from(*n)).collect())
    }

    /// Returns the items with reviews, in arbitrary order.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.sums.keys().map(String::as_str)
    }
}

/// Returns the embedding of a user from their visible reviews; `None` if no review has a vector or
/// the mean vanishes.
#[must_use]
pub fn user_embedding(
    history: &[StoredReview],
    vectors: &HashMap<ReviewId, Vec<f32>>,
    means: &ItemMeans,
    kind: EmbeddingKind,
) -> Option<UserEmbedding> {
    let mut sums = Sums::default();
    for review in history {
        if let Some(vector) = vectors.get(&review.id) {
            sums.add(vector, means.mean(&review.review.item).as_deref());
        }
    }
    sums.embedding(kind)
}

/// Running sums of a user's review vectors and residuals, from which the embedding is computed.
#[derive(Debug, Default)]
pub(super) struct Sums {
    plain: Vec<f64>,
    residual: Vec<f64>,
    n: u32,
}

impl Sums {
    /// Adds a review's vector; `mean` is the mean vector of its item.
    pub(super) fn add(&mut self, vector: &[f32], mean: Option<&[f64]>) {
        self.plain.resize(vector.len(), 0.0);
        self.residual.resize(vector.len(), 0.0);
        self.n += 1;
        add(&mut self.plain, vector);
        let Some(mean) = mean else { return };
        for ((r, &x), m) in self.residual.iter_mut().zip(vector).zip(mean) {
            *r += f64::from(x) - m;
        }
    }

    /// Returns the embedding; `None` if nothing was added or the mean vanishes.
    pub(super) fn embedding(&self, kind: EmbeddingKind) -> Option<UserEmbedding> {
        let shortest = MIN_LENGTH * f64::from(self.n);
        if kind == EmbeddingKind::Residual
            && let Some(vector) = unit(&self.residual, shortest)
        {
            return Some(UserEmbedding { vector, kind });
        }
        let vector = unit(&self.plain, shortest)?;
        Some(UserEmbedding { vector, kind: EmbeddingKind::PlainMean })
    }
}
