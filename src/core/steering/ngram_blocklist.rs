//! Word n-gram blocklist: prevents a completion from copying word sequences from others' texts.
//!
//! A word is a maximal sequence of letters and digits, compared without case, so that spacing and
//! punctuation do not hide a copy.

use std::collections::HashSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use idiolect_engine::lm::MaskLogits;
use idiolect_engine::model::tokenizer::Tokenizer;

/// Blocklist of texts: a completion must not contain `n_words` or more consecutive words of one of
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgramBlocklist {
    n_words: usize,
    hash: String,
    /// All sequences of `n_words` words, the words joined by spaces.
    runs: Arc<HashSet<String>>,
    /// The same sequences without their last word.
    beginnings: Arc<HashSet<String>>,
}

impl NgramBlocklist {
    /// Builds the blocklist of `texts`. `n_words` below 2 counts as 2.
    #[must_use]
    pub fn new<S: AsRef<str>>(texts: &[S], n_words: usize) -> Self {
        let n_words = n_words.max(2);
        let (mut runs, mut beginnings) = (HashSet::new(), HashSet::new());
        let mut hasher = Sha256::new();
        hasher.update(n_words.to_le_bytes());
        for text in texts {
            hasher.update(Sha256::digest(text.as_ref()));
            let words = words(text.as_ref());
            for run in words.windows(n_words) {
                runs.insert(run.join(" "));
                beginnings.insert(run[..n_words - 1].join(" "));
            }
        }
        let hash = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { n_words, hash, runs: Arc::new(runs), beginnings: Arc::new(beginnings) }
    }

    /// Hash of the texts and of `n_words`.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether a text contains one of the word sequences.
    #[must_use]
    pub fn is_copy(&self, text: &str) -> bool {
        words(text).windows(self.n_words).any(|run| self.runs.contains(&run.join(" ")))
    }
}

impl MaskLogits for NgramBlocklist {
    /// Forbids every token that would complete a word sequence after `text`, whose last word may be
    /// unfinished. A sequence counts as complete as soon as its last word is there, even if that
    /// could continue to a longer word.
    fn mask(&mut self, text: &str, tokenizer: &Tokenizer, logits: &mut [f32]) {
        let words = words(text);
        let is_open = text.chars().next_back().is_some_and(char::is_alphanumeric);
        // The last word of the sequence is either the unfinished word or the one after it.
        let ends = [words.len().checked_sub(1).filter(|_| is_open), Some(words.len())];
        let n = self.n_words - 1;
        let could = ends.into_iter().flatten().any(|end| {
            end.checked_sub(n)
                .is_some_and(|begin| self.beginnings.contains(&words[begin..end].join(" ")))
        });
        if !could {
            return;
        }
        let mut tail = words[words.len().saturating_sub(self.n_words)..].join(" ");
        if !is_open {
            tail.push(' ');
        }
        for (id, logit) in logits.iter_mut().enumerate() {
            if *logit == f32::NEG_INFINITY {
                continue;
            }
            let Ok(bytes) = std::str::from_utf8(tokenizer.bytes(id as u32)) else { continue };
            if self.is_copy(&format!("{tail}{bytes}")) && !self.is_copy(&tail) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
#[path = "ngram_blocklist_tests.rs"]
mod tests;
