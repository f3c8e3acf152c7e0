//! User embeddings, the index over them, and the selection of representatives.
//!
//! A review's vector is its encoder embedding, stored under the encoder's fingerprint (`vectors`).
//! A user's embedding is the mean residual of their review vectors after the mean vector of each
//! item is subtracted (`user_embedding`). The index (`index`) finds the users nearest to a vector.
//! Representatives are selected among the other users who reviewed an item (`representatives`,
//! `selection`, `kmeans`) or, if these are too few, among reviewers of similar items
//! (`candidates`). `nearness` computes similarities between users, and `distinctness` how well a
//! user can be told apart from others. `map` lays the users out in the plane.

mod candidates;
mod distinctness;
mod error;
mod index;
mod kmeans;
mod linear;
mod map;
mod nearness;
mod representatives;
mod selection;
mod user_embedding;
mod vectors;

#[cfg(test)]
mod tests;

use crate::corpus::StoredReview;

pub(crate) use candidates::one_per_user;
pub use distinctness::{OnItem, distinctness};
pub use error::Error;
pub use index::{
    BuildOptions, DEFAULT_EXACT_BELOW, EF_SEARCH, GivenEmbeddings, IndexKind, IndexManifest,
    PARALLEL_FROM, PeerIndex, VectorGraph, build_index, check_index, index_folder,
    index_of_embeddings, remove_index,
};
pub(crate) use kmeans::cluster;
pub use map::{MAX_POINTS, MapCell, UserMap, map_stamp, stored_map, user_map};
pub use nearness::nearest_users;
pub use representatives::{choose, choose_for};
pub use user_embedding::{EmbeddingKind, ItemMeans, UserEmbedding, user_embedding};
pub use vectors::ensure_vectors;

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Method of selecting representatives among the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// k-means with K+1 clusters. The user's own cluster is dropped; of each other cluster the
    /// member nearest to the centre is selected (DPL).
    Kmeans,
    /// K random candidates.
    Random,
    /// The K candidates least similar to the user's own text.
    Farthest,
    /// As `Kmeans`, but with a random member of each cluster.
    RandomMember,
    /// The K candidates whose users' embeddings are nearest to the user's embedding.
    Neighbours,
}

/// Options of the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChoiceOptions {
    /// Maximum number of representatives (K).
    pub k: usize,
    /// Method of selection.
    pub selector: Selector,
    /// Seed of all random choices.
    pub seed: u64,
}

/// Origin of a representative.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// They reviewed the item itself.
    SameItem,
    /// Too few users reviewed the item. They reviewed a similar item, and their embedding is near
    /// to the user's.
    NearItem {
        /// The item reviewed.
        #[serde(skip)]
        item: String,
        /// Cosine between the mean review vectors of the two items, -1 to 1. If nobody reviewed the
        /// requested item, the vector of its title and description replaces its mean.
        #[serde(rename = "item_similarity")]
        similarity: f32,
    },
}

/// A peer's review selected as representative of a cluster.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Representative {
    /// The peer's review.
    #[serde(flatten)]
    pub review: StoredReview,
    /// Cluster that it represents; `None` if the selector does not cluster.
    pub cluster: Option<usize>,
    /// Number of members of that cluster; 1 if there is no cluster.
    pub cluster_size: usize,
    /// Cosine between its vector and the vector that [`Choice::compared_with`] names, -1 to 1.
    pub similarity: f32,
    /// Origin of the review.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Vector that candidates are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    /// The user's own review of the item, of several the newest or the one given.
    OwnReview,
    /// The mean of the user's visible reviews, if none of them is of the item.
    OwnMean,
    /// The mean of the candidates, if the user has no visible review.
    Candidates,
}

/// A cluster of the candidates.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PeerCluster {
    /// Number of members.
    pub size: usize,
    /// The candidates' users, sorted by the bytes of their ids.
    pub members: Vec<String>,
    /// The member who stands for the cluster; `None` for the user's own cluster, which is dropped.
    pub representative: Option<String>,
    /// Whether the user's own review is in it.
    pub own: bool,
}

/// Result of a selection.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Choice {
    /// The representatives, in cluster order, or in the selector's order if it does not cluster.
    pub representatives: Vec<Representative>,
    /// Number of candidates, one per user.
    pub n_candidates: usize,
    /// Number of candidates that were dropped because they fell into the user's own cluster.
    pub n_dropped: usize,
    /// Vector that similarities are measured against.
    pub compared_with: Anchor,
    /// All clusters with members, in their order; none if the selector does not cluster.
    pub clusters: Vec<PeerCluster>,
}
