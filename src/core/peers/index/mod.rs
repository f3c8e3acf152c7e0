//! Index over user embeddings that finds the users near a vector.
//!
//! It is derived from the store and stored in a folder next to it. Below some tens of thousands of
//! users an exact scan is faster than the graph and is used instead.

mod build;
mod files;
mod graph;

use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::linear::{dot, norm, unit};
use super::user_embedding::EmbeddingKind;
use super::{Error, Result};
use crate::corpus::{Key, Store};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::model::MappedFloats;

pub(super) use build::UserEmbeddings;
pub use build::{BuildOptions, GivenEmbeddings, build_index, index_of_embeddings};
pub use files::{IndexManifest, check_index, remove_index};
pub use graph::{EF_SEARCH, PARALLEL_FROM, VectorGraph};

/// Default number of users below which the index is an exact scan.
pub const DEFAULT_EXACT_BELOW: usize = 20_000;

/// Method of finding neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexKind {
    /// Exact scan of all embeddings.
    Exact,
    /// A navigable small-world graph (Malkov and Yashunin 2016, arXiv 1603.09320).
    Hnsw,
}

/// Returns the folder of a store's index.
#[must_use]
pub fn index_folder(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".index");
    PathBuf::from(name)
}

/// An index that finds users near a vector.
#[derive(Debug)]
pub struct PeerIndex {
    manifest: IndexManifest,
    /// Users, sorted by the bytes of their ids.
    users: Vec<IndexedUser>,
    /// Unit vectors of the users, `[n_users][dimension]`, contiguous.
    embeddings: Embeddings,
    graph: Option<VectorGraph>,
}

/// The embeddings of an index, in memory or in its file.
#[derive(Debug)]
enum Embeddings {
    Owned(Vec<f32>),
    Mapped(MappedFloats),
}

impl Deref for Embeddings {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Owned(numbers) => numbers,
            Self::Mapped(numbers) => numbers,
        }
    }
}

/// A user and the kind of their embedding.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct IndexedUser {
    pub(super) user: String,
    pub(super) embedding: EmbeddingKind,
}

impl PeerIndex {
    /// Opens the store's index.
    ///
    /// # Errors
    ///
    /// [`Error::NoIndex`] if there is none; [`Error::IndexMismatch`] if it belongs to another
    /// encoder, other reviews or another version of this program; [`Error::IndexDamaged`] if a file
    /// is damaged; [`Error::NoFolder`] if the store is in memory. Error messages name the command
    /// that repairs the index.
    pub fn open(store: &Store, encoder: &Encoder) -> Result<Self> {
        let manifest = Self::manifest_of(store, encoder)?;
        files::read_index(&files::folder_of(store)?, manifest)
    }

    /// Returns the metadata of the store's index, without reading the index.
    ///
    /// # Errors
    ///
    /// As [`PeerIndex::open`], except for damage of other files.
    pub fn manifest_of(store: &Store, encoder: &Encoder) -> Result<IndexManifest> {
        let folder = files::folder_of(store)?;
        let manifest = files::read_manifest(&folder)?;
        let mismatch = |what, got: &str, expected: &str| Error::IndexMismatch {
            path: folder.clone(),
            what,
            got: got.to_owned(),
            expected: expected.to_owned(),
        };
        if manifest.encoder_fingerprint != encoder.stamp() {
            let named = |name: &str, fingerprint: &str| {
                format!("`{name}` ({})", fingerprint.get(..12).unwrap_or(fingerprint))
            };
            return Err(mismatch(
                "encoder",
                &named(&manifest.encoder, &manifest.encoder_fingerprint),
                &named(encoder.name(), encoder.stamp()),
            ));
        }
        let (n_reviews, content) = content_of(store)?;
        if manifest.content != content {
            return Err(mismatch(
                "set of reviews",
                &format!("that of an earlier time ({} reviews)", manifest.reviews),
                &format!("today's ({n_reviews} reviews)"),
            ));
        }
        Ok(manifest)
    }

    /// The users and their embeddings.
    pub(super) fn into_embeddings(self) -> UserEmbeddings {
        UserEmbeddings {
            users: self.users.into_iter().map(|indexed| indexed.user).collect(),
            dimension: self.manifest.dimension,
            embeddings: match self.embeddings {
                Embeddings::Owned(numbers) => numbers,
                Embeddings::Mapped(numbers) => numbers.to_vec(),
            },
        }
    }

