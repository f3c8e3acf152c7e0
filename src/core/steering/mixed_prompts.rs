//! The mixture of the distributions after several prompts of one user.
//!
//! Each prompt shows other past texts; the mean of the probabilities is the prediction of an author of
//! whom it is not known which of these texts the next one resembles.

use idiolect_engine::lm::{CombineLogits, Distributions};

/// A rule that reads the mean distribution of the first `n` prompts as the user's, and the others after it.
pub(super) struct MixedPrompts {
    pub(super) rule: Box<dyn CombineLogits>,
    /// Number of prompts of the user, from 2.
    pub(super) n: usize,
    mean: Vec<f32>,
}

impl MixedPrompts {
    pub(super) fn new(rule: Box<dyn CombineLogits>, n: usize) -> Self {
        Self { rule, n, mean: Vec::new() }
    }
}

impl CombineLogits for MixedPrompts {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        let (own, others) = step.logprobs.split_at(self.n.min(step.logprobs.len()));
        log_mean_exp(own, &mut self.mean);
        let logprobs: Vec<&[f32]> =
            std::iter::once(self.mean.as_slice()).chain(others.iter().copied()).collect();
        self.rule.combine(&step.with_logprobs(&logprobs), combined);
    }

    fn reads_hidden(&self) -> bool {
        self.rule.reads_hidden()
    }
}

/// Logarithm of the mean of the exponentials of several rows, by column.
fn log_mean_exp(rows: &[&[f32]], mean: &mut Vec<f32>) {
    mean.clear();
    let Some((first, rest)) = rows.split_first() else { return };
    mean.extend_from_slice(first);
    for row in rest {
        for (sum, x) in mean.iter_mut().zip(*row) {
            let (low, high) = if *sum < *x { (*sum, *x) } else { (*x, *sum) };
            // Minus infinity of both is that of the sum.
            if high > f32::NEG_INFINITY {
                *sum = high + (low - high).exp().ln_1p();
            }
        }
    }
    let n = (rows.len() as f32).ln();
    mean.iter_mut().for_each(|sum| *sum -= n);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::{Contrast, Steering};

    #[test]
    fn the_mean_is_of_probabilities() {
        let rows =
            [[0.5_f32, 0.5, 0.0], [0.1, 0.9, 0.0], [0.3, 0.1, 0.6]].map(|row| row.map(f32::ln));
        let rows: Vec<&[f32]> = rows.iter().map(<[f32; 3]>::as_slice).collect();
        let mut mean = vec![7.0];
        log_mean_exp(&rows, &mut mean);
        for (got, expected) in mean.iter().zip([0.3_f32, 0.5, 0.2]) {
            assert!((got.exp() - expected).abs() < 1e-6, "{mean:?}");
        }
        log_mean_exp(&[&[f32::NEG_INFINITY], &[f32::NEG_INFINITY]], &mut mean);
        assert_eq!(mean, [f32::NEG_INFINITY]);
    }

    #[test]
    fn other_prompts_keep_their_places() {
        let rows = [[0.8_f32, 0.2], [0.4, 0.6], [0.5, 0.5]].map(|row| row.map(f32::ln));
        let rows: Vec<&[f32]> = rows.iter().map(<[f32; 2]>::as_slice).collect();
        let contrast = Contrast::ContextSteering { strength: 1.0 };
        let steering = Steering { contrast, further: 1, ..Steering::default() };
        let mut combined = [0.0; 2];
        steering.rule().combine(&Distributions::new(&[], &rows), &mut combined);
        let expected = [0.6_f32, 0.4].map(|p| 2.0 * p.ln() - 0.5_f32.ln());
        for (got, expected) in combined.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{combined:?} {expected:?}");
        }
    }
}
