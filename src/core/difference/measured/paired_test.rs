//! Paired comparison of a user's values with the others' on the same items.

use std::ops::Range;

use super::significance::two_sided;
use crate::task::Direction;

/// Minimum number of items on which a measure is compared.
pub(super) const MIN_ITEMS: usize = 4;

/// Standard deviation of the prior on true effects, in standard deviations of single texts. It
/// determines how much effects are shrunk.
const PRIOR_DEVIATION: f64 = 0.5;

/// Result of comparing one measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PairedDifference {
    /// Mean paired difference in standard deviations of texts on one item, corrected for few texts
    /// and shrunk towards zero.
    pub(super) effect: f64,
    /// Two-sided p-value.
    pub(super) p: f64,
    /// Mean of the user's values over items.
    pub(super) own: f64,
    /// Mean over items of the others' means.
    pub(super) others: f64,
    /// Half of the 95 % interval of `own - others`.
    pub(super) margin: f64,
}

impl PairedDifference {
    /// Whether the user has more or less than the others.
    pub(super) fn direction(&self) -> Direction {
        if self.effect < 0.0 { Direction::Less } else { Direction::More }
    }
}

/// Compares like [`compare`], but by `ln(1 + value)`, so that a few texts with very high counts do
/// not dominate. The means `own` and `others` and the margin are those of the values themselves.
pub(super) fn compare_rates(values: &[f64], groups: &[Range<usize>]) -> Option<PairedDifference> {
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln_1p()).collect();
    let difference = compare(&logarithms, groups)?;
    let (mut own, mut others, mut squares, mut n) = (0.0, 0.0, 0.0, 0.0);
    for group in groups {
        let Some((first, rest)) = values.get(group.clone()).and_then(<[f64]>::split_first) else {
            continue;
        };
        let finite: Vec<f64> = rest.iter().copied().filter(|v| v.is_finite()).collect();
        if first.is_finite() && !finite.is_empty() {
            let mean = finite.iter().sum::<f64>() / finite.len() as f64;
            own += first;
            others += mean;
            squares += (first - mean).powi(2);
            n += 1.0;
        }
    }
    let margin = margin(n, own - others, squares);
    Some(PairedDifference { own: own / n, others: others / n, margin, ..difference })
}