    /// Returns the metadata of the index.
    #[must_use]
    pub fn manifest(&self) -> &IndexManifest {
        &self.manifest
    }

    /// Number of users in the index.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether the index has no users.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The users, sorted by the bytes of their ids, the kind of the embedding of each, and the embedding, of
    /// unit length, `[dimension]`.
    pub fn users(&self) -> impl Iterator<Item = (&str, EmbeddingKind, &[f32])> {
        let rows = self.embeddings.chunks_exact(self.manifest.dimension.max(1));
        let users = self.users.iter().zip(rows);
        users.map(|(indexed, vector)| (indexed.user.as_str(), indexed.embedding, vector))
    }

    /// Returns the user's embedding, of unit length, `[dimension]`; `None` if the user has none.
    #[must_use]
    pub fn embedding(&self, user: &str) -> Option<&[f32]> {
        let at = self.users.binary_search_by(|indexed| indexed.user.as_str().cmp(user)).ok()?;
        self.row(at)
    }

    /// Returns the `k` users nearest to `query` (`[dimension]`, of any length but 0) and their
    /// cosines, -1 to 1, nearest first; ties are sorted by user id.
    ///
    /// # Errors
    ///
    /// [`Error::BadQuery`] if the query has another dimension, a NaN or an infinity, or length 0.
    pub fn near(&self, query: &[f32], k: usize) -> Result<Vec<(&str, f32)>> {
        let query = checked_unit(query, self.manifest.dimension)?;
        let found = match &self.graph {
            Some(graph) => graph.nearest(&query, &self.embeddings, k, EF_SEARCH.max(2 * k)),
            None => nearest_of(0..self.users.len(), &query, &self.embeddings, k),
        };
        let named =
            |(cosine, row): (f32, usize)| (self.users[row].user.as_str(), cosine.clamp(-1.0, 1.0));
        Ok(found.into_iter().map(named).collect())
    }

    fn row(&self, row: usize) -> Option<&[f32]> {
        let dimension = self.manifest.dimension;
        self.embeddings.get(row * dimension..(row + 1) * dimension)
    }
}

/// The `k` of some rows of `vectors`, `[n][query.len()]`, with the greatest products with a query, and these;
/// greatest first, then the lower row. Both kinds of index thus tell the same cosines.
fn nearest_of(
    rows: impl IntoIterator<Item = usize>,
    query: &[f32],
    vectors: &[f32],
    k: usize,
) -> Vec<(f32, usize)> {
    let dimension = query.len();
    let product = |row: usize| {
        let vector = vectors.get(row * dimension..(row + 1) * dimension)?;
        Some((dot(query, vector), row))
    };
    let mut found: Vec<(f32, usize)> = rows.into_iter().filter_map(product).collect();
    let by_nearness = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if k < found.len() {
        found.select_nth_unstable_by(k, by_nearness);
        found.truncate(k);
    }
    found.sort_by(by_nearness);
    found
}

/// Returns the number of reviews in the store and a hash of their ids. Reviews are immutable and
/// ids are never reused, so the ids identify the content.
pub(super) fn content_of(store: &Store) -> Result<(usize, String)> {
    let ids = store.review_ids()?;
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0.to_le_bytes()).collect();
    Ok((ids.len(), Key::of("reviews").with("ids", bytes).finish().as_str().to_owned()))
}

fn checked_unit(query: &[f32], dimension: usize) -> Result<Vec<f32>> {
    let bad = |what: String| Error::BadQuery { what };
    if query.len() != dimension {
        return Err(bad(format!("has {} numbers, expected {dimension}", query.len())));
    }
    if let Some(at) = query.iter().position(|x| !x.is_finite()) {
        return Err(bad(format!("holds {} at {at}, expected finite numbers", query[at])));
    }
    if norm(query) == 0.0 {
        return Err(bad("has length 0, expected a direction".to_owned()));
    }
    let widened: Vec<f64> = query.iter().map(|&x| f64::from(x)).collect();
    unit(&widened, 0.0).ok_or_else(|| bad("has no direction".to_owned()))
}

#[cfg(test)]
mod tests {
    //! Compares the graph with the exact scan, at a size at which they could differ.

    #![allow(clippy::unwrap_used)]

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::files::{FORMAT, lock, read_index, read_manifest, write_index};
    use super::*;
    use idiolect_engine::progress::Silent;

