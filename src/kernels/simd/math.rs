//! Functions over sixteen lanes, the same bits on every tier.

#![allow(unsafe_code)]
// Bodies run under the contract of `Simd`.
#![allow(unsafe_op_in_unsafe_fn)]

use super::Simd;

/// Above this the exponential is infinite (the exact bound is 88.72), below its negative about
/// (-87) it is zero (the smallest normal number is reached at -87.34).
const HIGHEST: f32 = 88.0;
const LOWEST: f32 = -87.0;
/// Adding it leaves a number rounded to an integer in the low bits of the mantissa.
const ROUNDER: f32 = 12_582_912.0;
/// The natural logarithm of 2 in two parts, the first short enough for exact multiples.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `e^x`, within 2 units in the last place for -87 <= x <= 88; NaN of NaN.
///
/// `x = n ln 2 + r`, the polynomial for `e^r` on |r| <= ln 2 / 2 as in Cephes' `expf`, and `n`
/// added to the exponent.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    let rounder = S::splat(ROUNDER);
    let shifted = S::fma(x, S::splat(std::f32::consts::LOG2_E), rounder);
    let n = S::sub(shifted, rounder);
    let r = S::fma(n, S::splat(-LN_2_HIGH), x);
    let r = S::fma(n, S::splat(-LN_2_LOW), r);
    let mut p = S::splat(1.987_569_1e-4);
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = S::fma(p, r, S::splat(coefficient));
    }
    let one_and_r = S::add(r, S::splat(1.0));
    let y = S::add_to_exponent(S::fma(p, S::mul(r, r), one_and_r), shifted);
    let y = S::select_less(x, S::splat(LOWEST), S::splat(0.0), y);
    let y = S::select_less(S::splat(HIGHEST), x, S::splat(f32::INFINITY), y);
    S::nan_or(x, y)
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub(crate) unsafe fn silu<S: Simd>(x: S::F) -> S::F {
    let negated = S::sub(S::splat(0.0), x);
    S::div(x, S::add(S::splat(1.0), exp::<S>(negated)))
}
