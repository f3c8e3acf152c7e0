//! PAD, personalized alignment at decoding time (arXiv 2410.04070, and the authors' program): a trained
//! map of the last hidden state rewards tokens, `score = l + w (log-softmax of the reward model over the
//! k − log-softmax of l over the k)` on the k likeliest tokens.
//!
//! The reward model is the language model itself with a map of low rank before its output head,
//! `h' = h + A diag(g) B h`, where g belongs to the user. So no second model runs, and a step costs one
//! product of rank r and one of k rows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::outside;
use crate::corpus::Key;
use idiolect_engine::lm::{CombineLogits, Distributions};

/// Weight and bounds of a token reward.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RewardWeight {
    /// Weight of the reward; 0 leaves the distribution as it is.
    pub weight: f32,
    /// Number of likeliest tokens that are rewarded, at least 1.
    pub k: usize,
    /// Penalty of other tokens, nats; `None` forbids them.
    pub outside: Option<f32>,
}

/// Reward of tokens for one user, by the last hidden state.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenReward {
    rank: usize,
    /// B, `[rank][n_embd]`.
    down: Arc<[f32]>,
    /// The output head times A, `[n_vocab][rank]`.
    up: Arc<[f32]>,
    /// g, `[rank]`.
    gate: Vec<f32>,
    hash: String,
}

impl TokenReward {
    /// Makes a reward of B `[rank][n_embd]`, of the output head times A `[n_vocab][rank]`, and of g
    /// `[rank]`; `None` if their lengths do not fit.
    #[must_use]
    pub fn new(down: Arc<[f32]>, up: Arc<[f32]>, gate: Vec<f32>) -> Option<Self> {
        let rank = gate.len();
        if rank == 0 || !down.len().is_multiple_of(rank) || !up.len().is_multiple_of(rank) {
            return None;
        }
        let bytes = |values: &[f32]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let key = Key::of("token reward").with("down", bytes(&down)).with("up", bytes(&up));
        let hash = key.with("gate", bytes(&gate)).finish().as_str().to_owned();
        Some(Self { rank, down, up, gate, hash })
    }

    /// Hash of all values.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Values that the map adds to the logits of some tokens after a hidden state `[n_embd]`; 0 for tokens
    /// outside the vocabulary.
    #[must_use]
    pub fn added(&self, hidden: &[f32], ids: &[usize]) -> Vec<f32> {
        let n_embd = self.down.len() / self.rank;
        if hidden.len() != n_embd {
            return vec![0.0; ids.len()];
        }
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let inner: Vec<f32> = self
            .down
            .chunks_exact(n_embd)
            .zip(&self.gate)
            .map(|(row, gate)| gate * dot(row, hidden))
            .collect();
        let of = |id: &usize| {
            let row = self.up.get(id * self.rank..(id + 1) * self.rank);
            row.map_or(0.0, |row| dot(row, &inner))
        };
        ids.iter().map(of).collect()
    }

    /// Reward of each of some tokens: by how much its log-probability among them rises.
    #[must_use]
    pub fn among(&self, hidden: &[f32], ids: &[usize], logprobs: &[f32]) -> Vec<f32> {
        let added = self.added(hidden, ids);
        let largest = logprobs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logprobs.iter().map(|l| (l - largest).exp()).sum();
        let shifted = logprobs.iter().zip(&added);
        let raised: f32 = shifted.map(|(l, a)| (l - largest + a).exp()).sum();
        let mean = (raised / total).ln();
        added.into_iter().map(|a| a - mean).collect()
    }
}

/// Another rule's scores with a token reward.
pub(super) struct TokenRewarded {
    pub(super) rule: Box<dyn CombineLogits>,
    pub(super) settings: RewardWeight,
    pub(super) reward: TokenReward,
}

impl CombineLogits for TokenRewarded {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        self.rule.combine(step, combined);
        let Some(hidden) = step.hidden.first() else { return };
        let ids = likeliest(combined, self.settings.k);
        let base: Vec<f32> = ids.iter().map(|id| combined[*id]).collect();
        let rewards = self.reward.among(hidden, &ids, &base);
        combined.iter_mut().for_each(|score| *score = outside(*score, self.settings.outside));
        for ((id, base), reward) in ids.into_iter().zip(base).zip(rewards) {
            combined[id] = base + self.settings.weight * reward;
        }
    }

    fn reads_hidden(&self) -> bool {
        true
    }
}

