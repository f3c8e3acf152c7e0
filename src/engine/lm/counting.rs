//! Tokens of texts, counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{Lexicon, Lm, Phrases, Result};

/// Most pairs of a token and its count that are remembered: 64 MB.
const MOST_PAIRS: usize = 8 << 20;

/// Each distinct token of a text and how often it stands there.
type Counts = Arc<[(u32, u32)]>;

/// Counts of texts that were counted before, by a text's hash: the same reviews are counted for one
/// target after the other.
#[derive(Default)]
pub(super) struct CountedTexts {
    known: Mutex<(HashMap<[u8; 32], Counts>, usize)>,
}

impl Lm {
    /// Counts the tokens of texts, each as it stands behind a space.
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

    /// What stands behind each token and each two tokens of texts.
    ///
    /// # Errors
    /// A text cannot be tokenized.
    pub fn phrases(&self, texts: &mut dyn Iterator<Item = &str>) -> Result<Phrases> {
        let texts: Vec<Vec<u32>> =
            texts.map(|text| self.tokenize(text.trim())).collect::<Result<_>>()?;
        Ok(Phrases::of(&texts))
    }

    /// The text of each token of a text; bytes that are no whole character become U+FFFD.
    ///
    /// # Errors
    /// The text cannot be tokenized.
    pub fn pieces(&self, text: &str) -> Result<Vec<String>> {
        let piece = |id| String::from_utf8_lossy(self.shared.tokenizer.bytes(id)).into_owned();
        Ok(self.tokenize(text)?.into_iter().map(piece).collect())
    }

    fn counts(&self, text: &str) -> Result<Counts> {
        let hash: [u8; 32] = Sha256::digest(text).into();
        let known = || self.shared.counted.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = known().0.get(&hash) {
            return Ok(Arc::clone(counts));
        }
        let mut ids = self.tokenize(&format!(" {text}"))?;
        ids.sort_unstable();
        let counts: Counts =
            ids.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect();
        let (texts, n_pairs) = &mut *known();
        if *n_pairs + counts.len() <= MOST_PAIRS {
            *n_pairs += counts.len();
            texts.insert(hash, Arc::clone(&counts));
        }
        Ok(counts)
    }
}
