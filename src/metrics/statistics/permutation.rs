//! The paired permutation test.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Settings;
use crate::{Error, Result};

/// Most differences of which all sign flips are gone through.
const MOST_EXACT: usize = 20;

/// Sums this near, in shares of the sum of magnitudes, differ by rounding only.
const ROUNDING: f64 = 1e-12;

/// Two-sided p-value of the mean of paired differences being 0, by sign flips: were the two sides of
/// each pair alike, each difference might as well have the other sign (Fisher, "The design of
/// experiments", 1935, section 21).
///
/// All flips are gone through for up to 20 differences. Above, `settings.flips` random ones, the
/// observed one counted in: `(1 + at least as far) / (1 + flips)` (Phipson and Smyth, "Permutation
/// p-values should never be zero", 2010, section 3).
///
/// # Errors
/// No differences, or one that is not finite.
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
    if differences.len() <= MOST_EXACT {
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

/// The sums of the values under all signs.
fn all_sums(values: &[f64]) -> Vec<f64> {
    values.iter().fold(vec![0.0], |sums, value| {
        sums.iter().flat_map(|sum| [sum + value, sum - value]).collect()
    })
}
