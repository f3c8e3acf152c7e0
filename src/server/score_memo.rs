//! Scores of recent prompts, so that prompts that begin alike are scored from where they differ.
//!
//! The score of a token depends on the tokens up to it and on nothing else. Benchmarks send one
//! context with several endings; the engine then reuses the keys and values of the context, and this
//! memo its scores.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use idiolect_engine::lm::TokenLogprob;

/// Maximum number of prompts that are kept.
const MAX_PROMPTS: usize = 64;
/// Maximum number of tokens of all kept prompts.
const MAX_TOKENS: usize = 1 << 16;

/// Scores of recent prompts, the newest last.
#[derive(Default)]
pub(crate) struct ScoreMemo {
    recent: Mutex<VecDeque<ScoredPrompt>>,
}

struct ScoredPrompt {
    ids: Vec<u32>,
    n_top: usize,
    /// Scores of all tokens but the first.
    scores: Vec<TokenLogprob>,
}

impl ScoreMemo {
    /// The known scores of the first tokens of `ids`, but the very first, with `n_top` likeliest
    /// tokens; may be empty.
    pub(crate) fn known(&self, ids: &[u32], n_top: usize) -> Vec<TokenLogprob> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let common =
            |prompt: &ScoredPrompt| prompt.ids.iter().zip(ids).take_while(|(a, b)| a == b).count();
        let usable = recent.iter().filter(|prompt| prompt.n_top >= n_top);
        let best = usable.map(|prompt| (common(prompt), prompt)).max_by_key(|(n, _)| *n);
        let Some((n_common, prompt)) = best else { return Vec::new() };
        let known = prompt.scores.iter().take(n_common.saturating_sub(1));
        let cut = known.map(|score| {
            let mut score = score.clone();
            score.top.truncate(n_top);
            score
        });
        cut.collect()
    }

    /// Forgets all prompts.
    pub(crate) fn clear(&self) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps the scores of a prompt, and forgets the oldest if they become too many.
    pub(crate) fn put(&self, ids: &[u32], n_top: usize, scores: &[TokenLogprob]) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|prompt| prompt.ids != ids || prompt.n_top > n_top);
        recent.push_back(ScoredPrompt { ids: ids.to_vec(), n_top, scores: scores.to_vec() });
        let n_tokens =
            |recent: &VecDeque<ScoredPrompt>| recent.iter().map(|p| p.ids.len()).sum::<usize>();
        while recent.len() > MAX_PROMPTS || n_tokens(&recent) > MAX_TOKENS {
            recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores that tell which prompt they come from.
    fn scores(ids: &[u32], n_top: usize) -> Vec<TokenLogprob> {
        let score = |(at, id): (usize, &u32)| TokenLogprob {
            id: *id,
            logprob: -(at as f32),
            rank: 1,
            top: (0..n_top as u32).map(|i| (i, -1.0)).collect(),
        };
        ids[1..].iter().enumerate().map(score).collect()
    }

    #[test]
    fn the_longest_common_beginning_is_known() {
        let memo = ScoreMemo::default();
        assert!(memo.known(&[1, 2, 3], 0).is_empty());
        for ids in [&[1, 2, 3, 4][..], &[1, 2, 9], &[7]] {
            memo.put(ids, 2, &scores(ids, 2));
        }
        assert_eq!(memo.known(&[1, 2, 3, 5, 6], 1), scores(&[1, 2, 3], 1));
        assert_eq!(memo.known(&[1, 2, 9], 2), scores(&[1, 2, 9], 2));
        assert!(memo.known(&[1, 2, 9], 3).is_empty());
        assert!(memo.known(&[8, 2], 0).is_empty() && memo.known(&[7, 1], 0).is_empty());
    }

    #[test]
    fn the_oldest_prompts_are_forgotten() {
        let memo = ScoreMemo::default();
        for first in 0..=MAX_PROMPTS as u32 {
            let ids = [first, 1];
            memo.put(&ids, 0, &scores(&ids, 0));
        }
        assert!(memo.known(&[0, 1], 0).is_empty());
        assert_eq!(memo.known(&[1, 1], 0).len(), 1);
        let long: Vec<u32> = (0..=MAX_TOKENS as u32).collect();
        memo.put(&long, 0, &scores(&long, 0));
        assert!(memo.known(&long, 0).is_empty());
    }
}
