//! Layer normalisation, alone or after the residual addition of a post-norm transformer.

#![allow(unsafe_code)]
// Kernels rely on the contract of `Simd`; the calling functions check lengths.
#![allow(unsafe_op_in_unsafe_fn)]

use super::elementwise::{by_rows, check_rows};
use super::error::check_length;
use super::simd::{LANES, Simd, per_isa};
use super::{Isa, Pool, Result};

/// Layer normalisation (arXiv 1607.06450) of each row:
/// `(x - mean) / sqrt(variance + eps) * weight + bias`. Sums are accumulated in sixteen lanes,
/// which are then added pairwise, half to half.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    /// Creates the normalisation from `weight` and `bias`, both `[width]`.
    ///
    /// # Errors
    /// `weight` and `bias` have different lengths.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, eps: f32) -> Result<Self> {
        check_length("layer norm", "the bias", bias.len(), weight.len())?;
        Ok(Self { weight, bias, eps })
    }

    /// Normalises each row of `x` `[n, width]`.
    ///
    /// # Errors
    /// `x` is not `[n, width]`.
    pub fn apply(&self, x: &mut [f32], isa: Isa, pool: &Pool) -> Result<()> {
        let width = self.weight.len();
        check_rows("layer norm", x.len(), width)?;
        by_rows(x, width, pool, |_, rows| {
            for row in rows.chunks_exact_mut(width) {
                // SAFETY: the row is as long as the weight.
                unsafe { norm_row(isa, row, self) };
            }
        });
        Ok(())
    }

    /// Replaces each row of `x` by the normalised `x + (y + y_bias)`. `x` and `y` are `[n, width]`,
    /// `y_bias` is `[width]`.
    ///
    /// # Errors
    /// A length does not match these shapes.
    pub fn apply_to_sum(
        &self,
        x: &mut [f32],
        y: &[f32],
        y_bias: &[f32],
        isa: Isa,
        pool: &Pool,
    ) -> Result<()> {
        let width = self.weight.len();
        check_rows("layer norm", x.len(), width)?;
        check_length("layer norm", "the addend", y.len(), x.len())?;
        check_length("layer norm", "the addend's bias", y_bias.len(), width)?;
        by_rows(x, width, pool, |first, rows| {
            let y = &y[first * width..first * width + rows.len()];
            for (row, y) in rows.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
                // SAFETY: four slices of equal length.
                unsafe { norm_sum(isa, row, y, y_bias, self) };
            }
        });
        Ok(())
    }
}

per_isa! { unsafe fn norm_row(x: &mut [f32], norm: &LayerNorm) = normalise; }
per_isa! { unsafe fn norm_sum(x: &mut [f32], y: &[f32], bias: &[f32], norm: &LayerNorm) = sum; }

/// Returns the elements of a row from `at` on, fewer than sixteen, padded with zeros.
#[inline(always)]
unsafe fn rest_of(row: *const f32, at: usize, width: usize) -> [f32; LANES] {
    let mut rest = [0.0; LANES];
    std::ptr::copy_nonoverlapping(row.add(at), rest.as_mut_ptr(), width - at);
    rest
}

#[inline(always)]
unsafe fn sum<S: Simd>(x: &mut [f32], y: &[f32], bias: &[f32], norm: &LayerNorm) {
    let (width, to, y) = (x.len(), x.as_mut_ptr(), y.as_ptr());
    let mut at = 0;
    while at + LANES <= width {
        let addend = S::add(S::load(y.add(at)), S::load(bias.as_ptr().add(at)));
        S::store(to.add(at), S::add(S::load(to.add(at)), addend));
        at += LANES;
    }
    for (at, bias) in bias.iter().enumerate().skip(at) {
        *to.add(at) += *y.add(at) + bias;
    }
    normalise::<S>(x, norm);
}

