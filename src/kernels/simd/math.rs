//! Functions over sixteen lanes that give the same bits on every instruction set.

#![allow(unsafe_code)]
// Bodies rely on the contract of `Simd`.
#![allow(unsafe_op_in_unsafe_fn)]

use super::vector::Simd;

/// Magnitudes below this become zero when numbers are rounded to bf16.
pub(crate) const SMALLEST_BF16: f32 = 1.0 / (1_u64 << 45) as f32;

/// Returns each lane rounded to eight bits of precision; zero for magnitudes below
/// [`SMALLEST_BF16`], NaN for NaN. Lanes are below 2^110. The lower sixteen bits of a result are
/// zero.
///
/// Dekker's splitting (Dekker 1971, section 5): with `c = (2^16 + 1) x` the result is
/// `c - (c - x)`.
#[inline(always)]
pub(crate) unsafe fn rounded_to_bf16<S: Simd>(x: S::F) -> S::F {
    let c = S::mul(x, S::splat(65_537.0));
    let rounded = S::sub(c, S::sub(c, x));
    let size = S::max(x, S::sub(S::splat(0.0), x));
    S::select_less(size, S::splat(SMALLEST_BF16), S::splat(0.0), rounded)
}

/// [`exp`] returns infinity above `HIGHEST` (the exact bound is 88.72) and zero below `LOWEST` (the
/// smallest normal number is reached at -87.34).
const HIGHEST: f32 = 88.0;
const LOWEST: f32 = -87.0;
/// Adding this rounds a number to an integer and leaves it in the low bits of the mantissa.
const ROUNDER: f32 = 12_582_912.0;
/// The natural logarithm of 2 in two parts; the first has few enough bits for exact multiples.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Returns `e^x`, within 2 units in the last place for -87 <= x <= 88; NaN for NaN.
///
/// With `x = n ln 2 + r`, computes `e^r` by a polynomial and adds `n` to the exponent.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    let rounder = S::splat(ROUNDER);
    let shifted = S::fma(x, S::splat(std::f32::consts::LOG2_E), rounder);
    let n = S::sub(shifted, rounder);
    let r = S::fma(n, S::splat(-LN_2_HIGH), x);
    let r = S::fma(n, S::splat(-LN_2_LOW), r);
    let y = S::add_to_exponent(power_of_rest::<S>(r), shifted);
    let y = S::select_less(x, S::splat(LOWEST), S::splat(0.0), y);
    let y = S::select_less(S::splat(HIGHEST), x, S::splat(f32::INFINITY), y);
    S::nan_or(x, y)
}

/// [`exp_of_negative`] replaces smaller numbers by this one, for which `2^n` is zero.
const LOWEST_NEGATIVE: f32 = -88.0;

/// Returns `e^x` for x <= 0: within 2 units in the last place for x >= -87.3, less precise if the
/// result is subnormal, zero below about -87.7; NaN for NaN. The result for x > 0 is undefined.
///
/// Works like [`exp`], except that the factor `2^n` is computed separately: the exponent's bias is
/// part of the rounder.
#[inline(always)]
pub(crate) unsafe fn exp_of_negative<S: Simd>(x: S::F) -> S::F {
    let rounder = S::splat(ROUNDER + 127.0);
    let x = S::max(S::splat(LOWEST_NEGATIVE), x);
    let shifted = S::fma(x, S::splat(std::f32::consts::LOG2_E), rounder);
    let power = S::add_to_exponent(S::splat(0.0), shifted);
    let n = S::sub(shifted, rounder);
    let r = S::fma(n, S::splat(-LN_2_HIGH), x);
    let r = S::fma(n, S::splat(-LN_2_LOW), r);
    S::mul(power_of_rest::<S>(r), power)
}

/// Returns `e^r` for |r| <= ln 2 / 2, as in Cephes' `expf`.
#[inline(always)]
unsafe fn power_of_rest<S: Simd>(r: S::F) -> S::F {
    let mut p = S::splat(1.987_569_1e-4);
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = S::fma(p, r, S::splat(coefficient));
    }
    S::fma(p, S::mul(r, r), S::add(r, S::splat(1.0)))
}

