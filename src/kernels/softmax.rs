//! Logits to probabilities over a whole vocabulary, once per token.
//!
//! Sums are accumulated in sixteen lanes, which are then added pairwise, half to half, so all
//! instruction sets give the same bits.

#![allow(unsafe_code)]
// Kernels rely on the contract of `Simd`.
#![allow(unsafe_op_in_unsafe_fn)]

use super::Isa;
use super::simd::{LANES, Simd, math, per_isa};

/// Returns the largest number of a row: NaN if one is NaN, minus infinity for an empty row.
#[must_use]
pub fn largest(row: &[f32], isa: Isa) -> f32 {
    // SAFETY: the kernel reads the slice within its length.
    unsafe { largest_of(isa, row) }
}

/// Returns the index of the largest number of a row, the first of equal ones; 0 if the row is empty
/// or holds NaN.
#[must_use]
pub fn index_of_largest(row: &[f32], isa: Isa) -> usize {
    let largest = largest(row, isa);
    row.iter().position(|x| *x == largest).unwrap_or(0)
}

/// Returns the logarithm of the sum of the exponentials of a row; minus infinity for an empty row.
#[must_use]
pub fn log_sum_exp(row: &[f32], isa: Isa) -> f32 {
    let largest = largest(row, isa);
    if largest == f32::NEG_INFINITY {
        return f32::NEG_INFINITY;
    }
    // SAFETY: the kernel reads the slice within its length.
    largest + unsafe { sum_of_exp(isa, row, largest) }.ln()
}

/// Turns a row of logits into log-probabilities.
pub fn log_softmax_in_place(row: &mut [f32], isa: Isa) {
    let norm = log_sum_exp(row, isa);
    row.iter_mut().for_each(|x| *x -= norm);
}

/// Writes `exp((x - largest) / temperature)` of each number of a row to `weights` and returns their
/// sum. `temperature` is above 0. If the two slices differ in length, only the shorter length is
/// processed.
pub fn exp_scaled(
    row: &[f32],
    largest: f32,
    temperature: f32,
    weights: &mut [f32],
    isa: Isa,
) -> f32 {
    let n = row.len().min(weights.len());
    // SAFETY: two slices of equal length.
    unsafe { exp_scaled_to(isa, &row[..n], largest, temperature, &mut weights[..n]) }
}

per_isa! { unsafe fn largest_of(row: &[f32]) -> f32 = largest_loop; }
per_isa! { unsafe fn sum_of_exp(row: &[f32], largest: f32) -> f32 = exp_loop; }
per_isa! {
    /// # Safety
    /// `weights` is as long as `row`.
    unsafe fn exp_scaled_to(
        row: &[f32], largest: f32, temperature: f32, weights: &mut [f32],
    ) -> f32 = exp_scaled_loop;
}

#[inline(always)]
unsafe fn largest_loop<S: Simd>(row: &[f32]) -> f32 {
    let mut best = S::splat(f32::NEG_INFINITY);
    let mut odd = S::splat(0.0);
    each::<S>(row, |x, _| {
        best = S::max(x, best);
        odd = S::nan_or(x, odd);
    });
    let mut lanes = [0.0; LANES];
    S::store(lanes.as_mut_ptr(), odd);
    match lanes.iter().any(|x| x.is_nan()) {
        true => f32::NAN,
        false => S::largest(best),
    }
}

#[inline(always)]
unsafe fn exp_loop<S: Simd>(row: &[f32], largest: f32) -> f32 {
    let shift = S::splat(largest);
    let mut sums = S::splat(0.0);
    each::<S>(row, |x, _| sums = S::add(sums, math::exp::<S>(S::sub(x, shift))));
    S::sum(sums)
}

#[inline(always)]
unsafe fn exp_scaled_loop<S: Simd>(
    row: &[f32],
    largest: f32,
    temperature: f32,
    weights: &mut [f32],
) -> f32 {
    let (shift, divisor) = (S::splat(largest), S::splat(temperature));
    let mut sums = S::splat(0.0);
    let n = weights.len();
    let weights = weights.as_mut_ptr();
    each::<S>(row, |x, at| {
        let weight = math::exp::<S>(S::div(S::sub(x, shift), divisor));
        sums = S::add(sums, weight);
        if at + LANES <= n {
            S::store(weights.add(at), weight);
        } else {
            let mut rest = [0.0; LANES];
            S::store(rest.as_mut_ptr(), weight);
            std::ptr::copy_nonoverlapping(rest.as_ptr(), weights.add(at), n - at);
        }
    });
    S::sum(sums)
}

