//! How sure a figure is: intervals over users, paired tests, corrections, verdicts.
//!
//! Users are what is drawn at random, so they are the units: several texts or seeds of a user are
//! averaged first ([`PerUser`]), and a resample draws whole users. Methods are compared on the same
//! users, in pairs ([`compare`]).

mod bootstrap;
mod comparison;
mod dyadic;
mod holm;
mod normal;
mod per_user;
mod permutation;
#[cfg(test)]
mod tests;

pub use bootstrap::bootstrap;
pub use comparison::{Comparison, Verdict, compare};
pub use dyadic::mean_of_pairs;
pub use holm::holm;
pub use per_user::{PerUser, Share, ratio};
pub use permutation::sign_flip_p;

use serde::Serialize;

/// How intervals and tests are computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// Chance of a false alarm, 0 to 1: intervals hold `1 - level`, and a corrected p below it
    /// counts.
    pub level: f64,
    /// Resamples of a bootstrap.
    pub resamples: usize,
    /// Random sign flips of a permutation test that is too large for all of them.
    pub flips: usize,
    /// Seed of both.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: 0.05, resamples: 9_999, flips: 9_999, seed: 0 }
    }
}

/// A range that holds the true value with probability `1 - level`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether a value is in the range, its ends included.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// A figure and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Where the true value lies; `None` where there is but one unit, which tells nothing of others.
    pub interval: Option<Interval>,
    /// Units that it was computed from: users, or pairs of users.
    pub n: usize,
}
