//! The operations that every instruction set implements.

#![allow(unsafe_code)]

/// Lanes of every vector.
pub(crate) const LANES: usize = 16;

/// Operations on sixteen lanes.
///
/// # Safety
/// The CPU supports the implementation's instruction set, and pointers are valid for the sixteen
/// elements (or 64 bytes) that a function reads or writes. No function requires alignment.
pub(crate) trait Simd: Copy + 'static {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen `i32`.
    type I: Copy;
    /// 64 bytes: four columns of sixteen channels.
    type W: Copy;
    /// Sixteen sums of byte products, which may be kept in sixteen bits until [`Simd::widen`].
    type D: Copy;
    /// Maximum number of rows of a register tile; a power of two.
    const ROWS: usize;
    /// Whether [`Simd::dot_wide`] subtracts 128 from each weight itself.
    const WIDE_IS_CENTRED: bool;

    unsafe fn splat(x: f32) -> Self::F;
    /// Prefetches the cache line at `from`, which may lie outside of any allocation.
    unsafe fn prefetch(from: *const u8);
    unsafe fn load(from: *const f32) -> Self::F;
    unsafe fn store(to: *mut f32, x: Self::F);
    unsafe fn load_f16(from: *const u16) -> Self::F;
    unsafe fn load_bf16(from: *const u16) -> Self::F;
    /// Clears the lower half of each lane's bits, which leaves the second bf16 of each pair.
    unsafe fn upper(a: Self::F) -> Self::F;
    /// Moves the lower half of each lane's bits to the upper half: the first bf16 of each pair.
    unsafe fn lower(a: Self::F) -> Self::F;
    /// Stores the upper halves of the lanes, contiguously.
    unsafe fn store_upper(to: *mut u16, a: Self::F);
    unsafe fn load_u8(from: *const u8) -> Self::F;
    unsafe fn load_i8(from: *const i8) -> Self::F;

    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger; `b` if either is NaN.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    /// `yes` if `a < b`, else `no`; `no` if either is NaN.
    unsafe fn select_less(a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F;
    /// `a` if it is NaN, else `other`.
    unsafe fn nan_or(a: Self::F, other: Self::F) -> Self::F;
    /// Adds the low bits of `n`, shifted into the exponent, to `a`. This is `a * 2^n` if `n` holds
    /// an integer in its low mantissa bits and the result stays normal.
    unsafe fn add_to_exponent(a: Self::F, n: Self::F) -> Self::F;
    /// Sum of the lanes, added pairwise, half to half.
    unsafe fn sum(a: Self::F) -> f32;
    /// [`Simd::sum`] of each vector.
    #[inline(always)]
    unsafe fn sums(a: [Self::F; 8]) -> [f32; 8] {
        let mut sums = [0.0; 8];
        for (sum, a) in sums.iter_mut().zip(a) {
            *sum = unsafe { Self::sum(a) };
        }
        sums
    }
    /// Largest lane; any lane if one is NaN.
    unsafe fn largest(a: Self::F) -> f32;
    /// [`Simd::largest`] of each vector; the sign of a zero may differ.
    #[inline(always)]
    unsafe fn largest_of_each(a: [Self::F; 8]) -> [f32; 8] {
        let mut largest = [0.0; 8];
        for (largest, a) in largest.iter_mut().zip(a) {
            *largest = unsafe { Self::largest(a) };
        }
        largest
    }

    unsafe fn int_splat(x: i32) -> Self::I;
    unsafe fn int_add(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn to_float(a: Self::I) -> Self::F;
    /// Largest bit pattern of all lanes without their signs. NaN is above infinity, infinity above
    /// all finite numbers.
    unsafe fn largest_bits(a: Self::F, b: Self::F) -> u32;
    /// [`Simd::largest_bits`] of eight rows of 32 numbers, the first at `x`, `stride` apart.
    #[inline(always)]
    unsafe fn largest_bits_of_eight(x: *const f32, stride: usize) -> [u32; 8] {
        let mut largest = [0; 8];
        for (row, largest) in largest.iter_mut().enumerate() {
            unsafe {
                let x = x.add(row * stride);
                *largest = Self::largest_bits(Self::load(x), Self::load(x.add(LANES)));
            }
        }
        largest
    }
    /// `a * factor` rounded to the nearest integer, ties to even.
    unsafe fn round_scaled(a: Self::F, factor: Self::F) -> Self::I;
    /// Stores the lanes, which are in -128..=127, as sixteen bytes.
    unsafe fn store_bytes(to: *mut i8, a: Self::I);
    /// Rounds eight rows of 32 numbers, `stride` apart, each times its row's factor (products from
    /// -127.5 to 127.5), and stores 256 bytes: for each four columns, the four bytes of each row.
    /// Returns the sums of each row's first and second sixteen bytes.
    #[inline(always)]
    unsafe fn round_eight(
        to: *mut i8,
        x: *const f32,
        stride: usize,
        factors: &[f32; 8],
    ) -> [[i32; 8]; 2] {
        let mut sums = [[0; 8]; 2];
        for (row, &factor) in factors.iter().enumerate() {
            for (half, sums) in sums.iter_mut().enumerate() {
                let mut bytes = [0_i8; LANES];
                unsafe {
                    let x = Self::load(x.add(row * stride + half * LANES));
                    let rounded = Self::round_scaled(x, Self::splat(factor));
                    Self::store_bytes(bytes.as_mut_ptr(), rounded);
                    for (group, four) in bytes.as_chunks::<4>().0.iter().enumerate() {
                        let at = to.add(((4 * half + group) * 8 + row) * 4);
                        at.cast::<[i8; 4]>().write_unaligned(*four);
                    }
                }
                sums[row] = bytes.iter().map(|byte| i32::from(*byte)).sum();
            }
        }
        sums
    }

    unsafe fn bytes(from: *const u8) -> Self::W;
    unsafe fn low_nibbles(w: Self::W) -> Self::W;
    unsafe fn high_nibbles(w: Self::W) -> Self::W;
    /// Adds 16 to each byte whose bit is set among the 64 at `bits`.
    unsafe fn with_fifth_bit(w: Self::W, bits: *const u8) -> Self::W;
    /// Adds 16 times the two bits at `2 * PLACE` of each byte of `plane`.
    unsafe fn with_two_bits<const PLACE: usize>(w: Self::W, plane: Self::W) -> Self::W;
    /// Sums that begin at `x`.
    unsafe fn dots_from(x: i32) -> Self::D;
    /// Adds to each lane the products of its four bytes of `w` (0 to 127) with the four signed
    /// bytes at `x` (-127 to 127). Between two calls of [`Simd::widen`] two products of each call, one
    /// of an even and one of an odd byte, are summed; no such sum may exceed 32,767 in magnitude.
    unsafe fn dot(total: Self::D, w: Self::W, x: *const i8) -> Self::D;
    /// Like [`Simd::dot`], for bytes of `w` up to 255, and one call at most before [`Simd::widen`]; see
    /// [`Simd::WIDE_IS_CENTRED`].
    unsafe fn dot_wide(total: Self::D, w: Self::W, x: *const i8) -> Self::D;
    /// Keeps the compiler from reading bytes of the input earlier than the code says. Where there are few
    /// registers it otherwise takes row after row and keeps a block's unpacked weights in memory.
    #[inline(always)]
    unsafe fn keep_order() {}
    /// Makes room for more products.
    unsafe fn widen(total: Self::D) -> Self::D;
    /// The sums.
    unsafe fn sums_of_dots(total: Self::D) -> Self::I;
}
