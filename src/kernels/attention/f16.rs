//! Products with keys and values of f16, in f32.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `Simd` and `Products`.
#![allow(unsafe_op_in_unsafe_fn)]

use super::products::Products;
use crate::simd::Simd;

/// Keys and values of f16; queries and weights stay f32.
pub(super) struct Half;

impl Products for Half {
    const EACH: usize = 1;

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const u16) -> S::F {
        S::load_f16(from)
    }

    #[inline(always)]
    unsafe fn load_first<S: Simd>(from: *const u16) -> S::F {
        S::load_f16(from)
    }

    #[inline(always)]
    unsafe fn add<S: Simd>(total: S::F, kept: S::F, other: S::F) -> S::F {
        S::fma(kept, other, total)
    }

    #[inline(always)]
    unsafe fn interleave<S: Simd>(queries: *const f32, rows: usize, dim: usize, to: *mut f32) {
        for row in 0..rows {
            for d in 0..dim {
                *to.add(d * rows + row) = *queries.add(row * dim + d);
            }
        }
    }

    #[inline(always)]
    unsafe fn ready<S: Simd>(_weights: *mut f32) {}
}
