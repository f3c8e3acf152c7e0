//! User embeddings, the HNSW index, the choice of representatives.

use crate::corpus::{self, ReviewId, StoredReview, View};
use crate::encoder::{self, Encoder};
use crate::progress::Progress;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong among peers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] encoder::Error),
    /// Stopped on request; what was done is kept.
    #[error("stopped; what was done is kept")]
    Stopped,
}

/// How representatives are chosen among the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// k-means into K+1, the user's own cluster dropped, the member nearest each centre (DPL).
    Kmeans,
    /// K at random.
    Random,
    /// The K least similar to the user's own text.
    Farthest,
    /// As `Kmeans`, but a random member of each cluster.
    RandomMember,
}

/// Settings of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChoiceOptions {
    /// Most representatives (K).
    pub k: usize,
    /// How they are chosen.
    pub selector: Selector,
    /// Seed of every random choice.
    pub seed: u64,
}

/// Where a representative comes from.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// Reviewed the very item.
    SameItem,
    /// Too few reviewed the item: reviewed a near item, and is near the user in the index.
    NearItem {
        /// The item reviewed.
        item: String,
        /// Cosine between the items' mean review vectors or, for unreviewed ones, their texts.
        similarity: f32,
    },
}

/// A peer chosen to stand for many.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Representative {
    /// The peer's review.
    #[serde(flatten)]
    pub review: StoredReview,
    /// Cluster it stands for; `None` where the selector forms none.
    pub cluster: Option<usize>,
    /// Members of that cluster.
    pub cluster_size: usize,
    /// Cosine between its vector and the user's own review's (or, without one, the user's mean).
    pub similarity: f32,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// The outcome of a choice.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Choice {
    /// In cluster order.
    pub representatives: Vec<Representative>,
    /// Number of candidates it was made from.
    pub n_candidates: usize,
    /// Number of candidates that fell into the user's own cluster and were dropped.
    pub n_dropped: usize,
}

/// Embeds the reviews that have no vector under the encoder's stamp yet; returns how many were
/// missing and how many texts had to be truncated.
#[allow(unused_variables)]
pub fn ensure_vectors(
    view: &View<'_>,
    encoder: &Encoder,
    ids: &[ReviewId],
    progress: &dyn Progress,
) -> Result<(usize, usize)> {
    todo!()
}

/// Chooses representatives for `user` on `item`. Vectors of the reviews needed are made where
/// missing. An item with no other reviewer and no near one gives an empty choice.
#[allow(unused_variables)]
pub fn choose(
    view: &View<'_>,
    encoder: &Encoder,
    user: &str,
    item: &str,
    options: &ChoiceOptions,
) -> Result<Choice> {
    todo!()
}
