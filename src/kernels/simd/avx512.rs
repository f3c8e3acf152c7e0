//! Sixteen lanes in one AVX-512 register, with the VNNI byte dot product.

#![allow(unsafe_code)]
// Each body is one or a few instructions under the trait's contract.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::x86_64::*;

use super::vector::Simd;

/// One 512-bit register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Vnni;

#[inline(always)]
unsafe fn upper(a: __m512) -> __m256 {
    _mm512_extractf32x8_ps::<1>(a)
}

#[inline(always)]
unsafe fn larger_int(a: __m512, b: __m512) -> __m512 {
    _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)))
}

/// Reduces the lanes of each of eight vectors to one, half with half; each step combines two
/// vectors into one.
macro_rules! fold_eight {
    ($a:expr, $op:ident) => {{
        let a: [__m512; 8] = $a;
        let mut four = [a[0]; 4];
        for i in 0..4 {
            let (x, y) = (a[2 * i], a[2 * i + 1]);
            four[i] = $op(
                _mm512_shuffle_f32x4::<0b01_00_01_00>(x, y),
                _mm512_shuffle_f32x4::<0b11_10_11_10>(x, y),
            );
        }
        let mut two = [a[0]; 2];
        for i in 0..2 {
            let (x, y) = (four[2 * i], four[2 * i + 1]);
            two[i] = $op(
                _mm512_shuffle_f32x4::<0b10_00_10_00>(x, y),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(x, y),
            );
        }
        let x = _mm512_castps_pd(two[0]);
        let y = _mm512_castps_pd(two[1]);
        let one = $op(
            _mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)),
        );
        let one = $op(one, _mm512_permute_ps::<0b10_11_00_01>(one));
        // Vector `i` is now in element 0 of quarter `i`, vector `i + 4` in its element 2.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
        _mm512_castps512_ps256(_mm512_permutexvar_ps(order, one))
    }};
}

