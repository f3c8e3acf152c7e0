//! The paired permutation test.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Settings;
use crate::{Error, Result};

/// Largest number of differences for which all sign flips are enumerated.
const MAX_EXACT: usize = 20;

/// Relative tolerance, as a share of the sum of magnitudes, below which two sums count as equal.
const ROUNDING: f64 = 1e-12;

/// Two-sided p-value of the hypothesis that the mean of paired differences is 0, by sign flips:
/// under the hypothesis each difference could as well have the other sign (Fisher, "The design of
/// experiments", 1935, section 21).
///
/// Up to 20 differences, all flips are enumerated. Above, `settings.flips` random flips are drawn
/// and the observed one is included: `p = (1 + n_at_least_as_far) / (1 + flips)` (Phipson and
/// Smyth, "Permutation p-values should never be zero", 2010, section 3).
///
/// # Errors
/// Error if there are no differences, or one is not finite.
pub fn sign_flip_p(differences: &[f64], settings: &Settings) -> Result<f64> {
    let operation = "test paired differences";
    if differences.is_empty() {
        return Err(Error::TooFew { operation, what: "pairs", got: 0, needed: 1 });
    }
    if let Some((i, value)) = differences.iter().enumerate().find(|(_, d)| !d.is_finite()) {
        return Err(Error::NotFinite { operation, of: format!("pair {i}"), value: *value });
    }
    let magnitude: f64 = differences.iter().map(|d| d.abs()).sum();
    let bar = differences.iter().sum::<f64>().abs() - ROUNDING * magnitude;
    if differences.len() <= MAX_EXACT {
        let (first, second) = differences.split_at(differences.len() / 2);
        let (first, second) = (all_sums(first), all_sums(second));
        let reach = |a: &f64| second.iter().filter(|b| (a + *b).abs() >= bar).count();
        let n_reaching: usize = first.iter().map(reach).sum();
        return Ok(n_reaching as f64 / (first.len() * second.len()) as f64);
    }
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let n_reaching = (0..settings.flips)
        .filter(|_| {
            let sum: f64 = differences
                .chunks(64)
                .map(|chunk| {
                    let signs: u64 = random.random();
                    let flipped = |(i, d): (usize, &f64)| if signs >> i & 1 == 0 { *d } else { -d };
                    chunk.iter().enumerate().map(flipped).sum::<f64>()
                })
                .sum();
            sum.abs() >= bar
        })
        .count();
    Ok((1 + n_reaching) as f64 / (1 + settings.flips) as f64)
}

/// Sums of the values under all combinations of signs.
fn all_sums(values: &[f64]) -> Vec<f64> {
    values.iter().fold(vec![0.0], |sums, value| {
        sums.iter().flat_map(|sum| [sum + value, sum - value]).collect()
    })
}
