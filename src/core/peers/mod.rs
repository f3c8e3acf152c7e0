//! User embeddings, the index over them, and the choice of representatives.
//!
//! A review's vector is the encoder's, stored under its stamp (`vectors`). A user's embedding is
//! what remains of their reviews when each item's content is taken off (`user_embedding`). The
//! index (`index`) finds users near a vector. Representatives stand for the others who wrote about
//! an item (`representatives`, `selection`, `kmeans`), or about near ones where they are too few
//! (`near_items`); `nearness` tells how near users are, `distinctness` how far one is from everybody.

mod distinctness;
mod error;
mod index;
mod kmeans;
mod linear;
mod near_items;
mod nearness;
mod representatives;
mod selection;
mod user_embedding;
mod vectors;

#[cfg(test)]
mod tests;

use crate::corpus::StoredReview;

pub use distinctness::{OnItem, distinctness};
pub use error::Error;
pub use index::{
    BuildOptions, DEFAULT_EXACT_BELOW, Facts, IndexKind, PeerIndex, build_index, index_folder,
};
pub(crate) use kmeans::cluster;
pub use nearness::nearest_users;
pub use representatives::choose;
pub use user_embedding::{EmbeddingKind, ItemMeans, UserEmbedding, user_embedding};
pub use vectors::ensure_vectors;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// The K whose users' embeddings are nearest to the user's.
    Neighbours,
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
        #[serde(skip)]
        item: String,
        /// Cosine between the two items' mean review vectors, -1 to 1; where nobody reviewed the
        /// item asked for, its title and description stand for its mean.
        #[serde(rename = "item_similarity")]
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
    /// Members of that cluster; 1 where there is none.
    pub cluster_size: usize,
    /// Cosine between its vector and what [`Choice::compared_with`] names, -1 to 1.
    pub similarity: f32,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// What candidates are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    /// The user's own review of the item.
    OwnReview,
    /// The user has none visible: the mean of their other reviews.
    OwnMean,
    /// The user has no visible review at all: the mean of the candidates.
    Candidates,
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
    /// What similarities are measured against.
    pub compared_with: Anchor,
}