/// Returns the hyperbolic tangent of `x` as `1 - 2 / (1 + e^2x)`, within 2e-7; NaN for NaN.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::F) -> S::F {
    let (one, two) = (S::splat(1.0), S::splat(2.0));
    let power = exp::<S>(S::mul(x, two));
    S::sub(one, S::div(two, S::add(one, power)))
}

/// Returns `cap · tanh(x / cap)`: about `x` near zero, and never beyond `cap`.
#[inline(always)]
pub(crate) unsafe fn soft_cap<S: Simd>(x: S::F, cap: f32) -> S::F {
    let cap = S::splat(cap);
    S::mul(cap, tanh::<S>(S::div(x, cap)))
}

/// Returns `x / (1 + e^-x)`.
#[inline(always)]
pub(crate) unsafe fn silu<S: Simd>(x: S::F) -> S::F {
    let negated = S::sub(S::splat(0.0), x);
    S::div(x, S::add(S::splat(1.0), exp::<S>(negated)))
}

/// Beyond this, the remaining tail of the normal distribution is below 2e-7.
const TAIL: f32 = 5.2;
/// Coefficients, highest first, of a polynomial in `t = 2 (x / TAIL)² - 1` that, multiplied by `x`,
/// approximates `erf(x / √2)`. Fitted by least squares, with weights increased where the error was
/// largest.
const NORMAL: [f32; 15] = [
    4.047_874e-4,
    -1.124_583_9e-3,
    1.201_493_9e-3,
    -1.957_022e-3,
    5.324_918_3e-3,
    -1.013_474_6e-2,
    1.602_015_8e-2,
    -2.470_671_4e-2,
    3.626_785e-2,
    -4.952_69e-2,
    6.392_465e-2,
    -7.985_079e-2,
    1.000_522_2e-1,
    -1.354_876_2e-1,
    2.718_999_7e-1,
];

/// Returns `erf(x / √2)`, within 2e-7: the probability of a standard normal variable to lie within
/// `x` of its mean, with the sign of `x`. Finite for NaN.
#[inline(always)]
pub(crate) unsafe fn normal_share<S: Simd>(x: S::F) -> S::F {
    let (one, tail) = (S::splat(1.0), S::splat(TAIL));
    let (minus_one, minus_tail) = (S::splat(-1.0), S::splat(-TAIL));
    let within = S::max(S::select_less(x, tail, x, tail), minus_tail);
    let t = S::fma(S::mul(within, within), S::splat(2.0 / (TAIL * TAIL)), minus_one);
    let mut p = S::splat(NORMAL[0]);
    for coefficient in &NORMAL[1..] {
        p = S::fma(p, t, S::splat(*coefficient));
    }
    let share = S::mul(within, p);
    let share = S::select_less(x, tail, share, one);
    S::select_less(minus_tail, x, share, minus_one)
}

/// Returns `x Φ(x)`, with `Φ` of the normal distribution: the Gaussian error linear unit (arXiv
/// 1606.08415).
#[inline(always)]
pub(crate) unsafe fn gelu<S: Simd>(x: S::F) -> S::F {
    let half = S::mul(x, S::splat(0.5));
    S::fma(half, normal_share::<S>(x), half)
}

/// Returns the approximation of [`gelu`] by a hyperbolic tangent, from the same paper:
/// `x / (1 + e^-2z)` with `z = √(2/π) (x + 0.044715 x³)`.
#[inline(always)]
pub(crate) unsafe fn gelu_tanh<S: Simd>(x: S::F) -> S::F {
    // -2 √(2/π).
    const FACTOR: f32 = -1.595_769;
    let cubic = S::fma(S::mul(x, x), S::splat(FACTOR * 0.044_715), S::splat(FACTOR));
    S::div(x, S::add(S::splat(1.0), exp::<S>(S::mul(cubic, x))))
}
