//! Number formats of the KV cache: how keys and values are loaded and multiplied.
//!
//! f16 is converted to f32, and products are summed in f32.
//!
//! bf16 is multiplied two at a time, into sums of f32. For each pair, the second number's product is
//! added to the sum, which is rounded, then the first number's product, as `vdpbf16ps` does. A
//! product of two bf16 is exact in f32, so other instruction sets get the same bits by two
//! multiply-adds. `vdpbf16ps` treats subnormal numbers as zero. Numbers below 2^-45 are therefore
//! rounded to zero in bf16: then neither a product nor a difference of sums of products can be
//! subnormal.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `Simd` and `KvFormat`.
#![allow(unsafe_op_in_unsafe_fn)]

use std::marker::PhantomData;

use super::layout::KV_BLOCK_SIZE;
use crate::simd::{LANES, Simd, math};

/// Multiplication in the number format of the KV cache: sixteen groups of [`KvFormat::PACK`]
/// numbers with sixteen others.
///
/// # Safety
/// The contract of [`Simd`] holds. Keys and values are laid out as [`KvShape`](super::layout::KvShape) says,
/// queries and weights as [`KvFormat::interleave`] and [`KvFormat::pack`] write them.
pub(super) trait KvFormat: 'static {
    /// Numbers that are multiplied and added at a time in each lane: 1 or 2.
    const PACK: usize;
    /// Loads sixteen groups of keys or values.
    unsafe fn load<S: Simd>(from: *const u16) -> S::F;
    /// Like [`KvFormat::load`], but only the first number of each group. Called only if `PACK` is
    /// 2.
    unsafe fn load_first<S: Simd>(from: *const u16) -> S::F;
    /// Adds to `total` the products of groups from the cache with groups of queries or weights.
    unsafe fn add<S: Simd>(total: S::F, kept: S::F, other: S::F) -> S::F;
    /// Reorders the queries of some rows from `[row][dim]` to groups, `[dim / PACK][row]`. `to`
    /// holds `rows * dim` numbers.
    unsafe fn interleave<S: Simd>(queries: *const f32, rows: usize, dim: usize, to: *mut f32);
    /// Converts the weights of a row, `[64]`, to groups, `[64 / PACK]`, in place.
    unsafe fn pack<S: Simd>(weights: *mut f32);
}

/// Keys and values of f16; queries and weights stay f32.
pub(super) struct F16Kv;

impl KvFormat for F16Kv {
    const PACK: usize = 1;

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
    unsafe fn pack<S: Simd>(_weights: *mut f32) {}
}

/// Adds the two products of a pair of bf16 to a sum of f32.
///
/// # Safety
/// The contract of [`Simd`] holds.
pub(super) trait Bf16Pairs: 'static {
    /// Adds the products of the sixteen pairs of `a` and the sixteen pairs of `b` to `total`.
    unsafe fn add<S: Simd>(total: S::F, a: S::F, b: S::F) -> S::F;
}

/// The version for every instruction set.
pub(super) struct ByMultiplyAdd;

impl Bf16Pairs for ByMultiplyAdd {
    #[inline(always)]
    unsafe fn add<S: Simd>(total: S::F, a: S::F, b: S::F) -> S::F {
        let total = S::fma(S::upper(a), S::upper(b), total);
        S::fma(S::lower(a), S::lower(b), total)
    }
}

/// The version that uses `vdpbf16ps`. Only for functions that enable `avx512bf16`.
#[cfg(target_arch = "x86_64")]
pub(super) struct Vdpbf16ps;

#[cfg(target_arch = "x86_64")]
impl Bf16Pairs for Vdpbf16ps {
    #[inline(always)]
    unsafe fn add<S: Simd>(total: S::F, a: S::F, b: S::F) -> S::F {
        use std::arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps};
        use std::mem::{transmute, transmute_copy};
        const { assert!(size_of::<S::F>() == size_of::<__m512>()) };
        let of = |x: &S::F| transmute_copy::<S::F, __m512>(x);
        let pairs = |x: &S::F| transmute::<__m512, __m512bh>(of(x));
        let sum = _mm512_dpbf16_ps(of(&total), pairs(&a), pairs(&b));
        transmute_copy::<__m512, S::F>(&sum)
    }
}

/// Keys and values of bf16, as pairs of dimensions and of positions; queries and weights are
/// rounded to bf16.
pub(super) struct Bf16Kv<D>(PhantomData<D>);

impl<D: Bf16Pairs> KvFormat for Bf16Kv<D> {
    const PACK: usize = 2;

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const u16) -> S::F {
        S::load(from.cast())
    }

    #[inline(always)]
    unsafe fn load_first<S: Simd>(from: *const u16) -> S::F {
        let mut first = from.cast::<[u32; LANES]>().read_unaligned();
        first.iter_mut().for_each(|bits| *bits &= 0xFFFF);
        S::load(first.as_ptr().cast())
    }

    #[inline(always)]
    unsafe fn add<S: Simd>(total: S::F, kept: S::F, other: S::F) -> S::F {
        D::add::<S>(total, kept, other)
    }

    #[inline(always)]
    unsafe fn interleave<S: Simd>(queries: *const f32, rows: usize, dim: usize, to: *mut f32) {
        let mut narrow = vec![0_u32; dim / 2];
        for row in 0..rows {
            for d in (0..dim).step_by(LANES) {
                let rounded = math::rounded_to_bf16::<S>(S::load(queries.add(row * dim + d)));
                S::store_upper(narrow.as_mut_ptr().cast::<u16>().add(d), rounded);
            }
            for (pair, bits) in narrow.iter().enumerate() {
                *to.cast::<u32>().add(pair * rows + row) = *bits;
            }
        }
    }

    #[inline(always)]
    unsafe fn pack<S: Simd>(weights: *mut f32) {
        for quarter in (0..KV_BLOCK_SIZE).step_by(LANES) {
            let rounded = math::rounded_to_bf16::<S>(S::load(weights.add(quarter)));
            S::store_upper(weights.cast::<u16>().add(quarter), rounded);
        }
    }
}
