//! Token counts of texts, kept in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::Result;

/// Maximum number of (token, count) pairs kept in memory: 64 MiB.
const MAX_PAIRS: usize = 8 << 20;

/// Each distinct token of a text and its count, sorted by token.
pub type TokenCounts = Arc<[(u32, u32)]>;

/// Cache of token counts by the text's hash: the same reviews are counted for many targets.
#[derive(Default)]
pub(super) struct CountedTexts {
    known: Mutex<(HashMap<[u8; 32], TokenCounts>, usize)>,
}

impl CountedTexts {
    /// Forgets all texts.
    pub(super) fn clear(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    /// Counts of a text; `tokenize` is called if they are not known.
    pub(super) fn counts(
        &self,
        text: &str,
        tokenize: impl FnOnce(&str) -> Result<Vec<u32>>,
    ) -> Result<TokenCounts> {
        let hash: [u8; 32] = Sha256::digest(text).into();
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = known().0.get(&hash) {
            return Ok(Arc::clone(counts));
        }
        let mut ids = tokenize(text)?;
        ids.sort_unstable();
        let counts: TokenCounts =
            ids.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect();
        let (texts, n_pairs) = &mut *known();
        if *n_pairs + counts.len() <= MAX_PAIRS {
            *n_pairs += counts.len();
            texts.insert(hash, Arc::clone(&counts));
        }
        Ok(counts)
    }
}
