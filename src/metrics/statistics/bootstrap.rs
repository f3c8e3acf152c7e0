//! Bootstrap intervals.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Estimate, Interval, Settings, normal};
use crate::{Error, Result};

/// A statistic of `n` units with its bias-corrected and accelerated (BCa) bootstrap interval
/// (Efron, "Better bootstrap confidence intervals", 1987, section 2; the acceleration is estimated
/// by the jackknife, as in Efron and Tibshirani, "An introduction to the bootstrap", 1993, equation
/// 14.15).
///
/// `statistic` takes indices of units, each below `n`, possibly repeated, and returns the statistic
/// of those units; called with each unit once, it gives the figure itself. It may be any function:
/// a mean, a ratio of sums, a corpus BLEU. The same settings give the same interval.
///
/// # Errors
/// Error if there are no units, or a value of the statistic is not finite.
pub fn bootstrap(
    n: usize,
    statistic: impl Fn(&[usize]) -> f64,
    settings: &Settings,
) -> Result<Estimate> {
    let operation = "bootstrap an interval";
    if n == 0 {
        return Err(Error::TooFew { operation, what: "units", got: 0, needed: 1 });
    }
    let of = |indices: &[usize]| match statistic(indices) {
        value if value.is_finite() => Ok(value),
        value => Err(Error::NotFinite { operation, of: "the statistic".to_owned(), value }),
    };
    let mut indices: Vec<usize> = (0..n).collect();
    let value = of(&indices)?;
    if n == 1 {
        return Ok(Estimate { value, interval: None, n });
    }
    let jackknife = (0..n)
        .map(|left_out| {
            let others: Vec<usize> = (0..n).filter(|i| *i != left_out).collect();
            of(&others)
        })
        .collect::<Result<Vec<f64>>>()?;
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let resampled = (0..settings.resamples.max(1))
        .map(|_| {
            indices.fill_with(|| random.random_range(0..n));
            of(&indices)
        })
        .collect::<Result<Vec<f64>>>()?;
    let interval = Some(bca(resampled, value, &jackknife, settings.level));
    Ok(Estimate { value, interval, n })
}

/// Mean of values, one per unit, with its interval.
pub(super) fn mean(values: &[f64], settings: &Settings) -> Result<Estimate> {
    let of =
        |indices: &[usize]| indices.iter().map(|i| values[*i]).sum::<f64>() / indices.len() as f64;
    bootstrap(values.len(), of, settings)
}

/// BCa interval of the estimate `value` from its bootstrap distribution. `jackknife` has the
/// estimates with each unit left out in turn.
pub(super) fn bca(mut resampled: Vec<f64>, value: f64, jackknife: &[f64], level: f64) -> Interval {
    resampled.sort_unstable_by(f64::total_cmp);
    let n = resampled.len() as f64;
    let below = resampled.partition_point(|x| *x < value) as f64;
    let up_to = resampled.partition_point(|x| *x <= value) as f64;
    // If all resamples lie on one side of the estimate, the bias would be infinite, hence the
    // clamp.
    let share = f64::midpoint(below, up_to) / n;
    let bias = normal::quantile(share.clamp(0.5 / n, 1.0 - 0.5 / n));
    let acceleration = acceleration(jackknife);
    let end = |share: f64| {
        let z = bias + normal::quantile(share);
        let adjusted = normal::cdf(bias + z / (1.0 - acceleration * z));
        percentile(&resampled, if adjusted.is_finite() { adjusted } else { share })
    };
    Interval { low: end(level / 2.0), high: end(1.0 - level / 2.0) }
}

/// A sixth of the skewness of the jackknife influence values; 0 if they do not vary.
fn acceleration(jackknife: &[f64]) -> f64 {
    let mean = jackknife.iter().sum::<f64>() / jackknife.len() as f64;
    let power = |p| jackknife.iter().map(|x| (mean - x).powi(p)).sum::<f64>();
    let (squares, cubes) = (power(2), power(3));
    if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 }
}

/// Quantile at position `share * (n - 1)`, interpolated between the two nearest sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}