/// The `k` tokens with the highest finite scores, of equals those with the lower ids.
pub(crate) fn likeliest(scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|id| scores[*id].is_finite()).collect();
    let by_score = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    let k = k.max(1);
    if k < order.len() {
        order.select_nth_unstable_by(k - 1, by_score);
        order.truncate(k);
    }
    order.sort_unstable_by(by_score);
    order
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::steering::Steering;

    fn reward() -> TokenReward {
        // Rank 2, three values, four tokens.
        let down = [1.0, 0.0, 2.0, 0.0, -1.0, 0.5];
        let up = [1.0, 0.0, 0.0, 1.0, -1.0, 1.0, 0.5, 0.5];
        TokenReward::new(down.to_vec().into(), up.to_vec().into(), vec![1.0, 2.0]).unwrap()
    }

    #[test]
    fn it_is_the_product_of_its_maps() {
        let reward = reward();
        // B h = (1·1 + 2·3, −2 + 0.5·3) = (7, −0.5); gated (7, −1).
        assert_eq!(reward.added(&[1.0, 2.0, 3.0], &[0, 1, 2, 3, 9]), [7.0, -1.0, -8.0, 3.0, 0.0]);
        assert_eq!(reward.added(&[1.0], &[0]), [0.0]);
        assert!(TokenReward::new([1.0].into(), [1.0; 3].into(), vec![1.0; 2]).is_none());
        let other = TokenReward::new([0.0; 6].into(), [0.0; 8].into(), vec![1.0; 2]).unwrap();
        assert_ne!(other.hash(), reward.hash());
    }

    #[test]
    fn a_step_rewards_the_likeliest_tokens_by_the_formula() {
        let logprobs = [0.5_f32, 0.25, 0.2, 0.05].map(f32::ln);
        let hidden = [0.1, 0.2, 0.3];
        let steering = |weight, outside| Steering {
            reward: Some((RewardWeight { weight, k: 2, outside }, reward())),
            ..Steering::default()
        };
        let run = |steering: &Steering| {
            let mut combined = [0.0; 4];
            let rows: [&[f32]; 1] = [&logprobs];
            let states: [&[f32]; 1] = [&hidden];
            let step = Distributions::new(&[], &rows).with_hidden(&states);
            steering.rule().combine(&step, &mut combined);
            combined
        };
        let added = reward().added(&hidden, &[0, 1]);
        let p = [2.0 / 3.0_f32, 1.0 / 3.0];
        let raised: f32 = p.iter().zip(&added).map(|(p, a)| p * a.exp()).sum();
        let combined = run(&steering(0.8, None));
        for ((got, logprob), added) in combined.iter().zip(logprobs).zip(&added) {
            let expected = logprob + 0.8 * (added - raised.ln());
            assert!((got - expected).abs() < 1e-5, "{combined:?}");
        }
        assert_eq!(combined[2..], [f32::NEG_INFINITY; 2]);
        assert_eq!(run(&steering(0.8, Some(5.0)))[3], logprobs[3] - 5.0);
        // Weight 0 is no rule at all.
        assert_eq!(run(&steering(0.8, None).scaled(0.0)), logprobs);
        assert!(steering(0.8, None).rule().reads_hidden());
        assert!(!Steering::default().rule().reads_hidden());
        assert_ne!(steering(0.8, None).key(), steering(0.7, None).key());
        assert_eq!(steering(0.0, None).key(), Steering::default().key());
    }

    #[test]
    fn the_likeliest_are_finite_and_in_order() {
        let scores = [1.0, f32::NEG_INFINITY, 3.0, 3.0, 2.0];
        assert_eq!(likeliest(&scores, 3), [2, 3, 4]);
        assert_eq!(likeliest(&scores, 9), [2, 3, 4, 0]);
    }
}
