//! Length prior: adjusts the probability that a text ends, so that it becomes as long as the
//! user's.
//!
//! The logarithms of the user's lengths are modelled as logistic (so lengths as log-logistic, Fisk
//! 1961). The hazard of ending at length t has then a closed form:
//! `h(t) = (β/α) (t/α)^(β−1) / (1 + (t/α)^β)`. The model's odds of ending after t tokens are
//! multiplied by `h(t)` divided by the average probability that the model ends a text.

use serde::{Deserialize, Serialize};

use idiolect_engine::lm::{CombineLogits, Distributions};

/// Pseudo-count of texts with the usual spread, towards which the spread is shrunk.
const PRIOR_TEXTS: f64 = 4.0;
/// Maximum logarithm of the factor on the odds, in either direction, nats.
const MAX_SHIFT: f64 = 7.0;

/// Values that the prior needs in addition to a user's lengths: of the corpus and of the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LengthBackground {
    /// Standard deviation of the logarithms of one writer's lengths: the median over writers.
    pub spread: f64,
    /// Probability that the model ends a text with the next token, averaged over positions inside
    /// texts.
    pub chance: f64,
}

impl Default for LengthBackground {
    /// Values for a corpus with too few writers to estimate them: the spread of 145 writers of
    /// music reviews, and SmolLM2-135M-Instruct's chance after past texts of 60 of them (it ended
    /// 10 times in 13,985 tokens).
    fn default() -> Self {
        Self { spread: 0.4, chance: 1.0 / 1400.0 }
    }
}

impl LengthBackground {
    /// With the chance of an end where the model read texts: `ends` ends were expected in `tokens`
    /// tokens. The chance so far weighs as much as the tokens in which it expects one end.
    #[must_use]
    pub fn informed(self, ends: f64, tokens: f64) -> Self {
        let chance = ((ends + 1.0) / (tokens + 1.0 / self.chance)).clamp(1e-6, 0.5);
        Self { chance, ..self }
    }

    /// Spread of the lengths of one writer's texts; `None` with fewer than two.
    #[must_use]
    pub fn spread_of(lengths: &[usize]) -> Option<f64> {
        let (_, squares, n) = median_and_squares(lengths)?;
        (n > 1.0).then(|| (squares / (n - 1.0)).sqrt())
    }
}

/// Median of the logarithms of lengths, the sum of squared distances from it, and their number.
fn median_and_squares(lengths: &[usize]) -> Option<(f64, f64, f64)> {
    let mut logs: Vec<f64> = lengths.iter().map(|n| (*n).max(1) as f64).map(f64::ln).collect();
    logs.sort_by(f64::total_cmp);
    let n = logs.len();
    let median = f64::midpoint(*logs.get(n.checked_sub(1)? / 2)?, *logs.get(n / 2)?);
    let squares = logs.iter().map(|x| (x - median).powi(2)).sum();
    Some((median, squares, n as f64))
}

/// Log-logistic distribution of the lengths of a user's texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LengthPrior {
    /// Median length, tokens.
    median: f64,
    /// Exponent of the log-logistic distribution.
    shape: f64,
    /// Probability that the model ends a text with the next token, averaged over positions.
    chance: f64,
}

impl LengthPrior {
    /// Estimates the distribution from lengths in tokens; `None` if there are none.
    #[must_use]
    pub fn of_lengths(lengths: &[usize], background: LengthBackground) -> Option<Self> {
        let (median, squares, n) = median_and_squares(lengths)?;
        let usual = PRIOR_TEXTS * background.spread * background.spread;
        let spread = ((squares + usual) / (n + PRIOR_TEXTS)).sqrt();
        // A logistic distribution of scale s has the standard deviation π s / √3.
        let shape = std::f64::consts::PI / (spread * 3.0_f64.sqrt());
        Some(Self { median: median.exp(), shape, chance: background.chance })
    }

    /// Term added to the log-odds of ending after `n` tokens, nats.
    #[must_use]
    pub fn shift(&self, n: usize) -> f64 {
        let relative = n.max(1) as f64 / self.median;
        let power = relative.powf(self.shape);
        let chance = self.shape / self.median * power / relative / (1.0 + power);
        (chance / self.chance).ln().clamp(-MAX_SHIFT, MAX_SHIFT)
    }

    /// Cache key: all parameters that change the text.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{:.6} {:.6} {:.6} {MAX_SHIFT}", self.median, self.shape, self.chance)
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

    fn reads_hidden(&self) -> bool {
        self.rule.reads_hidden()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn half_of_the_texts_that_end_by_chance_alone_are_shorter_than_the_median() {
        let ending =
            LengthPrior::of_lengths(&[40, 60, 60, 90, 30, 80, 60], LengthBackground::default())
                .unwrap();
        assert!((ending.median - 60.0).abs() < 1e-9);
        let mut alive = 1.0;
        let mut n = 0;
        while alive > 0.5 {
            n += 1;
            alive *= 1.0 - ending.shift(n).exp() * ending.chance;
        }
        assert!((55..=65).contains(&n), "{n}");
        assert!(ending.shift(3) < 0.0 && ending.shift(60) > 0.0);
        assert_eq!(LengthPrior::of_lengths(&[], LengthBackground::default()), None);
        // If all lengths are equal, the spread is small, but not 0.
        let same = LengthPrior::of_lengths(&[50; 20], LengthBackground::default()).unwrap();
        assert!(same.shape > ending.shape && same.shift(0).is_finite());
    }

    #[test]
    fn a_spread_is_that_of_logarithms() {
        assert_eq!(LengthBackground::spread_of(&[50]), None);
        assert_eq!(LengthBackground::spread_of(&[50, 50, 50]), Some(0.0));
        let e = std::f64::consts::E;
        let lengths = [1000.0 / e, 1000.0, 1000.0 * e].map(|x: f64| x.round() as usize);
        let spread = LengthBackground::spread_of(&lengths).unwrap();
        assert!((spread - 1.0).abs() < 1e-2, "{spread}");
    }

    #[test]
    fn the_chance_of_an_end_is_that_of_the_texts_that_were_read() {
        let before = LengthBackground { spread: 0.4, chance: 0.001 };
        let chance = |ends, tokens| before.informed(ends, tokens).chance;
        assert!((chance(0.0, 0.0) - 0.001).abs() < 1e-12);
        assert!((chance(5.0, 5000.0) - 0.001).abs() < 1e-12);
        assert!((chance(99.0, 9000.0) - 0.01).abs() < 1e-12);
        // Ends that the model expects sooner are raised less.
        let shift = |background| {
            LengthPrior::of_lengths(&[50, 60, 70], background).map(|prior| prior.shift(55))
        };
        assert!(shift(before.informed(99.0, 9000.0)) < shift(before));
    }

    #[test]
    fn only_the_ends_are_moved() {
        let ending = LengthPrior::of_lengths(&[10, 12], LengthBackground::default()).unwrap();
        let rule = Box::new(idiolect_engine::lm::WeightedSum(vec![1.0]));
        let mut rule = WithLengthPrior { rule, length: ending, ends: vec![1, 9] };
        let mut combined = [0.0; 3];
        rule.combine(&Distributions::new(&[0; 30], &[&[-1.0, -2.0, -3.0]]), &mut combined);
        assert_eq!((combined[0], combined[2]), (-1.0, -3.0));
        assert!((combined[1] + 2.0 - ending.shift(30) as f32).abs() < 1e-6);
    }
}
