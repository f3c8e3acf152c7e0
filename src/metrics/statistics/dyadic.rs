//! Means over pairs of users, if a user can belong to several pairs.

use std::collections::BTreeMap;

use super::{Estimate, Interval, Settings, bootstrap};
use crate::Result;

/// Mean over pairs of users, with an interval that accounts for pairs that share a user.
///
/// The interval is the bootstrap interval over pairs, widened by the square root of the design
/// effect. The design effect is the variance of the mean including the covariances of all pairs
/// that share a user (Aronow, Samii and Assenova, "Cluster-robust variance estimation for dyadic
/// data", 2015, equation 5), divided by the variance without them, and at least 1. If no user
/// belongs to two pairs, the interval is the plain bootstrap interval.
///
/// # Errors
/// Error if there are no pairs, or a value is not finite.
pub fn mean_of_pairs(pairs: &[(&str, &str, f64)], settings: &Settings) -> Result<Estimate> {
    let values: Vec<f64> = pairs.iter().map(|(.., value)| *value).collect();
    let estimate = bootstrap::mean(&values, settings)?;
    let widening = design_effect(pairs, estimate.value).sqrt();
    let widened = |end: f64| estimate.value + (end - estimate.value) * widening;
    let interval = estimate
        .interval
        .map(|Interval { low, high }| Interval { low: widened(low), high: widened(high) });
    Ok(Estimate { interval, ..estimate })
}

/// Design effect of pairs with this mean, at least 1.
fn design_effect(pairs: &[(&str, &str, f64)], mean: f64) -> f64 {
    let mut of_users: BTreeMap<&str, f64> = BTreeMap::new();
    let mut of_couples: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for &(a, b, value) in pairs {
        let apart = value - mean;
        *of_users.entry(a).or_default() += apart;
        *of_users.entry(b).or_default() += apart;
        *of_couples.entry((a.min(b), a.max(b))).or_default() += apart;
    }
    let squares = |sums: &mut dyn Iterator<Item = f64>| sums.map(|sum| sum * sum).sum::<f64>();
    let plain = squares(&mut pairs.iter().map(|(.., value)| value - mean));
    // The sums by user count the covariance of two pairs of the same two users twice.
    let shared = squares(&mut of_users.into_values()) - squares(&mut of_couples.into_values());
    if plain > 0.0 { (shared / plain).max(1.0) } else { 1.0 }
}
