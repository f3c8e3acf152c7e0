//! Correction for multiple tests.

/// Holm's step-down correction (Holm, "A simple sequentially rejective multiple test procedure",
/// 1979). Returns the corrected p-values of a family of tests, in the given order. Rejecting those
/// below a level keeps the probability of any false positive in the family at or below that level.
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
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