    /// A third of the default encoder's dimension, at which recall was measured once as well.
    const DIMENSION: usize = 128;

    /// Unit vectors around forty centres, as groups of similar users would have.
    fn vectors(n: usize, seed: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut noise = || random.random::<f64>() + random.random::<f64>() - 1.0;
        let centres: Vec<Vec<f64>> =
            (0..40).map(|_| (0..DIMENSION).map(|_| noise()).collect()).collect();
        (0..n)
            .flat_map(|i| {
                let vector: Vec<f64> = centres[i % 40].iter().map(|c| 0.5 * c + noise()).collect();
                unit(&vector, 0.0).unwrap()
            })
            .collect()
    }

    fn index(embeddings: Vec<f32>, graph: Option<VectorGraph>) -> PeerIndex {
        let n = embeddings.len() / DIMENSION;
        let users: Vec<IndexedUser> = (0..n)
            .map(|i| IndexedUser { user: format!("{i:06}"), embedding: EmbeddingKind::Residual })
            .collect();
        let manifest = IndexManifest {
            format: FORMAT,
            fingerprint: "0123456789abcdef".repeat(4),
            encoder: "synthetic".to_owned(),
            encoder_fingerprint: "s".to_owned(),
            dimension: DIMENSION,
            embedding: EmbeddingKind::Residual,
            index: if graph.is_some() { IndexKind::Hnsw } else { IndexKind::Exact },
            reviews: n,
            content: String::new(),
            users: n,
            generation: String::new(),
            files: Default::default(),
        };
        let embeddings = Embeddings::Owned(embeddings);
        PeerIndex { manifest, users, embeddings, graph }
    }

    #[test]
    fn the_graph_finds_what_the_scan_finds_also_when_loaded_again() {
        let n = 5_000;
        let embeddings = vectors(n, 1);
        let exact = index(embeddings.clone(), None);
        let graph = VectorGraph::build(&embeddings, DIMENSION, &Silent).unwrap();
        let mut built = index(embeddings, Some(graph));
        let dir = tempfile::tempdir().unwrap();
        let _lock = lock(dir.path()).unwrap();
        assert!(matches!(lock(dir.path()), Err(Error::Busy { .. })));
        write_index(dir.path(), &mut built).unwrap();
        let loaded = read_index(dir.path(), read_manifest(dir.path()).unwrap()).unwrap();

        let queries = vectors(200, 2);
        let (mut found, mut found_loaded) = (0, 0);
        for query in queries.chunks_exact(DIMENSION) {
            let expected = exact.near(query, 10).unwrap();
            let in_both =
                |got: Vec<(&str, f32)>| got.iter().filter(|x| expected.contains(x)).count();
            found += in_both(built.near(query, 10).unwrap());
            found_loaded += in_both(loaded.near(query, 10).unwrap());
        }
        assert!(found >= 1_900, "recall at 10 is {}", f64::from(found as u32) / 2_000.0);
        assert_eq!(found_loaded, found);
        for row in 0..n {
            let near = loaded.near(loaded.row(row).unwrap(), 1).unwrap();
            assert_eq!(near[0].0, loaded.users[row].user, "every stored point is reachable");
        }

        // A loaded index can be written and loaded again.
        let mut again = loaded;
        write_index(dir.path(), &mut again).unwrap();
        let third = read_index(dir.path(), read_manifest(dir.path()).unwrap()).unwrap();
        let query = &queries[..DIMENSION];
        assert_eq!(third.near(query, 10).unwrap(), built.near(query, 10).unwrap());
    }

    #[test]
    fn vectors_that_are_no_directions_do_not_enter_the_graph() {
        for bad in [0.0, f32::NAN, 1.01] {
            let mut embeddings = vectors(3, 3);
            embeddings[DIMENSION..2 * DIMENSION].fill(0.0);
            embeddings[DIMENSION] = bad;
            assert!(VectorGraph::build(&embeddings, DIMENSION, &Silent).is_err());
        }
    }

    #[test]
    fn equals_are_told_in_order_of_users() {
        let one = vectors(1, 5);
        let embeddings: Vec<f32> = (0..6).flat_map(|_| one.clone()).collect();
        let near = index(embeddings, None);
        let names: Vec<&str> = near.near(&one, 3).unwrap().into_iter().map(|(u, _)| u).collect();
        assert_eq!(names, ["000000", "000001", "000002"]);
    }
}
