//! Sixteen lanes in four NEON registers, with the signed byte dot product.

#![allow(unsafe_code)]
// Each body is a few instructions under the trait's contract.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::vector::Simd;

/// Four 128-bit registers.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

type F4 = [float32x4_t; 4];
type I4 = [int32x4_t; 4];
type W4 = [uint8x16_t; 4];

macro_rules! four {
    ($i:ident => $value:expr) => {{
        let quarter = {
            let $i = 0;
            $value
        };
        let mut all = [quarter; 4];
        {
            let $i = 1;
            all[1] = $value;
        }
        {
            let $i = 2;
            all[2] = $value;
        }
        {
            let $i = 3;
            all[3] = $value;
        }
        all
    }};
}

/// Converts four f16 to f32 by `fcvtl`, whose intrinsic requires an unstable type.
#[inline(always)]
unsafe fn half_to_float(bits: uint16x4_t) -> float32x4_t {
    let wide: float32x4_t;
    asm!(
        "fcvtl {wide:v}.4s, {bits:v}.4h",
        wide = lateout(vreg) wide,
        bits = in(vreg) bits,
        options(pure, nomem, nostack, preserves_flags)
    );
    wide
}

/// Adds the products of groups of four signed bytes to `total`; the intrinsic is unstable.
#[inline(always)]
unsafe fn dot_signed(total: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    let mut sum = total;
    asm!(
        "sdot {sum:v}.4s, {w:v}.16b, {x:v}.16b",
        sum = inout(vreg) sum,
        w = in(vreg) w,
        x = in(vreg) x,
        options(pure, nomem, nostack, preserves_flags)
    );
    sum
}

#[inline(always)]
unsafe fn widen_bytes(low: int16x8_t, high: int16x8_t) -> F4 {
    [
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
        vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
        vcvtq_f32_s32(vmovl_s16(vget_high_s16(high))),
    ]
}

/// Returns 16 in each byte whose bit is set, 0 in the others.
#[inline(always)]
unsafe fn sixteens(bits: *const u8) -> uint8x16_t {
    const PLACE: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    let spread = vcombine_u8(vdup_n_u8(*bits), vdup_n_u8(*bits.add(1)));
    vandq_u8(vtstq_u8(spread, vld1q_u8(PLACE.as_ptr())), vdupq_n_u8(16))
}

#[inline(always)]
unsafe fn greater_or_second(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgtq_f32(a, b), a, b)
}

