//! Products with keys and values of bf16, two at a time, into sums of f32.
//!
//! For each pair, the second number's product is added to the sum, which is rounded, then the first
//! number's product, as `vdpbf16ps` does. A product of two bf16 is exact in f32, so other
//! instruction sets get the same bits by two multiply-adds. `vdpbf16ps` treats subnormal numbers as
//! zero. Numbers below 2^-45 are therefore rounded to zero in bf16: then neither a product nor a
//! difference of sums of products can be subnormal.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `Simd` and `Products`.
#![allow(unsafe_op_in_unsafe_fn)]

use std::marker::PhantomData;

use super::RUN;
use super::products::Products;
use crate::simd::{LANES, Simd, math};

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

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{is_native, native};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps};
    use std::mem::{transmute, transmute_copy};

    use super::{Bf16Pairs, Brain};
    use crate::Tier;
    use crate::attention::tile::{AttentionUnit, all_runs};
    use crate::simd::{Avx512Vnni, Simd};
    use crate::tier::Set;

    /// The version that uses `vdpbf16ps`.
    struct Native;

    impl Bf16Pairs for Native {
        #[inline(always)]
        unsafe fn add<S: Simd>(total: S::F, a: S::F, b: S::F) -> S::F {
            const { assert!(size_of::<S::F>() == size_of::<__m512>()) };
            let of = |x: &S::F| transmute_copy::<S::F, __m512>(x);
            let pairs = |x: &S::F| transmute::<__m512, __m512bh>(of(x));
            let sum = _mm512_dpbf16_ps(of(&total), pairs(&a), pairs(&b));
            transmute_copy::<__m512, S::F>(&sum)
        }
    }

    /// Whether the CPU has the instruction and `tier` uses vectors of 512 bits.
    pub(in crate::attention) fn is_native(tier: Tier) -> bool {
        tier.0 == Set::Avx512Vnni && is_x86_feature_detected!("avx512bf16")
    }

    /// # Safety
    /// [`is_native`] is true, and the contract of [`attend_runs`](super::super::tile::attend_runs)
    /// holds.
    #[target_feature(
        enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c"
    )]
    pub(in crate::attention) unsafe fn native(
        unit: &AttentionUnit<'_>,
        first_run: usize,
        n_runs: usize,
        states: &mut [f32],
    ) {
        all_runs::<Avx512Vnni, Brain<Native>>(unit, first_run, n_runs, states);
    }
}

/// Keys and values of bf16, as pairs of dimensions and of positions; queries and weights are
/// rounded to bf16.
pub(super) struct Brain<D>(PhantomData<D>);

impl<D: Bf16Pairs> Products for Brain<D> {
    const EACH: usize = 2;

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
    unsafe fn ready<S: Simd>(weights: *mut f32) {
        for quarter in (0..RUN).step_by(LANES) {
            let rounded = math::rounded_to_bf16::<S>(S::load(weights.add(quarter)));
            S::store_upper(weights.cast::<u16>().add(quarter), rounded);
        }
    }
}
