//! Tests whether one method does better than another.

use serde::Serialize;

use super::{Estimate, PerUser, Settings, holm, sign_flip_p};
use crate::Result;

/// Result of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The first side is significantly higher.
    Higher,
    /// The first side is significantly lower.
    Lower,
    /// The test shows no difference; this does not show that the sides are equal.
    NoDifferenceShown,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::NoDifferenceShown => "no difference shown",
        })
    }
}

/// Two sides (for instance methods) compared on the same users.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Mean of the first side over users.
    pub first: f64,
    /// Mean of the second side over users.
    pub second: f64,
    /// Mean over users of first minus second, with its bootstrap interval.
    pub difference: Estimate,
    /// Two-sided p-value of the paired permutation test.
    pub p: f64,
    /// p-value after Holm's correction over the family.
    pub p_corrected: f64,
    /// Result of the comparison.
    pub verdict: Verdict,
}

/// Compares each pair of sides on its users. All pairs together are the family that p-values are
/// corrected over. A difference is significant only if the corrected p-value is below the level and
/// the interval of the difference does not contain 0.
///
/// # Errors
/// [`Unpaired`](crate::Error::Unpaired) if the two sides of a pair do not have the same users;
/// [`TooFew`](crate::Error::TooFew) if they have none.
pub fn compare(family: &[(&PerUser, &PerUser)], settings: &Settings) -> Result<Vec<Comparison>> {
    let tested = family
        .iter()
        .map(|(first, second)| {
            let differences = first.minus(second)?;
            let p = sign_flip_p(&differences.values(), settings)?;
            Ok((plain_mean(first), plain_mean(second), differences.mean(settings)?, p))
        })
        .collect::<Result<Vec<_>>>()?;
    let corrected = holm(&tested.iter().map(|(.., p)| *p).collect::<Vec<_>>());
    let compared = tested.into_iter().zip(corrected).map(|((first, second, difference, p), c)| {
        let verdict = verdict(&difference, c, settings.level);
        Comparison { first, second, difference, p, p_corrected: c, verdict }
    });
    Ok(compared.collect())
}

fn verdict(difference: &Estimate, p_corrected: f64, level: f64) -> Verdict {
    let apart = difference.interval.is_some_and(|interval| !interval.holds(0.0));
    match apart && p_corrected < level {
        false => Verdict::NoDifferenceShown,
        true if difference.value > 0.0 => Verdict::Higher,
        true => Verdict::Lower,
    }
}

fn plain_mean(values: &PerUser) -> f64 {
    values.iter().map(|(_, value)| value).sum::<f64>() / values.len() as f64
}
