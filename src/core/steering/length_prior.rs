//! Length prior: adjusts the probability that a text ends, so that it becomes as long as the
//! user's.
//!
//! The logarithms of the user's lengths are modelled as logistic (so lengths as log-logistic, Fisk
//! 1961). The hazard of ending at length t has then a closed form:
//! `h(t) = (β/α) (t/α)^(β−1) / (1 + (t/α)^β)`. The model's odds of ending after t tokens are
//! multiplied by `h(t)` divided by the average probability that the model ends a text.

use idiolect_engine::lm::{CombineLogits, Distributions};

/// Pseudo-count of texts with the usual spread, towards which the spread is shrunk.
const PRIOR_TEXTS: f64 = 4.0;
/// Standard deviation of the logarithms of one writer's lengths, without data of the writer: the
/// median over 145 writers of music reviews.
const USUAL_SPREAD: f64 = 0.4;
/// Probability that SmolLM2-135M-Instruct ends a text with the next token, averaged over lengths:
/// after past texts of 60 writers of reviews it ended 10 times in 13,985 tokens.
const MODEL_CHANCE: f64 = 1.0 / 1400.0;
/// Maximum logarithm of the factor on the odds, in either direction, nats.
const MAX_SHIFT: f64 = 7.0;

/// Log-logistic distribution of the lengths of a user's texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LengthPrior {
    /// Median length, tokens.
    median: f64,
    /// Exponent of the log-logistic distribution.
    shape: f64,
}

impl LengthPrior {
    /// Estimates the distribution from lengths in tokens; `None` if there are none.
    #[must_use]
    pub fn of_lengths(lengths: &[usize]) -> Option<Self> {
        let mut logs: Vec<f64> = lengths.iter().map(|n| (*n).max(1) as f64).map(f64::ln).collect();
        logs.sort_by(f64::total_cmp);
        let n = logs.len();
        let median = f64::midpoint(*logs.get(n.checked_sub(1)? / 2)?, *logs.get(n / 2)?);
        let squares: f64 = logs.iter().map(|x| (x - median).powi(2)).sum();
        let usual = PRIOR_TEXTS * USUAL_SPREAD * USUAL_SPREAD;
        let spread = ((squares + usual) / (n as f64 + PRIOR_TEXTS)).sqrt();
        // A logistic distribution of scale s has the standard deviation π s / √3.
        let shape = std::f64::consts::PI / (spread * 3.0_f64.sqrt());
        Some(Self { median: median.exp(), shape })
    }

    /// Term added to the log-odds of ending after `n` tokens, nats.
    #[must_use]
    pub fn shift(&self, n: usize) -> f64 {
        let relative = n.max(1) as f64 / self.median;
        let power = relative.powf(self.shape);
        let chance = self.shape / self.median * power / relative / (1.0 + power);
        (chance / MODEL_CHANCE).ln().clamp(-MAX_SHIFT, MAX_SHIFT)
    }

    /// Cache key: all parameters that change the text.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{:.6} {:.6} {MODEL_CHANCE:.6} {MAX_SHIFT}", self.median, self.shape)
    }
}

/// Another rule with the scores of the end tokens shifted by the length prior.
pub(crate) struct WithLengthPrior {
    pub(crate) rule: Box<dyn CombineLogits>,
    pub(crate) length: LengthPrior,
    pub(crate) ends: Vec<u32>,
}

impl CombineLogits for WithLengthPrior {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        self.rule.combine(step, combined);
        let shift = self.length.shift(step.written.len()) as f32;
        for id in &self.ends {
            if let Some(score) = combined.get_mut(*id as usize) {
                *score += shift;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn half_of_the_texts_that_end_by_chance_alone_are_shorter_than_the_median() {
        let ending = LengthPrior::of_lengths(&[40, 60, 60, 90, 30, 80, 60]).unwrap();
        assert!((ending.median - 60.0).abs() < 1e-9);
        let mut alive = 1.0;
        let mut n = 0;
        while alive > 0.5 {
            n += 1;
            alive *= 1.0 - ending.shift(n).exp() * MODEL_CHANCE;
        }
        assert!((55..=65).contains(&n), "{n}");
        assert!(ending.shift(3) < 0.0 && ending.shift(60) > 0.0);
        assert_eq!(LengthPrior::of_lengths(&[]), None);
        // If all lengths are equal, the spread is small, but not 0.
        let same = LengthPrior::of_lengths(&[50; 20]).unwrap();
        assert!(same.shape > ending.shape && same.shift(0).is_finite());
    }

    #[test]
    fn only_the_ends_are_moved() {
        let ending = LengthPrior::of_lengths(&[10, 12]).unwrap();
        let rule = Box::new(idiolect_engine::lm::WeightedSum(vec![1.0]));
        let mut rule = WithLengthPrior { rule, length: ending, ends: vec![1, 9] };
        let mut combined = [0.0; 3];
        rule.combine(&Distributions::new(&[0; 30], &[&[-1.0, -2.0, -3.0]]), &mut combined);
        assert_eq!((combined[0], combined[2]), (-1.0, -3.0));
        assert!((combined[1] + 2.0 - ending.shift(30) as f32).abs() < 1e-6);
    }
}
