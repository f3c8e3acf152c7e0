//! Vectors of reviews: computed if missing, and cached in the store.

use std::collections::HashMap;

use super::{Error, Result};
use crate::corpus::{ReviewId, StoredReview, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::{Progress, ProgressStage, Silent};

/// Number of reviews embedded per commit to the store and per check of the stop request.
const BATCH: usize = 128;

/// Number of reviews read at once when all are visited.
const CHUNK: usize = 2048;

/// Maximum number of missing vectors that are computed on demand; for more, the user must run
/// `idiolect index`.
const MAX_ON_DEMAND: usize = 1000;

/// Embeds the reviews that have no vector under the encoder's fingerprint yet. Returns the number
/// of missing vectors and the number of texts that had to be truncated. Vectors are stored in
/// batches, so that an interruption loses at most one batch.
///
/// # Errors
///
/// [`Error::Stopped`] if `progress` requests a stop; the encoder or the store fails.
pub fn ensure_vectors(
    view: &View<'_>,
    encoder: &Encoder,
    ids: &[ReviewId],
    progress: &dyn Progress,
) -> Result<(usize, usize)> {
    let store = view.store();
    let mut missing = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let have = store.vectors(encoder.stamp(), chunk)?;
        missing.extend(chunk.iter().copied().filter(|id| !have.contains_key(id)));
    }
    if missing.is_empty() {
        return Ok((0, 0));
    }
    let mut n_truncated = 0;
    let stage = ProgressStage::begin(progress, "embedding reviews", Some(missing.len() as u64));
    for batch in missing.chunks(BATCH) {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let reviews = store.reviews(batch)?;
        let texts: Vec<&str> = reviews.iter().map(|r| r.review.text.as_str()).collect();
        let embeddings = encoder.encode(&texts)?;
        n_truncated += embeddings.iter().filter(|e| e.truncated).count();
        let rows: Vec<_> =
            reviews.iter().zip(embeddings).map(|(review, e)| (review.id, e.vector)).collect();
        store.put_vectors(encoder.stamp(), &rows)?;
        stage.advance(batch.len() as u64);
    }
    Ok((missing.len(), n_truncated))
}

/// Returns the vectors of a few reviews; computes missing ones.
pub(super) fn vectors_of(
    view: &View<'_>,
    encoder: &Encoder,
    ids: &[ReviewId],
) -> Result<HashMap<ReviewId, Vec<f32>>> {
    ensure_vectors(view, encoder, ids, &Silent)?;
    Ok(view.store().vectors(encoder.stamp(), ids)?)
}

/// Computes all missing vectors; error if there are more than [`MAX_ON_DEMAND`].
pub(super) fn ensure_all(view: &View<'_>, encoder: &Encoder) -> Result<()> {
    let missing = view.store().without_vector(encoder.stamp())?;
    if missing.len() > MAX_ON_DEMAND {
        let encoder = encoder.name().to_owned();
        return Err(Error::NotEmbedded { missing: missing.len(), encoder });
    }
    ensure_vectors(view, encoder, &missing, &Silent)?;
    Ok(())
}

/// Calls `visit` for all visible reviews that have a vector under `fingerprint`, in order of row
/// ids.
pub(super) fn for_each_review(
    view: &View<'_>,
    fingerprint: &str,
    progress: &dyn Progress,
    mut visit: impl FnMut(&StoredReview, &[f32]),
) -> Result<()> {
    for chunk in view.store().review_ids()?.chunks(CHUNK) {
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let vectors = view.store().vectors(fingerprint, chunk)?;
        for review in view.reviews(chunk)? {
            if let Some(vector) = vectors.get(&review.id) {
                visit(&review, vector);
            }
        }
        progress.advance(chunk.len() as u64);
    }
    Ok(())
}
