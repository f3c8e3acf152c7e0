//! Builds the index from the store.

use std::collections::BTreeMap;

use super::files::{self, FORMAT, Facts};
use super::graph::{EF_CONSTRUCTION, Graph, MAX_EDGES};
use super::{
    DEFAULT_EXACT_BELOW, EmbeddingKind, IndexKind, IndexedUser, PeerIndex, Result, content_of,
};
use crate::corpus::{Key, ReviewId, Store, View};
use crate::peers::vectors::ensure_vectors;
use crate::peers::{Error, ItemMeans, user_embedding};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::Progress;

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
pub fn build_index(
    store: &Store,
    encoder: &Encoder,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<(PeerIndex, usize, usize)> {
    let folder = files::folder_of(store)?;
    let lock = files::lock(&folder)?;
    let view = View::all(store);
    let missing = store.without_vector(encoder.stamp())?;
    let (n_embedded, n_truncated) = ensure_vectors(&view, encoder, &missing, progress)?;

    let (n_reviews, content) = content_of(store)?;
    let (users, embeddings) = embed_users(&view, encoder, options.embedding, progress)?;
    let kind = if users.len() < options.exact_below { IndexKind::Exact } else { IndexKind::Hnsw };
    let mut facts = Facts {
        format: FORMAT,
        stamp: String::new(),
        encoder: encoder.name().to_owned(),
        encoder_stamp: encoder.stamp().to_owned(),
        dimension: encoder.dimension(),
        embedding: options.embedding,
        index: kind,
        reviews: n_reviews,
        content,
        users: users.len(),
        generation: String::new(),
        files: BTreeMap::new(),
    };
    facts.stamp = stamp(&facts, &users, &embeddings);
    if let Ok(current) = PeerIndex::open(store, encoder)
        && current.facts().stamp == facts.stamp
    {
        return Ok((current, n_embedded, n_truncated));
    }
    let graph = match kind {
        IndexKind::Exact => None,
        IndexKind::Hnsw => Some(Graph::build(&embeddings, facts.dimension, progress)?),
    };
    let mut index = PeerIndex { facts, users, embeddings, graph };
    files::write_index(&folder, &mut index)?;
    drop(lock);
    Ok((index, n_embedded, n_truncated))
}

/// Returns the users with an embedding, sorted by the bytes of their ids, and their embeddings.
fn embed_users(
    view: &View<'_>,
    encoder: &Encoder,
    kind: EmbeddingKind,
    progress: &dyn Progress,
) -> Result<(Vec<IndexedUser>, Vec<f32>)> {
    let store = view.store();
    progress.begin("averaging items", Some(store.counts()?.reviews));
    let means = ItemMeans::of_view(view, encoder, progress)?;
    progress.end();

    let mut names: Vec<String> = store.users(1)?.into_iter().map(|user| user.user).collect();
    names.sort_unstable();
    let mut users = Vec::with_capacity(names.len());
    let mut embeddings = Vec::with_capacity(names.len() * encoder.dimension());
    progress.begin("placing users", Some(names.len() as u64));
    for user in names {
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let history = view.history(&user)?;
        let ids: Vec<ReviewId> = history.iter().map(|review| review.id).collect();
        let vectors = store.vectors(encoder.stamp(), &ids)?;
        if let Some(made) = user_embedding(&history, &vectors, &means, kind) {
            embeddings.extend_from_slice(&made.vector);
            users.push(IndexedUser { user, embedding: made.kind });
        }
        progress.advance(1);
    }
    progress.end();
    Ok((users, embeddings))
}

fn stamp(facts: &Facts, users: &[IndexedUser], embeddings: &[f32]) -> String {
    let kind = match facts.index {
        IndexKind::Exact => "exact".to_owned(),
        IndexKind::Hnsw => format!("hnsw {MAX_EDGES} {EF_CONSTRUCTION}"),
    };
    let mut key = Key::of("index")
        .with("format", facts.format.to_le_bytes())
        .with("encoder", &facts.encoder_stamp)
        .with("index", kind)
        .with("reviews", &facts.content);
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
