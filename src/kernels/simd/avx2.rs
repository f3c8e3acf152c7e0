//! Sixteen lanes in two AVX2 registers, with and without the VNNI byte dot product.

#![allow(unsafe_code)]
// Each body is one or a few instructions under the trait's contract.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::x86_64::*;
use std::sync::atomic::{Ordering, compiler_fence};

use super::vector::Simd;

/// Two 256-bit registers.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// Two 256-bit registers and `vpdpbusd` on them.
#[derive(Clone, Copy)]
pub(crate) struct AvxVnni;

type F2 = [__m256; 2];
type I2 = [__m256i; 2];

/// Returns the sum of eight lanes, added pairwise, half to half.
#[inline(always)]
pub(crate) unsafe fn sum_of_eight(a: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// Returns the largest of eight lanes.
#[inline(always)]
pub(crate) unsafe fn largest_of_eight(a: __m256) -> f32 {
    let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

#[inline(always)]
pub(crate) unsafe fn largest_int_of_eight(a: __m256i) -> i32 {
    let four = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
    let two = _mm_max_epi32(four, _mm_shuffle_epi32::<0b1110>(four));
    _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32::<1>(two)))
}

/// Returns 16 in each byte whose bit is set, 0 in the others.
#[inline(always)]
unsafe fn sixteens(bits: u32) -> __m256i {
    let spread = _mm256_shuffle_epi8(
        _mm256_set1_epi32(bits as i32),
        _mm256_setr_epi8(
            0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3,
            3, 3, 3,
        ),
    );
    let place = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    let set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, place), place);
    _mm256_and_si256(set, _mm256_set1_epi8(16))
}

/// Sums of byte products in 32 bits, and further ones in sixteen: two to a lane.
#[derive(Clone, Copy)]
pub(crate) struct PairSums {
    wide: I2,
    pairs: I2,
}

/// Adds the pairs of each lane's sixteen-bit sums to its 32-bit sum.
#[inline(always)]
unsafe fn add_pairs(wide: __m256i, pairs: __m256i) -> __m256i {
    _mm256_add_epi32(wide, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

impl PairSums {
    #[inline(always)]
    unsafe fn from(x: i32) -> Self {
        Self { wide: [_mm256_set1_epi32(x); 2], pairs: [_mm256_setzero_si256(); 2] }
    }
    #[inline(always)]
    unsafe fn dot(self, w: I2, x: __m256i) -> Self {
        let add =
            |half: usize| _mm256_add_epi16(self.pairs[half], _mm256_maddubs_epi16(w[half], x));
        Self { pairs: [add(0), add(1)], ..self }
    }
    #[inline(always)]
    unsafe fn dot_wide(self, w: I2, x: __m256i) -> Self {
        // The weight's magnitude is at most 128 and its sign is applied to x, which is never -128:
        // 2 * 128 * 127 fits into the sixteen bits of a pair.
        let add = |half: usize| {
            let centred = _mm256_xor_si256(w[half], _mm256_set1_epi8(-128));
            let x = _mm256_sign_epi8(x, centred);
            _mm256_add_epi16(self.pairs[half], _mm256_maddubs_epi16(_mm256_abs_epi8(centred), x))
        };
        Self { pairs: [add(0), add(1)], ..self }
    }
    #[inline(always)]
    unsafe fn widen(self) -> Self {
        Self { wide: self.sums(), pairs: [_mm256_setzero_si256(); 2] }
    }
    #[inline(always)]
    unsafe fn sums(self) -> I2 {
        [add_pairs(self.wide[0], self.pairs[0]), add_pairs(self.wide[1], self.pairs[1])]
    }
}

/// Sums of byte products in 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct LaneSums(I2);

impl LaneSums {
    #[inline(always)]
    unsafe fn from(x: i32) -> Self {
        Self([_mm256_set1_epi32(x); 2])
    }
    /// # Safety
    /// The CPU has AVX-VNNI.
    #[inline(always)]
    unsafe fn dot(self, w: I2, x: __m256i) -> Self {
        let [first, second] = self.0;
        Self([_mm256_dpbusd_avx_epi32(first, w[0], x), _mm256_dpbusd_avx_epi32(second, w[1], x)])
    }
    #[inline(always)]
    unsafe fn dot_wide(self, w: I2, x: __m256i) -> Self {
        self.dot(w, x)
    }
    #[inline(always)]
    unsafe fn widen(self) -> Self {
        self
    }
    #[inline(always)]
    unsafe fn sums(self) -> I2 {
        self.0
    }
}

#[inline(always)]
unsafe fn bf16_half(from: *const u16) -> __m256 {
    let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
}

#[inline(always)]
unsafe fn lower_half(a: __m256) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(a)))
}

