//! Token counts of texts, kept in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{Lm, Result};

/// Maximum number of (token, count) pairs kept in memory: 64 MiB.
const MOST_PAIRS: usize = 8 << 20;

/// Each distinct token of a text and its count, sorted by token.
pub type TokenCounts = Arc<[(u32, u32)]>;

/// Cache of token counts by the text's hash: the same reviews are counted for many targets.
#[derive(Default)]
pub(super) struct CountedTexts {
    known: Mutex<(HashMap<[u8; 32], TokenCounts>, usize)>,
}

impl Lm {
    /// Counts the distinct tokens of a text as it stands inside another one: without white space
    /// around it, after one space. Sorted by token id; kept in memory, up to 64 MiB in all.
    ///
    /// # Errors
    /// The text cannot be tokenized.
    pub fn token_counts(&self, text: &str) -> Result<TokenCounts> {
        let text = text.trim();
        let hash: [u8; 32] = Sha256::digest(text).into();
        let known = || self.shared.counted.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = known().0.get(&hash) {
            return Ok(Arc::clone(counts));
        }
        let mut ids = self.tokenize(&format!(" {text}"))?;
        ids.sort_unstable();
        let counts: TokenCounts =
            ids.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect();
        let (texts, n_pairs) = &mut *known();
        if *n_pairs + counts.len() <= MOST_PAIRS {
            *n_pairs += counts.len();
            texts.insert(hash, Arc::clone(&counts));
        }
        Ok(counts)
    }
}
