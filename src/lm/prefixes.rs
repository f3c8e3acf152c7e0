//! Caches of finished prefills, so that a prompt that begins like an earlier one need not be run from
//! its beginning.
//!
//! Only whole chunks of a prefill are kept and reused. A chunk holds the same positions and is
//! computed by the same operations whether it is reused or not, so the bits are the same.

use std::collections::VecDeque;

use super::decoder::{Cache, RUN};

/// Kept prefixes, the least recently used in front.
pub(super) struct Prefixes {
    most_bytes: usize,
    kept: VecDeque<Prefix>,
}

struct Prefix {
    tokens: Vec<u32>,
    cache: Cache,
}

impl Prefixes {
    /// `most_bytes`: of all caches together, shared runs counted as often as they are held.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, kept: VecDeque::new() }
    }

    /// A cache of the longest known beginning of `tokens`, in whole chunks and of at most `most`
    /// tokens.
    pub(super) fn longest(&mut self, tokens: &[u32], most: usize) -> Option<Cache> {
        let (index, n) = self
            .kept
            .iter()
            .enumerate()
            .map(|(index, prefix)| (index, common(&prefix.tokens, tokens).min(most) / RUN * RUN))
            .max_by_key(|(_, n)| *n)
            .filter(|(_, n)| *n > 0)?;
        let prefix = self.kept.remove(index)?;
        let mut cache = prefix.cache.fork();
        cache.truncate(n);
        self.kept.push_back(prefix);
        Some(cache)
    }

    /// Keeps the whole chunks of a sequence whose prefill is over.
    pub(super) fn keep(&mut self, tokens: &[u32], cache: &Cache) {
        let n = cache.len().min(tokens.len()) / RUN * RUN;
        if n == 0 || self.kept.iter().any(|prefix| common(&prefix.tokens, tokens) >= n) {
            return;
        }
        self.kept.retain(|prefix| !tokens.starts_with(&prefix.tokens));
        let mut cache = cache.fork();
        cache.truncate(n);
        self.kept.push_back(Prefix { tokens: tokens[..n].to_vec(), cache });
        let mut bytes: usize = self.kept.iter().map(|prefix| prefix.cache.bytes()).sum();
        while bytes > self.most_bytes
            && let Some(oldest) = self.kept.pop_front()
        {
            bytes -= oldest.cache.bytes();
        }
    }
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