/// Calls `work` with sixteen numbers of the row at a time and the index of the first of them. The
/// last ones are padded with minus infinity.
#[inline(always)]
unsafe fn each<S: Simd>(row: &[f32], mut work: impl FnMut(S::F, usize)) {
    let (chunks, rest) = row.as_chunks::<LANES>();
    for (index, chunk) in chunks.iter().enumerate() {
        work(S::load(chunk.as_ptr()), index * LANES);
    }
    if !rest.is_empty() {
        let mut padded = [f32::NEG_INFINITY; LANES];
        padded[..rest.len()].copy_from_slice(rest);
        work(S::load(padded.as_ptr()), row.len() - rest.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, on_every_isa};

    const LENGTHS: [usize; 8] = [1, 5, 15, 16, 17, 100, 1000, 49_152];

    fn random(n: usize, seed: u64) -> Vec<f32> {
        testing::random(n, 20.0, seed)
    }

    #[test]
    fn log_softmax_is_what_its_formula_says() {
        for (seed, n) in LENGTHS.into_iter().enumerate() {
            let row = random(n, seed as u64);
            let norm = on_every_isa(|isa| vec![log_sum_exp(&row, isa)])[0];
            let exact = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
            assert!((f64::from(norm) - exact).abs() < 1e-5, "{norm} {exact}");
            let mut row = row;
            log_softmax_in_place(&mut row, Isa::detect());
            let total: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            assert!((total - 1.0).abs() < 1e-5);
        }
        assert_eq!(log_sum_exp(&[], Isa::PLAIN), f32::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY; 3], Isa::PLAIN), f32::NEG_INFINITY);
        assert!(log_sum_exp(&[0.0, f32::NAN], Isa::detect()).is_nan());
    }

    #[test]
    fn the_largest_is_found_and_nan_is_told() {
        for (seed, n) in LENGTHS.into_iter().enumerate() {
            let mut row = random(n, seed as u64);
            let plain = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(on_every_isa(|isa| vec![largest(&row, isa)]), [plain]);
            let first = row.iter().position(|x| *x == plain);
            assert_eq!(Some(index_of_largest(&row, Isa::detect())), first);
            row[n / 2] = f32::INFINITY;
            assert_eq!(on_every_isa(|isa| vec![largest(&row, isa)]), [f32::INFINITY]);
            row[n - 1] = f32::NAN;
            assert!(on_every_isa(|isa| vec![largest(&row, isa)])[0].is_nan());
        }
        assert_eq!(largest(&[], Isa::detect()), f32::NEG_INFINITY);
        assert_eq!(index_of_largest(&[1.0, 3.0, 3.0], Isa::detect()), 1);
    }

    #[test]
    fn scaled_exponentials_are_what_their_formula_says() {
        for (seed, n) in LENGTHS.into_iter().enumerate() {
            let row = random(n, seed as u64);
            for temperature in [1.0, 0.8, 2.5, 1e-3, f32::MIN_POSITIVE / 4.0] {
                let top = largest(&row, Isa::detect());
                let weights = on_every_isa(|isa| {
                    let mut weights = vec![f32::NAN; n];
                    let sum = exp_scaled(&row, top, temperature, &mut weights, isa);
                    weights.push(sum);
                    weights
                });
                let mut total = 0.0;
                for (x, weight) in row.iter().zip(&weights) {
                    let exact = ((f64::from(*x) - f64::from(top)) / f64::from(temperature)).exp();
                    assert!((f64::from(*weight) - exact).abs() < 1e-5 * exact + 1e-30);
                    total += f64::from(*weight);
                }
                assert!((f64::from(weights[n]) - total).abs() < 1e-4 * total);
            }
        }
    }
}