// SAFETY (all functions of this file): the trait's contract guarantees NEON with dot products, and
// pointers valid for the loads and stores.
impl Simd for Neon {
    type F = F4;
    type I = I4;
    type W = W4;
    type D = I4;
    const ROWS: usize = 2;
    const WIDE_IS_CENTRED: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> F4 {
        [vdupq_n_f32(x); 4]
    }
    #[inline(always)]
    unsafe fn prefetch(_from: *const u8) {}
    #[inline(always)]
    unsafe fn load(from: *const f32) -> F4 {
        four!(i => vld1q_f32(from.add(4 * i)))
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: F4) {
        for (i, x) in x.into_iter().enumerate() {
            vst1q_f32(to.add(4 * i), x);
        }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> F4 {
        four!(i => half_to_float(vld1_u16(from.add(4 * i))))
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> F4 {
        four!(i => vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(from.add(4 * i)))))
    }
    #[inline(always)]
    unsafe fn upper(a: F4) -> F4 {
        let mask = vdupq_n_u32(0xFFFF_0000);
        four!(i => vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a[i]), mask)))
    }
    #[inline(always)]
    unsafe fn lower(a: F4) -> F4 {
        four!(i => vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_f32(a[i]))))
    }
    #[inline(always)]
    unsafe fn store_upper(to: *mut u16, a: F4) {
        for (i, a) in a.into_iter().enumerate() {
            vst1_u16(to.add(4 * i), vshrn_n_u32::<16>(vreinterpretq_u32_f32(a)));
        }
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> F4 {
        let all = vld1q_u8(from);
        let low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(all)));
        let high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(all)));
        widen_bytes(low, high)
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> F4 {
        let all = vld1q_s8(from);
        widen_bytes(vmovl_s8(vget_low_s8(all)), vmovl_s8(vget_high_s8(all)))
    }

    #[inline(always)]
    unsafe fn add(a: F4, b: F4) -> F4 {
        four!(i => vaddq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn sub(a: F4, b: F4) -> F4 {
        four!(i => vsubq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn mul(a: F4, b: F4) -> F4 {
        four!(i => vmulq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn div(a: F4, b: F4) -> F4 {
        four!(i => vdivq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn fma(a: F4, b: F4, c: F4) -> F4 {
        four!(i => vfmaq_f32(c[i], a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn max(a: F4, b: F4) -> F4 {
        four!(i => greater_or_second(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn select_less(a: F4, b: F4, yes: F4, no: F4) -> F4 {
        four!(i => vbslq_f32(vcltq_f32(a[i], b[i]), yes[i], no[i]))
    }
    #[inline(always)]
    unsafe fn nan_or(a: F4, other: F4) -> F4 {
        four!(i => vbslq_f32(vceqq_f32(a[i], a[i]), other[i], a[i]))
    }
    #[inline(always)]
    unsafe fn add_to_exponent(a: F4, n: F4) -> F4 {
        four!(i => vreinterpretq_f32_s32(vaddq_s32(
            vreinterpretq_s32_f32(a[i]),
            vshlq_n_s32::<23>(vreinterpretq_s32_f32(n[i])),
        )))
    }
    #[inline(always)]
    unsafe fn sum(a: F4) -> f32 {
        let four = vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]));
        let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
    }
    #[inline(always)]
    unsafe fn largest(a: F4) -> f32 {
        let four = greater_or_second(greater_or_second(a[0], a[2]), greater_or_second(a[1], a[3]));
        let mut lanes = [0.0; 4];
        vst1q_f32(lanes.as_mut_ptr(), four);
        lanes
            .into_iter()
            .fold(f32::NEG_INFINITY, |largest, x| if x > largest { x } else { largest })
    }

    #[inline(always)]
    unsafe fn int_splat(x: i32) -> I4 {
        [vdupq_n_s32(x); 4]
    }
    #[inline(always)]
    unsafe fn int_add(a: I4, b: I4) -> I4 {
        four!(i => vaddq_s32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn to_float(a: I4) -> F4 {
        four!(i => vcvtq_f32_s32(a[i]))
    }
    #[inline(always)]
    unsafe fn largest_bits(a: F4, b: F4) -> u32 {
        let bits = four!(i => vmaxq_u32(
            vandq_u32(vreinterpretq_u32_f32(a[i]), vdupq_n_u32(0x7fff_ffff)),
            vandq_u32(vreinterpretq_u32_f32(b[i]), vdupq_n_u32(0x7fff_ffff)),
        ));
        vmaxvq_u32(vmaxq_u32(vmaxq_u32(bits[0], bits[1]), vmaxq_u32(bits[2], bits[3])))
    }
    #[inline(always)]
    unsafe fn round_scaled(a: F4, factor: F4) -> I4 {
        four!(i => vcvtnq_s32_f32(vmulq_f32(a[i], factor[i])))
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut i8, a: I4) {
        let low = vcombine_s16(vmovn_s32(a[0]), vmovn_s32(a[1]));
        let high = vcombine_s16(vmovn_s32(a[2]), vmovn_s32(a[3]));
        vst1q_s8(to, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
    }

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> W4 {
        four!(i => vld1q_u8(from.add(16 * i)))
    }
    #[inline(always)]
    unsafe fn low_nibbles(w: W4) -> W4 {
        four!(i => vandq_u8(w[i], vdupq_n_u8(15)))
    }
    #[inline(always)]
    unsafe fn high_nibbles(w: W4) -> W4 {
        four!(i => vshrq_n_u8::<4>(w[i]))
    }
    #[inline(always)]
    unsafe fn with_fifth_bit(w: W4, bits: *const u8) -> W4 {
        four!(i => vorrq_u8(w[i], sixteens(bits.add(2 * i))))
    }
    #[inline(always)]
    unsafe fn with_two_bits<const PLACE: usize>(w: W4, plane: W4) -> W4 {
        let moved = match PLACE {
            0 => four!(i => vshlq_n_u8::<4>(plane[i])),
            1 => four!(i => vshlq_n_u8::<2>(plane[i])),
            2 => plane,
            _ => four!(i => vshrq_n_u8::<2>(plane[i])),
        };
        four!(i => vorrq_u8(w[i], vandq_u8(moved[i], vdupq_n_u8(0x30))))
    }
    #[inline(always)]
    unsafe fn dots_from(x: i32) -> I4 {
        [vdupq_n_s32(x); 4]
    }
    #[inline(always)]
    unsafe fn dot(total: I4, w: W4, x: *const i8) -> I4 {
        let x = vreinterpretq_s8_s32(vdupq_n_s32(x.cast::<i32>().read_unaligned()));
        four!(i => dot_signed(total[i], vreinterpretq_s8_u8(w[i]), x))
    }
    #[inline(always)]
    unsafe fn dot_wide(total: I4, w: W4, x: *const i8) -> I4 {
        Self::dot(total, four!(i => veorq_u8(w[i], vdupq_n_u8(128))), x)
    }
    #[inline(always)]
    unsafe fn widen(total: I4) -> I4 {
        total
    }
    #[inline(always)]
    unsafe fn sums_of_dots(total: I4) -> I4 {
        total
    }
}
