//! Vectors without instruction set extensions: arrays and ordinary arithmetic, the reference for all others.

#![allow(unsafe_code)]
#![allow(clippy::missing_safety_doc)]

use half::f16;

use super::vector::{LANES, Simd};

/// Vectors as arrays.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

// SAFETY (all blocks of this file): the trait's contract guarantees pointers valid for all reads
// and writes, which are unaligned.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Plain {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type W = [u8; 64];
    type D = [i32; LANES];
    const ROWS: usize = 2;
    const WIDE_IS_CENTRED: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn prefetch(_from: *const u8) {}
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        unsafe { from.cast::<Self::F>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::F) {
        unsafe { to.cast::<Self::F>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self::F {
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        bits.map(|bits| f16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self::F {
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        bits.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }
    #[inline(always)]
    unsafe fn upper(a: Self::F) -> Self::F {
        a.map(|x| f32::from_bits(x.to_bits() & 0xFFFF_0000))
    }
    #[inline(always)]
    unsafe fn lower(a: Self::F) -> Self::F {
        a.map(|x| f32::from_bits(x.to_bits() << 16))
    }
    #[inline(always)]
    unsafe fn store_upper(to: *mut u16, a: Self::F) {
        let upper = a.map(|x| (x.to_bits() >> 16) as u16);
        unsafe { to.cast::<[u16; LANES]>().write_unaligned(upper) }
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self::F {
        unsafe { from.cast::<[u8; LANES]>().read_unaligned() }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self::F {
        unsafe { from.cast::<[i8; LANES]>().read_unaligned() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn select_less(a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F {
        std::array::from_fn(|i| if a[i] < b[i] { yes[i] } else { no[i] })
    }
    #[inline(always)]
    unsafe fn nan_or(a: Self::F, other: Self::F) -> Self::F {
        std::array::from_fn(|i| if a[i].is_nan() { a[i] } else { other[i] })
    }
    #[inline(always)]
    unsafe fn add_to_exponent(a: Self::F, n: Self::F) -> Self::F {
        std::array::from_fn(|i| f32::from_bits(a[i].to_bits().wrapping_add(n[i].to_bits() << 23)))
    }
    #[inline(always)]
    unsafe fn sum(a: Self::F) -> f32 {
        let a: [f32; 8] = std::array::from_fn(|i| a[i] + a[i + 8]);
        let a: [f32; 4] = std::array::from_fn(|i| a[i] + a[i + 4]);
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    unsafe fn largest(a: Self::F) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, |largest, x| if x > largest { x } else { largest })
    }

    #[inline(always)]
    unsafe fn int_splat(x: i32) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn int_add(a: Self::I, b: Self::I) -> Self::I {
        std::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::F {
        a.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn largest_bits(a: Self::F, b: Self::F) -> u32 {
        a.into_iter().chain(b).fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff))
    }
    #[inline(always)]
    unsafe fn round_scaled(a: Self::F, factor: Self::F) -> Self::I {
        std::array::from_fn(|i| (a[i] * factor[i]).round_ties_even() as i32)
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut i8, a: Self::I) {
        unsafe { to.cast::<[i8; LANES]>().write_unaligned(a.map(|x| x as i8)) }
    }

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> Self::W {
        unsafe { from.cast::<[u8; 64]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn low_nibbles(w: Self::W) -> Self::W {
        w.map(|byte| byte & 15)
    }
    #[inline(always)]
    unsafe fn high_nibbles(w: Self::W) -> Self::W {
        w.map(|byte| byte >> 4)
    }
    #[inline(always)]
    unsafe fn with_fifth_bit(w: Self::W, bits: *const u8) -> Self::W {
        let bits = u64::from_le_bytes(unsafe { bits.cast::<[u8; 8]>().read_unaligned() });
        std::array::from_fn(|i| w[i] + (((bits >> i) & 1) << 4) as u8)
    }
    #[inline(always)]
    unsafe fn with_two_bits<const PLACE: usize>(w: Self::W, plane: Self::W) -> Self::W {
        std::array::from_fn(|i| w[i] + (((plane[i] >> (2 * PLACE)) & 3) << 4))
    }
    #[inline(always)]
    unsafe fn dots_from(x: i32) -> Self::D {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn dot(total: Self::D, w: Self::W, x: *const i8) -> Self::D {
        let x = unsafe { x.cast::<[i8; 4]>().read_unaligned() };
        std::array::from_fn(|i| {
            (0..4).fold(total[i], |sum, j| sum + i32::from(w[4 * i + j]) * i32::from(x[j]))
        })
    }
    #[inline(always)]
    unsafe fn dot_wide(total: Self::D, w: Self::W, x: *const i8) -> Self::D {
        let x = unsafe { x.cast::<[i8; 4]>().read_unaligned() };
        std::array::from_fn(|i| {
            (0..4).fold(total[i], |sum, j| sum + (i32::from(w[4 * i + j]) - 128) * i32::from(x[j]))
        })
    }
    #[inline(always)]
    unsafe fn widen(total: Self::D) -> Self::D {
        total
    }
    #[inline(always)]
    unsafe fn sums_of_dots(total: Self::D) -> Self::I {
        total
    }
}