// SAFETY (all functions of this file): the trait's contract guarantees AVX-512 F, BW, DQ, VL, VNNI,
// AVX2, FMA and F16C, and pointers valid for the unaligned loads and stores.
impl Simd for Avx512Vnni {
    type F = __m512;
    type I = __m512i;
    type W = __m512i;
    type D = __m512i;
    const ROWS: usize = 8;
    const WIDE_IS_CENTRED: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        _mm512_set1_ps(x)
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        _mm_prefetch::<_MM_HINT_T0>(from.cast());
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        _mm512_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::F) {
        _mm512_storeu_ps(to, x);
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self::F {
        _mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self::F {
        let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
    }
    #[inline(always)]
    unsafe fn upper(a: Self::F) -> Self::F {
        let mask = _mm512_set1_epi32(0xFFFF_0000_u32 as i32);
        _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a), mask))
    }
    #[inline(always)]
    unsafe fn lower(a: Self::F) -> Self::F {
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(a)))
    }
    #[inline(always)]
    unsafe fn store_upper(to: *mut u16, a: Self::F) {
        let upper = _mm512_srli_epi32::<16>(_mm512_castps_si512(a));
        _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(upper));
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self::F {
        _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())))
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self::F {
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())))
    }

    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        _mm512_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        _mm512_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        _mm512_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        _mm512_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        _mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        _mm512_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn select_less(a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F {
        _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes)
    }
    #[inline(always)]
    unsafe fn nan_or(a: Self::F, other: Self::F) -> Self::F {
        _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), other, a)
    }
    #[inline(always)]
    unsafe fn add_to_exponent(a: Self::F, n: Self::F) -> Self::F {
        let shifted = _mm512_slli_epi32::<23>(_mm512_castps_si512(n));
        _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), shifted))
    }
    #[inline(always)]
    unsafe fn sum(a: Self::F) -> f32 {
        let eight = _mm256_add_ps(_mm512_castps512_ps256(a), upper(a));
        super::avx2::sum_of_eight(eight)
    }
    #[inline(always)]
    unsafe fn sums(a: [Self::F; 8]) -> [f32; 8] {
        let mut sums = [0.0; 8];
        _mm256_storeu_ps(sums.as_mut_ptr(), fold_eight!(a, _mm512_add_ps));
        sums
    }
    #[inline(always)]
    unsafe fn largest_of_each(a: [Self::F; 8]) -> [f32; 8] {
        let mut largest = [0.0; 8];
        _mm256_storeu_ps(largest.as_mut_ptr(), fold_eight!(a, _mm512_max_ps));
        largest
    }
    #[inline(always)]
    unsafe fn largest(a: Self::F) -> f32 {
        let eight = _mm256_max_ps(_mm512_castps512_ps256(a), upper(a));
        super::avx2::largest_of_eight(eight)
    }

    #[inline(always)]
    unsafe fn int_splat(x: i32) -> Self::I {
        _mm512_set1_epi32(x)
    }
    #[inline(always)]
    unsafe fn int_add(a: Self::I, b: Self::I) -> Self::I {
        _mm512_add_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::F {
        _mm512_cvtepi32_ps(a)
    }
    #[inline(always)]
    unsafe fn largest_bits(a: Self::F, b: Self::F) -> u32 {
        let sign_off = _mm512_set1_epi32(0x7fff_ffff);
        let a = _mm512_and_si512(_mm512_castps_si512(a), sign_off);
        let b = _mm512_and_si512(_mm512_castps_si512(b), sign_off);
        let larger = _mm512_max_epi32(a, b);
        let upper = _mm512_extracti64x4_epi64::<1>(larger);
        let eight = _mm256_max_epi32(_mm512_castsi512_si256(larger), upper);
        super::avx2::largest_int_of_eight(eight) as u32
    }
    #[inline(always)]
    unsafe fn largest_bits_of_eight(x: *const f32, stride: usize) -> [u32; 8] {
        let sign_off = _mm512_set1_ps(f32::from_bits(0x7fff_ffff));
        let mut rows = [_mm512_setzero_ps(); 8];
        for (row, larger) in rows.iter_mut().enumerate() {
            let x = x.add(row * stride);
            let a = _mm512_and_ps(_mm512_loadu_ps(x), sign_off);
            *larger = larger_int(a, _mm512_and_ps(_mm512_loadu_ps(x.add(16)), sign_off));
        }
        let mut largest = [0; 8];
        _mm256_storeu_ps(largest.as_mut_ptr().cast(), fold_eight!(rows, larger_int));
        largest
    }
    #[inline(always)]
    unsafe fn round_scaled(a: Self::F, factor: Self::F) -> Self::I {
        _mm512_cvtps_epi32(_mm512_mul_ps(a, factor))
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut i8, a: Self::I) {
        _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(a));
    }
    #[inline(always)]
    unsafe fn round_eight(
        to: *mut i8,
        x: *const f32,
        stride: usize,
        factors: &[f32; 8],
    ) -> [[i32; 8]; 2] {
        // Takes quarters of the first rows' and of the last rows' vectors in turn.
        let first_two = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
        let last_two = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
        let ones = _mm512_set1_epi8(1);
        let mut sums = [[0; 8]; 2];
        for (half, sums) in sums.iter_mut().enumerate() {
            // Each quarter, a group of four columns, holds the four bytes of each of four rows.
            let mut fours = [ones; 2];
            for (side, fours) in fours.iter_mut().enumerate() {
                let mut rows = [ones; 4];
                for (i, rounded) in rows.iter_mut().enumerate() {
                    let row = 4 * side + i;
                    let x = _mm512_loadu_ps(x.add(row * stride + half * 16));
                    *rounded = Self::round_scaled(x, _mm512_set1_ps(factors[row]));
                }
                *fours = _mm512_packs_epi16(
                    _mm512_packs_epi32(rows[0], rows[1]),
                    _mm512_packs_epi32(rows[2], rows[3]),
                );
            }
            let first = _mm512_permutex2var_epi64(fours[0], first_two, fours[1]);
            let last = _mm512_permutex2var_epi64(fours[0], last_two, fours[1]);
            let to = to.add(half * 128);
            _mm512_storeu_si512(to.cast(), first);
            _mm512_storeu_si512(to.add(64).cast(), last);
            let all = _mm512_dpbusd_epi32(_mm512_setzero_si512(), ones, first);
            let all = _mm512_dpbusd_epi32(all, ones, last);
            let upper = _mm512_extracti64x4_epi64::<1>(all);
            let eight = _mm256_add_epi32(_mm512_castsi512_si256(all), upper);
            _mm256_storeu_si256(sums.as_mut_ptr().cast(), eight);
        }
        sums
    }

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> Self::W {
        _mm512_loadu_si512(from.cast())
    }
    #[inline(always)]
    unsafe fn low_nibbles(w: Self::W) -> Self::W {
        _mm512_and_si512(w, _mm512_set1_epi8(15))
    }
    #[inline(always)]
    unsafe fn high_nibbles(w: Self::W) -> Self::W {
        _mm512_and_si512(_mm512_srli_epi16::<4>(w), _mm512_set1_epi8(15))
    }
    #[inline(always)]
    unsafe fn with_fifth_bit(w: Self::W, bits: *const u8) -> Self::W {
        let mask = bits.cast::<u64>().read_unaligned();
        _mm512_mask_add_epi8(w, mask, w, _mm512_set1_epi8(16))
    }
    #[inline(always)]
    unsafe fn with_two_bits<const PLACE: usize>(w: Self::W, plane: Self::W) -> Self::W {
        let moved = match PLACE {
            0 => _mm512_slli_epi16::<4>(plane),
            1 => _mm512_slli_epi16::<2>(plane),
            2 => plane,
            _ => _mm512_srli_epi16::<2>(plane),
        };
        _mm512_or_si512(w, _mm512_and_si512(moved, _mm512_set1_epi8(0x30)))
    }
    #[inline(always)]
    unsafe fn dots_from(x: i32) -> Self::D {
        _mm512_set1_epi32(x)
    }
    #[inline(always)]
    unsafe fn dot(total: Self::D, w: Self::W, x: *const i8) -> Self::D {
        _mm512_dpbusd_epi32(total, w, _mm512_set1_epi32(x.cast::<i32>().read_unaligned()))
    }
    #[inline(always)]
    unsafe fn dot_wide(total: Self::D, w: Self::W, x: *const i8) -> Self::D {
        Self::dot(total, w, x)
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
