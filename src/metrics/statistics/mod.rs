//! Uncertainty of a figure: intervals over users, paired tests, corrections and verdicts.
//!
//! Users are the random sample, so they are the units: a user's texts or seeds are averaged first
//! ([`PerUser`]), and each resample draws whole users. Methods are compared pairwise on the same
//! users ([`compare`]).

mod binomial;
mod bootstrap;
mod comparison;
mod dyadic;
mod holm;
mod normal;
mod per_user;
mod permutation;
#[cfg(test)]
mod tests;

pub use binomial::binomial_interval;
pub use bootstrap::bootstrap;
pub use comparison::{Comparison, Verdict, compare};
pub use dyadic::mean_of_pairs;
pub(crate) use holm::holm;
pub use per_user::{PerUser, Share, ratio};
pub use permutation::sign_flip_p;

use serde::Serialize;

/// Parameters of intervals and tests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// Significance level, 0 to 1: intervals have confidence `1 - level`, and a corrected p-value
    /// below `level` is significant.
    pub level: f64,
    /// Number of bootstrap resamples.
    pub resamples: usize,
    /// Number of random sign flips, if a permutation test has too many differences for all flips.
    pub flips: usize,
    /// Seed of the resamples and the flips.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: 0.05, resamples: 9_999, flips: 9_999, seed: 0 }
    }
}

/// A confidence interval with confidence `1 - level`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether a value is in the interval, ends included.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// A figure with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Confidence interval; `None` for a single unit, which says nothing about others.
    pub interval: Option<Interval>,
    /// Number of units of the figure: users, or pairs of users.
    pub n: usize,
}