#[inline(always)]
unsafe fn normalise<S: Simd>(x: &mut [f32], norm: &LayerNorm) {
    let (width, x) = (x.len(), x.as_mut_ptr());
    let whole = width / LANES * LANES;
    let mut total = S::splat(0.0);
    for at in (0..whole).step_by(LANES) {
        total = S::add(total, S::load(x.add(at)));
    }
    if whole < width {
        total = S::add(total, S::load(rest_of(x, whole, width).as_ptr()));
    }
    let mean = S::sum(total) / width as f32;
    let centre = S::splat(mean);

    let mut squares = S::splat(0.0);
    for at in (0..whole).step_by(LANES) {
        let apart = S::sub(S::load(x.add(at)), centre);
        squares = S::fma(apart, apart, squares);
    }
    if whole < width {
        let mut rest = rest_of(x, whole, width);
        rest[..width - whole].iter_mut().for_each(|x| *x -= mean);
        let apart = S::load(rest.as_ptr());
        squares = S::fma(apart, apart, squares);
    }
    let scale = 1.0 / (S::sum(squares) / width as f32 + norm.eps).sqrt();

    let factor = S::splat(scale);
    let (weight, bias) = (norm.weight.as_ptr(), norm.bias.as_ptr());
    for at in (0..whole).step_by(LANES) {
        let scaled = S::mul(S::sub(S::load(x.add(at)), centre), factor);
        S::store(x.add(at), S::fma(scaled, S::load(weight.add(at)), S::load(bias.add(at))));
    }
    for at in whole..width {
        *x.add(at) = ((*x.add(at) - mean) * scale).mul_add(*weight.add(at), *bias.add(at));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random_range(-4.0..5.0_f32)).collect()
    }

    fn exact(row: &[f64], norm: &LayerNorm) -> Vec<f64> {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (variance + f64::from(norm.eps)).sqrt();
        row.iter()
            .zip(norm.weight.iter().zip(&norm.bias))
            .map(|(x, (w, b))| (x - mean) * scale * f64::from(*w) + f64::from(*b))
            .collect()
    }

    #[test]
    fn a_norm_is_what_its_formula_says_on_every_tier() {
        let pools = [Pool::new(1), Pool::new(2)];
        for width in [1, 2, 15, 16, 33, 384] {
            for n in [0, 1, 3, 60] {
                let norm = LayerNorm::new(random(width, 2), random(width, 3), 1e-5).unwrap();
                let (x, y, y_bias) = (random(n * width, 1), random(n * width, 4), random(width, 5));
                let on = |isa, pool| {
                    let mut sum = x.clone();
                    norm.apply_to_sum(&mut sum, &y, &y_bias, isa, pool).unwrap();
                    let mut alone = x.clone();
                    norm.apply(&mut alone, isa, pool).unwrap();
                    (sum, alone)
                };
                let (sum, alone) = on(Isa::PLAIN, &pools[0]);
                for isa in Isa::available() {
                    assert_eq!(on(isa, &pools[1]), (sum.clone(), alone.clone()), "{isa}");
                }
                for row in 0..n {
                    let part = row * width..(row + 1) * width;
                    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
                    let x = wide(&x[part.clone()]);
                    let addend: Vec<f64> = wide(&y[part.clone()])
                        .iter()
                        .zip(&y_bias)
                        .map(|(y, bias)| y + f64::from(*bias))
                        .collect();
                    let total: Vec<f64> = x.iter().zip(&addend).map(|(x, y)| x + y).collect();
                    for (input, got) in [(x, &alone), (total, &sum)] {
                        for (got, exact) in got[part.clone()].iter().zip(exact(&input, &norm)) {
                            assert!((f64::from(*got) - exact).abs() < 5e-5, "{got} {exact}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn odd_rows_stay_by_themselves() {
        let pool = Pool::new(1);
        let norm = LayerNorm::new(vec![1.0; 20], vec![0.5; 20], 1e-12).unwrap();
        let mut x = vec![3.0; 60];
        x[20] = f32::NAN;
        x[41] = f32::INFINITY;
        norm.apply(&mut x, Isa::detect(), &pool).unwrap();
        assert_eq!(x[..20], [0.5; 20], "a constant row has the bias");
        assert!(x[20..].iter().all(|x| x.is_nan()));
        assert!(LayerNorm::new(vec![1.0; 2], vec![1.0; 3], 0.0).is_err());
        assert!(norm.apply(&mut [0.0; 21], Isa::PLAIN, &pool).is_err());
        let mut row = [0.0; 20];
        assert!(norm.apply_to_sum(&mut row, &[0.0; 19], &[0.0; 20], Isa::PLAIN, &pool).is_err());
        assert!(norm.apply_to_sum(&mut row, &[0.0; 20], &[0.0; 19], Isa::PLAIN, &pool).is_err());
    }
}
