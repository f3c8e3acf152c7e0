//! Records the distributions that a model gives while it scores a text, in a form small enough to
//! keep and exact enough to compute the likelihood of the text under other strengths.
//!
//! A rule that raises the model's probabilities to a power and adds a bias to some tokens needs,
//! for each position, the log-probabilities of these tokens and the sum of the powers of all other
//! probabilities. The sum is recorded at a few powers and interpolated between them.

use std::sync::{Arc, Mutex, PoisonError};

use idiolect_engine::lm::{CombineLogits, Distributions};

/// Powers at which the sum over the tokens that are not listed is recorded: Chebyshev nodes of
/// [`POWERS`].
const N_NODES: usize = 5;
/// Range of powers that the record covers.
pub const POWERS: (f64, f64) = (0.5, 1.3);

/// The model's distribution at one position of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedPosition {
    /// Natural log-probability of each listed token, in the order of the list.
    listed: Vec<f32>,
    /// Logarithm of the sum of the probabilities of all other tokens, each raised to the power of
    /// the node; minus infinity if every token is listed.
    others: [f64; N_NODES],
}

impl ObservedPosition {
    /// Records a distribution. `listed` are token ids; `buffer` is overwritten.
    fn of(step: &Distributions<'_>, listed: &[u32], buffer: &mut Vec<f32>) -> Self {
        let Some(logprobs) = step.logprobs.first() else {
            return Self { listed: Vec::new(), others: [f64::NEG_INFINITY; N_NODES] };
        };
        let of = |id: &u32| logprobs.get(*id as usize).copied().unwrap_or(f32::NEG_INFINITY);
        let others = nodes().map(|power| {
            buffer.clear();
            buffer.extend(logprobs.iter().map(|logprob| power as f32 * logprob));
            for id in listed {
                if let Some(score) = buffer.get_mut(*id as usize) {
                    *score = f32::NEG_INFINITY;
                }
            }
            f64::from(step.log_sum_exp(buffer))
        });
        Self { listed: listed.iter().map(of).collect(), others }
    }

    /// Natural log-probability of the listed tokens, in the order of the list.
    #[must_use]
    pub fn listed(&self) -> &[f32] {
        &self.listed
    }

    /// Logarithm of the sum of the probabilities of the tokens that are not listed, each raised to
    /// `power`, which is inside [`POWERS`].
    #[must_use]
    pub fn others(&self, power: f64) -> f64 {
        if self.others.iter().any(|sum| !sum.is_finite()) {
            return f64::NEG_INFINITY;
        }
        // Lagrange's polynomial through the nodes: the sum is smooth and convex in the power.
        let nodes = nodes();
        let term = |i: usize| {
            let factor = |j: usize| match i == j {
                true => 1.0,
                false => (power - nodes[j]) / (nodes[i] - nodes[j]),
            };
            self.others[i] * (0..N_NODES).map(factor).product::<f64>()
        };
        (0..N_NODES).map(term).sum()
    }
}

/// Chebyshev nodes of [`POWERS`].
fn nodes() -> [f64; N_NODES] {
    let (low, high) = POWERS;
    std::array::from_fn(|i| {
        let angle = std::f64::consts::PI * (2 * i + 1) as f64 / (2 * N_NODES) as f64;
        f64::midpoint(low, high) + (high - low) / 2.0 * angle.cos()
    })
}

/// Distributions that a [`DistributionRecorder`] recorded, one entry per position.
pub type ObservedPositions = Arc<Mutex<Vec<ObservedPosition>>>;

/// A rule that records the first prompt's distributions and passes them on unchanged.
pub struct DistributionRecorder {
    listed: Vec<u32>,
    observed: ObservedPositions,
    buffer: Vec<f32>,
}

impl DistributionRecorder {
    /// Creates a recorder for some tokens, and the place where it records.
    #[must_use]
    pub fn new(listed: Vec<u32>) -> (Self, ObservedPositions) {
        let observed = ObservedPositions::default();
        (Self { listed, observed: Arc::clone(&observed), buffer: Vec::new() }, observed)
    }
}

impl CombineLogits for DistributionRecorder {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        if let Some(logprobs) = step.logprobs.first() {
            combined.copy_from_slice(logprobs);
        }
        let position = ObservedPosition::of(step, &self.listed, &mut self.buffer);
        self.observed.lock().unwrap_or_else(PoisonError::into_inner).push(position);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Log-probabilities of 200 tokens, from very likely to very unlikely.
    fn logprobs() -> Vec<f32> {
        let scores: Vec<f32> =
            (0..200).map(|i| -0.11 * i as f32 + ((i * 37) % 11) as f32 * 0.3).collect();
        let norm = Distributions::new(&[], &[]).log_sum_exp(&scores);
        scores.iter().map(|score| score - norm).collect()
    }

    fn record(logprobs: &[f32], listed: &[u32]) -> ObservedPosition {
        let (mut recorder, observed) = DistributionRecorder::new(listed.to_vec());
        let mut combined = vec![0.0; logprobs.len()];
        recorder.combine(&Distributions::new(&[], &[logprobs]), &mut combined);
        assert_eq!(combined, logprobs);
        let mut observed = observed.lock().unwrap();
        observed.pop().unwrap()
    }

    #[test]
    fn sums_over_other_tokens_are_those_of_the_whole_vocabulary() {
        let logprobs = logprobs();
        let listed = [3, 0, 150, 151];
        let position = record(&logprobs, &listed);
        assert_eq!(position.listed(), listed.map(|id| logprobs[id as usize]));
        for power in [0.5, 0.6, 0.77, 0.9, 1.0, 1.1, 1.3] {
            let exact: f64 = (0..200_u32)
                .filter(|id| !listed.contains(id))
                .map(|id| (power * f64::from(logprobs[id as usize])).exp())
                .sum();
            let got = position.others(power);
            assert!((got - exact.ln()).abs() < 2e-3, "{power}: {got} {}", exact.ln());
        }
    }

    #[test]
    fn nothing_is_left_where_every_token_is_listed() {
        let logprobs = logprobs();
        let all: Vec<u32> = (0..200).collect();
        assert_eq!(record(&logprobs, &all).others(1.0), f64::NEG_INFINITY);
        // A token outside of the vocabulary has no probability.
        assert_eq!(record(&logprobs, &[999]).listed(), [f32::NEG_INFINITY]);
    }
}
