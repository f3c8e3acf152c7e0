//! Builds the index from the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::files::{self, FORMAT, IndexManifest};
use super::graph::{EF_CONSTRUCTION, MAX_EDGES, VectorGraph};
use super::{
    DEFAULT_EXACT_BELOW, EmbeddingKind, Embeddings, IndexKind, IndexedUser, PeerIndex, Result,
    content_of,
};
use crate::corpus::{Key, ReviewId, Store, View};
use crate::peers::linear::norm;
use crate::peers::vectors::ensure_vectors;
use crate::peers::{Error, ItemMeans, user_embedding};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::{Progress, ProgressStage};

/// Options of building an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildOptions {
    /// Kind of the users' embeddings.
    pub embedding: EmbeddingKind,
    /// Number of users below which neighbours are found by an exact scan.
    pub exact_below: usize,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { embedding: EmbeddingKind::Residual, exact_below: DEFAULT_EXACT_BELOW }
    }
}

/// Embeds the reviews that have no vector yet, computes the users' embeddings and writes the
/// store's index, unless the existing index was built from the same data. Returns the index, the
/// number of reviews embedded, and the number of these that had to be truncated.
///
/// Vectors are stored in batches, and the index is replaced atomically at the end. After an
/// interruption, a repeated build reuses the vectors that were stored.
///
/// # Errors
/// [`Error::Busy`] while another process builds it; [`Error::ChangedMeanwhile`] if reviews were added or
/// deleted; or store, encoder or files fail.
pub fn build_index(
    store: &Store,
    encoder: &Encoder,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<(PeerIndex, usize, usize)> {
    store.require_writable()?;
    let folder = files::folder_of(store)?;
    let lock = files::lock(&folder)?;
    let view = View::all(store);
    let missing = store.without_vector(encoder.stamp())?;
    let (n_embedded, n_truncated) = ensure_vectors(&view, encoder, &missing, progress)?;

    let reviews = content_of(store)?;
    let (users, embeddings) = embed_users(&view, encoder, options.embedding, progress)?;
    let made = IndexInputs { reviews, users, embeddings };
    let index = write_index_of((store, &folder), encoder, made, options, progress)?;
    drop(lock);
    Ok((index, n_embedded, n_truncated))
}

/// Users' embeddings that were computed elsewhere, with what they were made from.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenEmbeddings {
    /// Stamp of the encoder.
    pub encoder: String,
    /// Hash of the ids of the reviews ([`IndexManifest::content`]).
    pub content: String,
    /// Requested kind of the embeddings.
    pub kind: EmbeddingKind,
    /// Users, the kind of the embedding of each, and the embedding, of unit length.
    pub users: Vec<(String, EmbeddingKind, Vec<f32>)>,
}

/// Writes the store's index of embeddings that were computed elsewhere from the same reviews; of the
/// options only `exact_below` counts. No review is embedded.
///
/// # Errors
/// [`Error::BadEmbeddings`] if they are of another encoder, of other reviews, or malformed; else as
/// [`build_index`].
pub fn index_of_embeddings(
    store: &Store,
    encoder: &Encoder,
    given: GivenEmbeddings,
    exact_below: usize,
    progress: &dyn Progress,
) -> Result<PeerIndex> {
    store.require_writable()?;
    let bad = |what: String| Error::BadEmbeddings { what };
    if given.encoder != encoder.stamp() {
        let short = |stamp: &str| stamp.get(..12).unwrap_or(stamp).to_owned();
        let (got, expected) = (short(&given.encoder), short(encoder.stamp()));
        return Err(bad(format!("their encoder is {got}, that of --encoder is {expected}")));
    }
    let folder = files::folder_of(store)?;
    let lock = files::lock(&folder)?;
    let reviews = content_of(store)?;
    if given.content != reviews.1 {
        return Err(bad("they were made of other reviews than the store has".to_owned()));
    }
    let mut rows = given.users;
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    if let Some(twice) = rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(bad(format!("`{}` occurs twice", twice[0].0)));
    }
    let known: BTreeSet<String> = store.users(1)?.into_iter().map(|user| user.user).collect();
    let mut users = Vec::with_capacity(rows.len());
    let mut embeddings = Vec::with_capacity(rows.len() * encoder.dimension());
    for (user, embedding, vector) in rows {
        let is_unit = vector.len() == encoder.dimension() && (norm(&vector) - 1.0).abs() < 8e-7;
        if !known.contains(&user) || !is_unit {
            return Err(bad(format!("`{user}` is not in the store, or has no vector of length 1")));
        }
        embeddings.extend(vector);
        users.push(IndexedUser { user, embedding });
    }
    let options = BuildOptions { embedding: given.kind, exact_below };
    let made = IndexInputs { reviews, users, embeddings };
    let index = write_index_of((store, &folder), encoder, made, &options, progress)?;
    drop(lock);
    Ok(index)
}

/// The parts that an index is written of.
struct IndexInputs {
    /// Number of reviews and hash of their ids, as they were before the embeddings were made.
    reviews: (usize, String),
    users: Vec<IndexedUser>,
    /// `[n_users][dimension]`.
    embeddings: Vec<f32>,
}