#[inline(always)]
unsafe fn exponent_half(a: __m256, n: __m256) -> __m256 {
    let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(n));
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), shifted))
}

#[inline(always)]
unsafe fn two_bits_half<const PLACE: usize>(w: __m256i, plane: __m256i) -> __m256i {
    let moved = match PLACE {
        0 => _mm256_slli_epi16::<4>(plane),
        1 => _mm256_slli_epi16::<2>(plane),
        2 => plane,
        _ => _mm256_srli_epi16::<2>(plane),
    };
    _mm256_or_si256(w, _mm256_and_si256(moved, _mm256_set1_epi8(0x30)))
}

macro_rules! two_registers {
    (
        $name:ident, rows $rows:literal, wide_is_centred $wide_is_centred:literal, $sums:ident
    ) => {
        // SAFETY (all functions): the trait's contract guarantees AVX2, FMA and F16C (and
        // AVX-VNNI), and pointers valid for the unaligned loads and stores.
        impl Simd for $name {
            type F = F2;
            type I = I2;
            type W = I2;
            type D = $sums;
            const ROWS: usize = $rows;
            const WIDE_IS_CENTRED: bool = $wide_is_centred;

            #[inline(always)]
            unsafe fn splat(x: f32) -> F2 {
                [_mm256_set1_ps(x); 2]
            }
            #[inline(always)]
            unsafe fn prefetch(from: *const u8) {
                _mm_prefetch::<_MM_HINT_T0>(from.cast());
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> F2 {
                [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))]
            }
            #[inline(always)]
            unsafe fn store(to: *mut f32, x: F2) {
                _mm256_storeu_ps(to, x[0]);
                _mm256_storeu_ps(to.add(8), x[1]);
            }
            #[inline(always)]
            unsafe fn load_f16(from: *const u16) -> F2 {
                [
                    _mm256_cvtph_ps(_mm_loadu_si128(from.cast())),
                    _mm256_cvtph_ps(_mm_loadu_si128(from.add(8).cast())),
                ]
            }
            #[inline(always)]
            unsafe fn load_bf16(from: *const u16) -> F2 {
                [bf16_half(from), bf16_half(from.add(8))]
            }
            #[inline(always)]
            unsafe fn upper(a: F2) -> F2 {
                let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0xFFFF_0000_u32 as i32));
                [_mm256_and_ps(a[0], mask), _mm256_and_ps(a[1], mask)]
            }
            #[inline(always)]
            unsafe fn lower(a: F2) -> F2 {
                [lower_half(a[0]), lower_half(a[1])]
            }
            #[inline(always)]
            unsafe fn store_upper(to: *mut u16, a: F2) {
                let upper = |a| _mm256_srli_epi32::<16>(_mm256_castps_si256(a));
                // The instruction packs 128 bits at a time, so the middle quarters are swapped
                // afterwards.
                let packed = _mm256_packus_epi32(upper(a[0]), upper(a[1]));
                let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
                _mm256_storeu_si256(to.cast(), packed);
            }
            #[inline(always)]
            unsafe fn load_u8(from: *const u8) -> F2 {
                let all = _mm_loadu_si128(from.cast());
                let high = _mm_unpackhi_epi64(all, all);
                [
                    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(all)),
                    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(high)),
                ]
            }
            #[inline(always)]
            unsafe fn load_i8(from: *const i8) -> F2 {
                let all = _mm_loadu_si128(from.cast());
                let high = _mm_unpackhi_epi64(all, all);
                [
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high)),
                ]
            }

            #[inline(always)]
            unsafe fn add(a: F2, b: F2) -> F2 {
                [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
            }
            #[inline(always)]
            unsafe fn sub(a: F2, b: F2) -> F2 {
                [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])]
            }
            #[inline(always)]
            unsafe fn mul(a: F2, b: F2) -> F2 {
                [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
            }
            #[inline(always)]
            unsafe fn div(a: F2, b: F2) -> F2 {
                [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])]
            }
            #[inline(always)]
            unsafe fn fma(a: F2, b: F2, c: F2) -> F2 {
                [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])]
            }
            #[inline(always)]
            unsafe fn max(a: F2, b: F2) -> F2 {
                [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])]
            }
            #[inline(always)]
            unsafe fn select_less(a: F2, b: F2, yes: F2, no: F2) -> F2 {
                let first = _mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0]);
                let second = _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1]);
                [_mm256_blendv_ps(no[0], yes[0], first), _mm256_blendv_ps(no[1], yes[1], second)]
            }
            #[inline(always)]
            unsafe fn nan_or(a: F2, other: F2) -> F2 {
                let first = _mm256_cmp_ps::<_CMP_UNORD_Q>(a[0], a[0]);
                let second = _mm256_cmp_ps::<_CMP_UNORD_Q>(a[1], a[1]);
                [_mm256_blendv_ps(other[0], a[0], first), _mm256_blendv_ps(other[1], a[1], second)]
            }
            #[inline(always)]
            unsafe fn add_to_exponent(a: F2, n: F2) -> F2 {
                [exponent_half(a[0], n[0]), exponent_half(a[1], n[1])]
            }
            #[inline(always)]
            unsafe fn sum(a: F2) -> f32 {
                sum_of_eight(_mm256_add_ps(a[0], a[1]))
            }
            #[inline(always)]
            unsafe fn largest(a: F2) -> f32 {
                largest_of_eight(_mm256_max_ps(a[0], a[1]))
            }

            #[inline(always)]
            unsafe fn int_splat(x: i32) -> I2 {
                [_mm256_set1_epi32(x); 2]
            }
            #[inline(always)]
            unsafe fn int_add(a: I2, b: I2) -> I2 {
                [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
            }
            #[inline(always)]
            unsafe fn to_float(a: I2) -> F2 {
                [_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])]
            }
            #[inline(always)]
            unsafe fn largest_bits(a: F2, b: F2) -> u32 {
                let sign_off = _mm256_set1_epi32(0x7fff_ffff);
                let mut larger = _mm256_setzero_si256();
                for x in [a[0], a[1], b[0], b[1]] {
                    let bits = _mm256_and_si256(_mm256_castps_si256(x), sign_off);
                    larger = _mm256_max_epi32(larger, bits);
                }
                largest_int_of_eight(larger) as u32
            }
            #[inline(always)]
            unsafe fn round_scaled(a: F2, factor: F2) -> I2 {
                let scaled = Self::mul(a, factor);
                [_mm256_cvtps_epi32(scaled[0]), _mm256_cvtps_epi32(scaled[1])]
            }
            #[inline(always)]
            unsafe fn store_bytes(to: *mut i8, a: I2) {
                let words = _mm256_packs_epi32(a[0], a[1]);
                let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
                let (low, high) =
                    (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                _mm_storeu_si128(to.cast(), _mm_packs_epi16(low, high));
            }

            #[inline(always)]
            unsafe fn bytes(from: *const u8) -> I2 {
                [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
            }
            #[inline(always)]
            unsafe fn low_nibbles(w: I2) -> I2 {
                let mask = _mm256_set1_epi8(15);
                [_mm256_and_si256(w[0], mask), _mm256_and_si256(w[1], mask)]
            }
            #[inline(always)]
            unsafe fn high_nibbles(w: I2) -> I2 {
                Self::low_nibbles([_mm256_srli_epi16::<4>(w[0]), _mm256_srli_epi16::<4>(w[1])])
            }
            #[inline(always)]
            unsafe fn with_fifth_bit(w: I2, bits: *const u8) -> I2 {
                let first = sixteens(bits.cast::<u32>().read_unaligned());
                let second = sixteens(bits.add(4).cast::<u32>().read_unaligned());
                [_mm256_or_si256(w[0], first), _mm256_or_si256(w[1], second)]
            }
            #[inline(always)]
            unsafe fn with_two_bits<const PLACE: usize>(w: I2, plane: I2) -> I2 {
                [two_bits_half::<PLACE>(w[0], plane[0]), two_bits_half::<PLACE>(w[1], plane[1])]
            }
            #[inline(always)]
            unsafe fn dots_from(x: i32) -> $sums {
                $sums::from(x)
            }
            #[inline(always)]
            unsafe fn dot(total: $sums, w: I2, x: *const i8) -> $sums {
                total.dot(w, _mm256_set1_epi32(x.cast::<i32>().read_unaligned()))
            }
            #[inline(always)]
            unsafe fn keep_order() {
                compiler_fence(Ordering::SeqCst);
            }
            #[inline(always)]
            unsafe fn dot_wide(total: $sums, w: I2, x: *const i8) -> $sums {
                total.dot_wide(w, _mm256_set1_epi32(x.cast::<i32>().read_unaligned()))
            }
            #[inline(always)]
            unsafe fn widen(total: $sums) -> $sums {
                total.widen()
            }
            #[inline(always)]
            unsafe fn sums_of_dots(total: $sums) -> I2 {
                total.sums()
            }
        }
    };
}

two_registers!(Avx2, rows 4, wide_is_centred true, PairSums);
two_registers!(AvxVnni, rows 2, wide_is_centred false, LaneSums);
