//! The file with the token counts of a corpus.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use idiolect_core::corpus::{Background, ReviewId, Store, View};
use idiolect_core::steering::{UnigramCounts, Vocabulary, vocabulary_hash};
use idiolect_engine::progress::{Progress, ProgressStage};

use crate::{Error, Result};

/// Number of texts that are read at once.
const TEXTS_AT_ONCE: usize = 1000;

/// Counts the tokens of all texts of a store but the held-out ones.
///
/// # Errors
/// The store or the tokenizer fails, or a stop is requested.
pub fn count_background(
    store: &Store,
    vocabulary: &dyn Vocabulary,
    held_out: &BTreeSet<ReviewId>,
    progress: &dyn Progress,
) -> Result<Background> {
    let ids = store.review_ids()?;
    let view = View::all(store);
    let stage = ProgressStage::begin(progress, "counting tokens", Some(ids.len() as u64));
    let mut counts = UnigramCounts::new(vocabulary.n_tokens());
    let mut n_texts = 0;
    for ids in ids.chunks(TEXTS_AT_ONCE) {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        for stored in view.reviews(ids)? {
            let text = stored.review.text.as_str();
            if !held_out.contains(&stored.id) && !text.trim().is_empty() {
                n_texts += 1;
                for (id, n) in vocabulary.token_counts(text)?.iter() {
                    counts.add(*id, *n);
                }
            }
        }
        stage.advance(ids.len() as u64);
    }
    let vocabulary = vocabulary_hash(vocabulary);
    Ok(Background { vocabulary, n_texts, counts: counts.counts().to_vec() })
}

/// Writes a background as JSON.
///
/// # Errors
/// The file cannot be written.
pub fn write_background(background: &Background, path: &Path) -> Result<()> {
    let failed = |source| Error::File { operation: "write", path: path.to_owned(), source };
    let json = serde_json::to_vec(background).map_err(std::io::Error::other).map_err(failed)?;
    fs::write(path, json).map_err(failed)
}

/// Reads a background.
///
/// # Errors
/// The file cannot be read, is no background, or was counted with another vocabulary.
pub fn read_background(path: &Path, vocabulary: &dyn Vocabulary) -> Result<Background> {
    let read = |source| Error::File { operation: "read", path: path.to_owned(), source };
    let wrong = |what: String| Error::Background { path: path.to_owned(), what };
    let bytes = fs::read(path).map_err(read)?;
    let background: Background =
        serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let n = vocabulary.n_tokens();
    if background.counts.len() != n || background.vocabulary != vocabulary_hash(vocabulary) {
        let counted = background.counts.len();
        return Err(wrong(format!(
            "it was counted with another vocabulary ({counted} tokens) than the language model's \
             ({n}); count it again with this --lm"
        )));
    }
    Ok(background)
}
