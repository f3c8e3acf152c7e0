//! Significance of a sum of paired differences, and control of the false discovery rate.

/// Below this many standard deviations the normal approximation is used: no reported difference
/// depends on a p-value in this range.
const NORMAL_BELOW: f64 = 1.5;

/// Sums that differ by less than this share of the largest possible sum are taken as equal
/// (rounding).
const TOLERANCE: f64 = 1e-9;

/// Two-sided p-value of a sum of one value per item by a randomization test within items (Fisher,
/// "The design of experiments", 1935): if the user's text were like the others' of that item, each
/// of the item's values could equally well be the user's. `differences` are the values of each
/// item, which sum to 0; `sum` is the sum of the user's own values.
///
/// The tail probability is a saddlepoint approximation (Lugannani and Rice, "Saddle point
/// approximation for the distribution of the sum of independent random variables", 1980; for
/// randomization tests Robinson, 1982), which costs some hundred exponentials instead of all
/// `(k + 1)^n` sums. It is never below the probability of the largest possible sum, which is exact.
pub(super) fn two_sided(differences: &[&[f64]], sum: f64) -> f64 {
    let sign = if sum < 0.0 { -1.0 } else { 1.0 };
    (2.0 * tail(differences, sign, sign * sum)).min(1.0)
}

/// Probability that the sum of `sign` times one value of each item is `t` or more; `t` is not
/// negative.
pub(super) fn tail(differences: &[&[f64]], sign: f64, t: f64) -> f64 {
    let largest = |values: &[f64]| values.iter().map(|v| sign * v).fold(f64::MIN, f64::max);
    let most: f64 = differences.iter().map(|values| largest(values)).sum();
    let squares = |values: &&[f64]| values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
    let variance: f64 = differences.iter().map(squares).sum();
    if variance <= 0.0 || most <= 0.0 {
        return 1.0;
    }
    let at_most: f64 = differences
        .iter()
        .map(|values| {
            let bar = largest(values) - TOLERANCE * most;
            let n = values.iter().filter(|v| sign * **v >= bar).count();
            n as f64 / values.len() as f64
        })
        .product();
    if t >= most * (1.0 - TOLERANCE) {
        return at_most;
    }
    let z = t / variance.sqrt();
    if z < NORMAL_BELOW {
        return upper_normal(z).max(at_most);
    }
    lugannani_rice(differences, sign, t, variance).clamp(at_most, 1.0)
}

fn lugannani_rice(differences: &[&[f64]], sign: f64, t: f64, variance: f64) -> f64 {
    let mut s = t / variance;
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut at = Cumulants::at(differences, sign, s);
    for _ in 0..60 {
        if (at.first - t).abs() <= 1e-9 * t {
            break;
        }
        if at.first < t {
            low = s;
        } else {
            high = s;
        }
        let newton = s + (t - at.first) / at.second.max(f64::MIN_POSITIVE);
        let far = if high.is_finite() { f64::midpoint(low, high) } else { 4.0 * s };
        s = if newton > low && newton < high.min(4.0 * s) { newton } else { far };
        at = Cumulants::at(differences, sign, s);
    }
    let w = (2.0 * (s * t - at.zeroth)).max(0.0).sqrt();
    let u = s * at.second.sqrt();
    if !(w > 1e-6 && u > 0.0) {
        // No variance is left, so the sum is practically the largest; the caller clamps to its
        // probability.
        return 0.0;
    }
    let density = (-0.5 * w * w).exp() / (2.0 * std::f64::consts::PI).sqrt();
    upper_normal(w) + density * (1.0 / u - 1.0 / w)
}

/// The cumulant generating function of the sum and its first two derivatives.
struct Cumulants {
    zeroth: f64,
    first: f64,
    second: f64,
}

impl Cumulants {
    fn at(differences: &[&[f64]], sign: f64, s: f64) -> Self {
        let mut sum = Self { zeroth: 0.0, first: 0.0, second: 0.0 };
        for values in differences {
            let most = values.iter().map(|v| s * sign * v).fold(f64::MIN, f64::max);
            let (mut weights, mut firsts, mut seconds) = (0.0, 0.0, 0.0);
            for value in *values {
                let v = sign * value;
                let weight = (s * v - most).exp();
                weights += weight;
                firsts += weight * v;
                seconds += weight * v * v;
            }
            let mean = firsts / weights;
            sum.zeroth += most + (weights / values.len() as f64).ln();
            sum.first += mean;
            sum.second += (seconds / weights - mean * mean).max(0.0);
        }
        sum
    }
}

fn upper_normal(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

/// Indices of the p-values that are discoveries at a false discovery rate of `q`, smallest p-value
/// first (Benjamini and Hochberg, "Controlling the false discovery rate", 1995).
pub(super) fn discoveries(p: &[f64], q: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]).then(a.cmp(&b)));
    let bar = |rank: usize| q * (rank + 1) as f64 / p.len() as f64;
    let n = order.iter().enumerate().rposition(|(rank, &i)| p[i] <= bar(rank)).map_or(0, |n| n + 1);
    order.truncate(n);
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The exact tail, by enumeration of every choice.
    fn all(differences: &[&[f64]], t: f64) -> f64 {
        let Some((first, rest)) = differences.split_first() else {
            return f64::from(u8::from(t <= 1e-9));
        };
        first.iter().map(|v| all(rest, t - v)).sum::<f64>() / first.len() as f64
    }

    fn centred(values: &[f64]) -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|v| v - mean).collect()
    }

    #[test]
    fn discoveries_are_those_of_the_paper() {
        // Benjamini and Hochberg 1995, section 3.2: at 0.05 the first four are rejected.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.000,
        ];
        assert_eq!(discoveries(&p, 0.05), [0, 1, 2, 3]);
        assert_eq!(discoveries(&[0.9, 0.001, 0.02], 0.05), [1, 2]);
        assert_eq!(discoveries(&[0.06], 0.05), [0; 0]);
        assert_eq!(discoveries(&[], 0.05), [0; 0]);
    }

    #[test]
    fn the_largest_sum_is_exact() {
        let item = centred(&[1.0, 0.0, 0.0, 0.0, 1.0]);
        let p = two_sided(&[item.as_slice(); 6], 6.0 * item[0]);
        assert!((p - 2.0 * 0.4_f64.powi(6)).abs() < 1e-12, "{p}");
        assert_eq!(two_sided(&[[0.0, 0.0].as_slice(); 3], 0.0), 1.0);
    }

    proptest! {
        #[test]
        fn the_tail_is_near_the_exact_one(
            items in proptest::collection::vec(proptest::collection::vec(0.0_f64..1.0, 3..5), 5..7),
            share in 0.3_f64..1.0,
        ) {
            let items: Vec<Vec<f64>> = items.iter().map(|values| centred(values)).collect();
            let items: Vec<&[f64]> = items.iter().map(Vec::as_slice).collect();
            let most: f64 = items.iter().map(|v| v.iter().copied().fold(f64::MIN, f64::max)).sum();
            let (exact, got) = (all(&items, share * most), tail(&items, 1.0, share * most));
            // Far out, the exact tail of few items is a step function; hence the wide bounds.
            let (low, high) = (all(&items, (share + 0.07) * most), all(&items, (share - 0.07) * most));
            prop_assert!(got >= 0.5 * low && got <= 1.5 * high + 0.01, "{low} {exact} {high}: {got}");
        }
    }
}
