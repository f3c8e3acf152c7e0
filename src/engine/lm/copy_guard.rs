//! Keeps a text from taking over a run of words from others' texts.
//!
//! Words are maximal runs of letters and digits, compared without case, so that neither spacing nor
//! punctuation lets a run through.

use std::collections::HashSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::tokenizer::Tokenizer;

/// Texts of which no run of `n_words` words or more may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyGuard {
    n_words: usize,
    hash: String,
    /// Runs of `n_words`, each as its words with a space between them.
    runs: Arc<HashSet<String>>,
    /// The same runs without their last word.
    beginnings: Arc<HashSet<String>>,
}

impl CopyGuard {
    /// `n_words` is at least 2; with fewer it is taken as 2.
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

    /// Hash of the texts and the number of words.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether a text has one of the runs in it.
    #[must_use]
    pub fn is_copy(&self, text: &str) -> bool {
        words(text).windows(self.n_words).any(|run| self.runs.contains(&run.join(" ")))
    }

    /// Takes away every token that would complete a run behind `text`, whose own last word may still
    /// be unfinished. A run counts as complete as soon as its last word stands there, even if that
    /// could go on to a longer one.
    pub(super) fn mask(&self, logits: &mut [f32], text: &str, tokenizer: &Tokenizer) {
        let words = words(text);
        let is_open = text.chars().next_back().is_some_and(char::is_alphanumeric);
        // The run's last word is the open one going on, or the one after it.
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
#[path = "copy_guard_tests.rs"]
mod tests;
