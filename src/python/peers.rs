//! The index over users, neighbours and representatives.

use idiolect_core::corpus::View;
use idiolect_core::peers::{
    Anchor, BuildOptions, ChoiceOptions, DEFAULT_EXACT_BELOW, EmbeddingKind, Representative,
    Selector, build_index, choose, nearest_users,
};
use idiolect_engine::progress::Progress;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failure::Result;
use crate::parts::EngineParts;
use crate::settings::named;

/// The options of `idiolect index`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexArgs {
    embedding: String,
    exact_below: Option<usize>,
    rebuild: bool,
}

/// The options of `idiolect representatives`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepresentativesArgs {
    user: String,
    item: String,
    k: usize,
    selector: String,
    seed: u64,
}

/// The JSON object of `idiolect representatives --json`.
#[derive(Serialize)]
struct RepresentativesObject<'a> {
    user: &'a str,
    item: &'a str,
    selector: Selector,
    k: usize,
    seed: u64,
    compared_with: Anchor,
    candidates: usize,
    dropped: usize,
    representatives: &'a [Representative],
}

/// Embeds what is not embedded yet, builds the index, and returns the object of `idiolect index --json`.
pub(crate) fn index(
    work: &EngineParts,
    args: &IndexArgs,
    progress: &dyn Progress,
) -> Result<String> {
    let embedding: EmbeddingKind = named("embedding", &args.embedding)?;
    let store = work.store()?;
    let encoder = work.encoder(progress)?;
    if args.rebuild {
        store.drop_vectors(encoder.stamp())?;
    }
    let exact_below = args.exact_below.unwrap_or(DEFAULT_EXACT_BELOW);
    let options = BuildOptions { embedding, exact_below };
    let (index, embedded, truncated) = build_index(&store, &encoder, &options, progress)?;
    let manifest = index.manifest();
    let told = json!({
        "reviews": manifest.reviews,
        "embedded": embedded,
        "truncated": truncated,
        "users": manifest.users,
        "dimension": manifest.dimension,
        "index": manifest.index,
        "embedding": manifest.embedding,
        "encoder": manifest.encoder,
        "stamp": manifest.fingerprint,
    });
    Ok(told.to_string())
}

/// The users whose embeddings are nearest to the user's, nearest first.
pub(crate) fn neighbours(
    work: &EngineParts,
    user: &str,
    k: usize,
    progress: &dyn Progress,
) -> Result<Vec<String>> {
    let store = work.store()?;
    let view = View::all(&store);
    // An unknown name is an error before the encoder is loaded.
    view.history(user)?;
    let encoder = work.encoder(progress)?;
    Ok(nearest_users(&view, &encoder, user, k)?)
}

/// The representatives that a user is compared with on an item: the object of
/// `idiolect representatives --json`.
pub(crate) fn representatives(
    work: &EngineParts,
    args: &RepresentativesArgs,
    progress: &dyn Progress,
) -> Result<String> {
    let options =
        ChoiceOptions { k: args.k, selector: named("selector", &args.selector)?, seed: args.seed };
    let store = work.store()?;
    let view = View::all(&store);
    view.history(&args.user)?;
    view.item(&args.item)?;
    let encoder = work.encoder(progress)?;
    let choice = choose(&view, &encoder, &args.user, &args.item, &options)?;
    Ok(serde_json::to_string(&RepresentativesObject {
        user: &args.user,
        item: &args.item,
        selector: options.selector,
        k: options.k,
        seed: options.seed,
        compared_with: choice.compared_with,
        candidates: choice.n_candidates,
        dropped: choice.n_dropped,
        representatives: &choice.representatives,
    })?)
}