/// Compares values of texts in groups about the same item: the first of each group is the user's,
/// the rest are the others'. Values that are not finite do not count, nor do groups without an own
/// value or without another's. `None` if fewer than [`MIN_ITEMS`] groups count, or if no value
/// differs within its group.
///
/// The effect is Hedges' g (Hedges, "Distribution theory for Glass's estimator of effect size and
/// related estimators", 1981): the mean over items of the user's value minus the others' mean,
/// divided by the pooled standard deviation within items. It is shrunk like the mean under a normal
/// prior around zero (Efron and Morris, "Data analysis using Stein's estimator and its
/// generalizations", 1975): by `n / (n + n0)` for `n` items with `k` others each, where
/// `n0 = (1 + 1/k) / PRIOR²` reviews weigh as much as the prior.
pub(super) fn compare(values: &[f64], groups: &[Range<usize>]) -> Option<PairedDifference> {
    let mut centred: Vec<f64> = Vec::with_capacity(values.len());
    let mut ends: Vec<usize> = Vec::with_capacity(groups.len());
    let (mut sum, mut own, mut others, mut mean_difference) = (0.0, 0.0, 0.0, 0.0);
    let (mut squares, mut freedom, mut inverse) = (0.0, 0.0, 0.0);
    let mut difference_squares = 0.0;
    for group in groups {
        let Some((first, rest)) = values.get(group.clone()).and_then(<[f64]>::split_first) else {
            continue;
        };
        let n_others = rest.iter().filter(|v| v.is_finite()).count() as f64;
        if !first.is_finite() || n_others == 0.0 {
            continue;
        }
        let sum_others: f64 = rest.iter().filter(|v| v.is_finite()).sum();
        let mean = (first + sum_others) / (n_others + 1.0);
        // For any value of the group, `scale` times its distance from the mean of all is its
        // difference from the mean of the rest.
        let scale = (n_others + 1.0) / n_others;
        let finite = std::iter::once(first).chain(rest).filter(|v| v.is_finite());
        for value in finite {
            centred.push(scale * (value - mean));
            squares += (value - mean).powi(2);
        }
        ends.push(centred.len());
        sum += scale * (first - mean);
        own += first;
        others += sum_others / n_others;
        mean_difference += first - sum_others / n_others;
        difference_squares += (first - sum_others / n_others).powi(2);
        freedom += n_others;
        inverse += 1.0 / n_others;
    }
    let n = ends.len() as f64;
    if ends.len() < MIN_ITEMS || squares <= 1e-12 * (1.0 + own.abs() + others.abs()) {
        return None;
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let items: Vec<&[f64]> = starts.zip(&ends).map(|(start, &end)| &centred[start..end]).collect();
    let deviation = (squares / freedom).sqrt();
    let few = 1.0 - 3.0 / (4.0 * freedom - 1.0);
    let prior_reviews = (1.0 + inverse / n) / (PRIOR_DEVIATION * PRIOR_DEVIATION);
    let effect = few * (mean_difference / n) / deviation * n / (n + prior_reviews);
    let p = two_sided(&items, sum);
    let margin = margin(n, mean_difference, difference_squares);
    Some(PairedDifference { effect, p, own: own / n, others: others / n, margin })
}

/// Half of the 95 % interval of the mean of `n` values, at least [`MIN_ITEMS`], by Student's t.
fn margin(n: f64, sum: f64, squares: f64) -> f64 {
    let variance = ((squares - sum * sum / n) / (n - 1.0)).max(0.0);
    student_quantile(n - 1.0) * (variance / n).sqrt()
}

/// The 97.5 % quantile of Student's t, to 1 % from 3 degrees of freedom on (Abramowitz and Stegun,
/// "Handbook of mathematical functions", 26.7.5).
fn student_quantile(freedom: f64) -> f64 {
    let z: f64 = 1.959_964;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
    ];
    let add = |sum: f64, term: &f64| (sum + term) / freedom;
    z + terms.iter().rev().fold(0.0, add)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn groups(n: usize, size: usize) -> Vec<Range<usize>> {
        (0..n).map(|i| i * size..(i + 1) * size).collect()
    }

    #[test]
    fn a_difference_on_every_item_is_large_and_unlikely() {
        let values: Vec<f64> = (0..40).map(|i| if i % 5 == 0 { 1.0 } else { 0.0 }).collect();
        let difference = compare(&values, &groups(8, 5)).unwrap();
        assert_eq!((difference.own, difference.others), (1.0, 0.0));
        assert!((difference.p - 2.0 * 0.2_f64.powi(8)).abs() < 1e-12);
        // By hand: 1 / sqrt(8 * 0.8 / 32), corrected by 1 - 3 / 127, shrunk by 8 / 13.
        let expected = 1.0 / 0.2_f64.sqrt() * (1.0 - 3.0 / 127.0) * 8.0 / 13.0;
        assert!((difference.effect - expected).abs() < 1e-12);
        let fewer = compare(&values, &groups(4, 5)).unwrap();
        assert!(fewer.effect < difference.effect && fewer.p > difference.p);
    }

    #[test]
    fn quantiles_are_those_of_tables() {
        for (freedom, expected) in [(3.0, 3.182), (5.0, 2.571), (10.0, 2.228), (30.0, 2.042)] {
            let quantile = student_quantile(freedom);
            assert!((quantile / expected - 1.0).abs() < 0.01, "{freedom}: {quantile}");
        }
    }

    #[test]
    fn the_interval_is_that_of_the_differences() {
        // Differences of 1, 2, 3, 4 and 5 to one other text each: standard error sqrt(0.5).
        let values: Vec<f64> = (1..=5).flat_map(|i| [10.0 + f64::from(i), 10.0]).collect();
        let difference = compare(&values, &groups(5, 2)).unwrap();
        assert!((difference.own - difference.others - 3.0).abs() < 1e-12);
        assert!((difference.margin / (2.776 * 0.5_f64.sqrt()) - 1.0).abs() < 0.01);
        let rates = compare_rates(&values, &groups(5, 2)).unwrap();
        assert!((rates.margin - difference.margin).abs() < 1e-12);
        // No spread, no margin.
        let same: Vec<f64> = (0..5).flat_map(|_| [3.0, 1.0]).collect();
        assert!(compare(&same, &groups(5, 2)).unwrap().margin.abs() < 1e-9);
    }

    #[test]
    fn who_is_like_everybody_differs_in_nothing() {
        let values: Vec<f64> = (0..40).map(|i| [3.0, 1.0, 2.0, 5.0, 4.0][i % 5]).collect();
        let difference = compare(&values, &groups(8, 5)).unwrap();
        assert!(difference.effect.abs() < 1e-12 && difference.p > 0.9);
        assert_eq!(compare(&[1.0; 40], &groups(8, 5)), None);
    }

    #[test]
    fn rates_are_compared_by_logarithms_and_shown_as_they_are() {
        // One text of others has far more than all of the user's.
        let mut values: Vec<f64> = (0..40).map(|i| if i % 5 == 0 { 8.0 } else { 1.0 }).collect();
        values[1] = 200.0;
        let (plain, rates) =
            (compare(&values, &groups(8, 5)), compare_rates(&values, &groups(8, 5)));
        let (plain, rates) = (plain.unwrap(), rates.unwrap());
        assert!(rates.p < plain.p && rates.effect > plain.effect);
        assert_eq!((rates.own, rates.others), (plain.own, plain.others));
    }

    #[test]
    fn values_that_are_not_there_do_not_count() {
        let mut values: Vec<f64> = (0..25).map(|i| f64::from(i % 5)).collect();
        let all = compare(&values, &groups(5, 5)).unwrap();
        values[0] = f64::NAN;
        let without = compare(&values, &groups(5, 5)).unwrap();
        assert_eq!(without.own, all.own);
        values[5] = f64::NAN;
        assert_eq!(compare(&values, &groups(5, 5)), None);
        assert_eq!(compare(&[], &groups(5, 5)), None);
    }
}
