//! Vectors of reviews: made where missing, kept in the store.

use std::collections::HashMap;

use super::{Error, Result};
use crate::corpus::{ReviewId, StoredReview, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::{Progress, Silent};

/// Reviews embedded between two commits to the store, and between two looks at the wish to stop.
const BATCH: usize = 128;

/// Reviews read at once when all of them are gone through.
const CHUNK: usize = 2048;

/// Most vectors made in passing where all reviews are needed; more is the work of `idiolect index`.
const MADE_IN_PASSING: usize = 1000;

/// Embeds those of the reviews that have no vector under the encoder's stamp yet; returns how many
/// were missing and how many texts had to be truncated. Vectors are stored in batches as they come,
/// so that whatever stops the work loses at most one batch.
///
/// # Errors
///
/// [`Error::Stopped`] when `progress` asks to stop.
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
    progress.begin("embedding reviews", Some(missing.len() as u64));
    for batch in missing.chunks(BATCH) {
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let reviews = store.reviews(batch)?;
        let texts: Vec<&str> = reviews.iter().map(|r| r.review.text.as_str()).collect();
        let embeddings = encoder.encode(&texts)?;
        n_truncated += embeddings.iter().filter(|e| e.truncated).count();
        let rows: Vec<_> =
            reviews.iter().zip(embeddings).map(|(review, e)| (review.id, e.vector)).collect();
        store.put_vectors(encoder.stamp(), &rows)?;
        progress.advance(batch.len() as u64);
    }
    progress.end();
    Ok((missing.len(), n_truncated))
}

/// Vectors of a few reviews, made where missing.
pub(super) fn vectors_of(
    view: &View<'_>,
    encoder: &Encoder,
    ids: &[ReviewId],
) -> Result<HashMap<ReviewId, Vec<f32>>> {
    ensure_vectors(view, encoder, ids, &Silent)?;
    Ok(view.store().vectors(encoder.stamp(), ids)?)
}

/// Makes the last few vectors that are missing; where many are, that is an error.
pub(super) fn ensure_all(view: &View<'_>, encoder: &Encoder) -> Result<()> {
    let missing = view.store().without_vector(encoder.stamp())?;
    if missing.len() > MADE_IN_PASSING {
        let encoder = encoder.name().to_owned();
        return Err(Error::NotEmbedded { missing: missing.len(), encoder });
    }
    ensure_vectors(view, encoder, &missing, &Silent)?;
    Ok(())
}

/// Goes through all visible reviews that have a vector under `stamp`, in order of rows.
pub(super) fn for_each_review(
    view: &View<'_>,
    stamp: &str,
    progress: &dyn Progress,
    mut visit: impl FnMut(&StoredReview, &[f32]),
) -> Result<()> {
    for chunk in view.store().review_ids()?.chunks(CHUNK) {
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let vectors = view.store().vectors(stamp, chunk)?;
        for review in view.reviews(chunk)? {
            if let Some(vector) = vectors.get(&review.id) {
                visit(&review, vector);
            }
        }
        progress.advance(chunk.len() as u64);
    }
    Ok(())
}
