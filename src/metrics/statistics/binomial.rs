//! Exact interval of a share.

use super::Interval;

/// Number of halvings by which an end is found: to 2^-50.
const HALVINGS: usize = 50;

/// The exact interval of Clopper and Pearson ("The use of confidence or fiducial limits illustrated in
/// the case of the binomial", 1934) of the probability of which `right` of `of` independent trials
/// succeeded, with confidence `1 - level`. Without trials it is 0 to 1. `right` is at most `of`.
#[must_use]
pub fn binomial_interval(right: u64, of: u64, level: f64) -> Interval {
    let right = right.min(of);
    // P(X >= right) rises with the probability, and so does P(X > right).
    let low = match right {
        0 => 0.0,
        _ => root(|p| upper_tail(right, of, p) - level / 2.0),
    };
    let high = match right == of {
        true => 1.0,
        false => root(|p| upper_tail(right + 1, of, p) - (1.0 - level / 2.0)),
    };
    Interval { low, high }
}

/// The argument, 0 to 1, at which a rising function is 0.
fn root(rising: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if rising(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// P(X >= k) of a binomial distribution of `n` trials with probability `p`, 0 < p < 1.
fn upper_tail(k: u64, n: u64, p: f64) -> f64 {
    let (log_p, log_q) = (p.ln(), (-p).ln_1p());
    let choose = |i: f64| {
        let n = n as f64;
        libm::lgamma(n + 1.0) - libm::lgamma(i + 1.0) - libm::lgamma(n - i + 1.0)
    };
    let term = |i: u64| {
        let i = i as f64;
        (choose(i) + i * log_p + (n as f64 - i) * log_q).exp()
    };
    (k..=n).map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.binomtest(k, n).proportion_ci(0.95)`, method "exact".
    #[test]
    fn ends_are_those_of_the_beta_distribution() {
        for (right, of, low, high) in [
            (0, 10, 0.0, 0.308_497_1),
            (10, 10, 0.691_502_9, 1.0),
            (5, 10, 0.187_086_0, 0.812_914_0),
            (7, 9, 0.399_906_4, 0.971_855_0),
            (41, 60, 0.550_440_3, 0.797_424_5),
            (1, 1, 0.025, 1.0),
        ] {
            let Interval { low: l, high: h } = binomial_interval(right, of, 0.05);
            assert!((l - low).abs() < 1e-6 && (h - high).abs() < 1e-6, "{right} of {of}: {l} {h}");
        }
        assert_eq!(binomial_interval(0, 0, 0.05), Interval { low: 0.0, high: 1.0 });
    }
}