/// Writes the index of these users, unless the existing one has the same. The caller holds the lock of `folder`.
fn write_index_of(
    (store, folder): (&Store, &Path),
    encoder: &Encoder,
    made: IndexInputs,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<PeerIndex> {
    let IndexInputs { reviews: (n_reviews, content), users, embeddings } = made;
    let kind = if users.len() < options.exact_below { IndexKind::Exact } else { IndexKind::Hnsw };
    let mut manifest = IndexManifest {
        format: FORMAT,
        fingerprint: String::new(),
        encoder: encoder.name().to_owned(),
        encoder_fingerprint: encoder.stamp().to_owned(),
        dimension: encoder.dimension(),
        embedding: options.embedding,
        index: kind,
        reviews: n_reviews,
        content,
        users: users.len(),
        generation: String::new(),
        files: BTreeMap::new(),
    };
    manifest.fingerprint = fingerprint(&manifest, &users, &embeddings);
    if let Ok(current) = PeerIndex::open(store, encoder)
        && current.manifest().fingerprint == manifest.fingerprint
    {
        return Ok(current);
    }
    let graph = match kind {
        IndexKind::Exact => None,
        IndexKind::Hnsw => Some(VectorGraph::build(&embeddings, manifest.dimension, progress)?),
    };
    let embeddings = Embeddings::Owned(embeddings);
    let mut index = PeerIndex { manifest, users, embeddings, graph };
    files::write_index(folder, &mut index)?;
    // Somebody may have been forgotten meanwhile, of whom nothing may be left.
    if content_of(store)?.1 != index.manifest.content {
        files::remove_index(store)?;
        return Err(Error::ChangedMeanwhile { path: folder.to_owned() });
    }
    Ok(index)
}

/// Users and their embeddings.
pub(in crate::peers) struct UserEmbeddings {
    /// Users with an embedding, sorted by the bytes of their ids.
    pub(in crate::peers) users: Vec<String>,
    /// Dimension of the embeddings.
    pub(in crate::peers) dimension: usize,
    /// Unit vectors, `[n_users][dimension]`.
    pub(in crate::peers) embeddings: Vec<f32>,
}

impl UserEmbeddings {
    /// Averages the vectors of the visible reviews; reviews without a vector do not count.
    pub(in crate::peers) fn of_view(
        view: &View<'_>,
        encoder: &Encoder,
        kind: EmbeddingKind,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (users, embeddings) = embed_users(view, encoder, kind, progress)?;
        let users = users.into_iter().map(|indexed| indexed.user).collect();
        Ok(Self { users, dimension: encoder.dimension(), embeddings })
    }

    /// The users at `rows`.
    pub(in crate::peers) fn of_rows(&self, rows: &[usize]) -> Self {
        let dimension = self.dimension;
        let row = |at: usize| &self.embeddings[at * dimension..(at + 1) * dimension];
        Self {
            users: rows.iter().map(|&at| self.users[at].clone()).collect(),
            dimension,
            embeddings: rows.iter().flat_map(|&at| row(at)).copied().collect(),
        }
    }
}

/// Returns the users with an embedding, sorted by the bytes of their ids, and their embeddings.
fn embed_users(
    view: &View<'_>,
    encoder: &Encoder,
    kind: EmbeddingKind,
    progress: &dyn Progress,
) -> Result<(Vec<IndexedUser>, Vec<f32>)> {
    let store = view.store();
    let stage = ProgressStage::begin(progress, "averaging items", Some(store.counts()?.reviews));
    let means = ItemMeans::of_view(view, encoder, progress)?;
    drop(stage);

    let mut names: Vec<String> = store.users(1)?.into_iter().map(|user| user.user).collect();
    names.sort_unstable();
    let mut users = Vec::with_capacity(names.len());
    let mut embeddings = Vec::with_capacity(names.len() * encoder.dimension());
    let stage = ProgressStage::begin(progress, "placing users", Some(names.len() as u64));
    for user in names {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let history = view.history(&user)?;
        let ids: Vec<ReviewId> = history.iter().map(|review| review.id).collect();
        let vectors = store.vectors(encoder.stamp(), &ids)?;
        if let Some(made) = user_embedding(&history, &vectors, &means, kind) {
            embeddings.extend_from_slice(&made.vector);
            users.push(IndexedUser { user, embedding: made.kind });
        }
        stage.advance(1);
    }
    Ok((users, embeddings))
}

fn fingerprint(manifest: &IndexManifest, users: &[IndexedUser], embeddings: &[f32]) -> String {
    let kind = match manifest.index {
        IndexKind::Exact => "exact".to_owned(),
        IndexKind::Hnsw => format!("hnsw {MAX_EDGES} {EF_CONSTRUCTION}"),
    };
    let mut key = Key::of("index")
        .with("format", manifest.format.to_le_bytes())
        .with("encoder", &manifest.encoder_fingerprint)
        .with("index", kind)
        .with("reviews", &manifest.content);
    for user in users {
        let kind = match user.embedding {
            EmbeddingKind::Residual => "residual",
            EmbeddingKind::PlainMean => "plain-mean",
        };
        key = key.with("user", &user.user).with("made", kind);
    }
    let bytes: Vec<u8> = embeddings.iter().flat_map(|x| x.to_le_bytes()).collect();
    key.with("embeddings", bytes).finish().as_str().to_owned()
}
