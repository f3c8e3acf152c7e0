//! Token counts of texts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{Lexicon, Lm, Phrases, Result};

/// Maximum number of (token, count) pairs kept in memory: 64 MiB.
const MOST_PAIRS: usize = 8 << 20;

/// Each distinct token of a text and its count.
type TokenCounts = Arc<[(u32, u32)]>;

/// Cache of token counts by the text's hash: the same reviews are counted for many targets.
#[derive(Default)]
pub(super) struct CountedTexts {
    known: Mutex<(HashMap<[u8; 32], TokenCounts>, usize)>,
}

impl Lm {
    /// Counts the tokens of texts. Each text is trimmed and tokenized with one space before it.
    ///
    /// # Errors
    /// A text cannot be tokenized.
    pub fn lexicon(&self, texts: &mut dyn Iterator<Item = &str>) -> Result<Lexicon> {
        let mut lexicon = Lexicon::new(self.shared.tokenizer.n_vocab());
        for text in texts {
            for (id, n) in self.counts(text.trim())?.iter() {
                lexicon.add(*id, *n);
            }
        }
        Ok(lexicon)
    }

    /// Counts the tokens that follow each token and each pair of tokens in the texts, which are
    /// trimmed.
    ///
    /// # Errors
    /// A text cannot be tokenized.
    pub fn phrases(&self, texts: &mut dyn Iterator<Item = &str>) -> Result<Phrases> {
        let texts: Vec<Vec<u32>> =
            texts.map(|text| self.tokenize(text.trim())).collect::<Result<_>>()?;
        Ok(Phrases::of(&texts))
    }

    /// Splits a text into the texts of its tokens; bytes that are not a whole character become
    /// U+FFFD.
    ///
    /// # Errors
    /// The text cannot be tokenized.
    pub fn pieces(&self, text: &str) -> Result<Vec<String>> {
        let piece = |id| String::from_utf8_lossy(self.shared.tokenizer.bytes(id)).into_owned();
        Ok(self.tokenize(text)?.into_iter().map(piece).collect())
    }

    fn counts(&self, text: &str) -> Result<TokenCounts> {
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
