//! Correction for many tests.

/// Holm's step-down correction (Holm, "A simple sequentially rejective multiple test procedure",
/// 1979): the p-values of a family of tests, in their order, raised so that the chance of any false
/// alarm among those below a level is at most that level.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![0.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        least = least.max(p[i] * (p.len() - rank) as f64).min(1.0);
        corrected[i] = least;
    }
    corrected
}
