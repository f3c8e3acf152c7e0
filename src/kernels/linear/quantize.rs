//! Quantizes the rows of a tile to int8, block by block.
//!
//! One large value makes the int8 steps of its whole block coarse, and the activations of language
//! models have a few such values in every row. If the largest magnitude of a block exceeds
//! [`LARGE`] times the row's root mean square, the block gets a second int8 digit, the quantized
//! remainder, in the tile's [`Extra`]. On SmolLM2-135M (2,253 tokens) this applies to 8% of the
//! blocks and reduces the distance of the log-probabilities from those of the dequantized model
//! from 0.076 to 0.043.

#![allow(unsafe_code)]
// Kernels rely on the contract of `Simd`.
#![allow(unsafe_op_in_unsafe_fn)]
// One index runs through several arrays of a tile's rows.
#![allow(clippy::needless_range_loop)]

use std::array::from_fn;

use super::digits::{Digits, DigitsMut, Extra};
use super::format::{BLOCK, Offset};
use crate::simd::{LANES, Simd, per_isa};

/// Blocks whose largest magnitude is below this count as zero: the reciprocal of their scale would
/// overflow.
const SMALLEST: f32 = 1e-30;

/// Threshold for a second digit, in root mean squares of the row; see the module documentation.
const LARGE: f32 = 8.0;

per_isa! {
    /// Quantizes the rows of a tile, `[rows, cols]`.
    ///
    /// # Safety
    /// `digits` has the slices of `rows` rows, and `rows` is a valid tile size.
    pub(super) unsafe fn quantize(
        x: &[f32], rows: usize, digits: DigitsMut<'_>, extra: &mut Extra, offsets: &[Offset],
    ) = quantize_tile;
}

#[inline(always)]
unsafe fn quantize_tile<S: Simd>(
    x: &[f32],
    rows: usize,
    mut digits: DigitsMut<'_>,
    extra: &mut Extra,
    offsets: &[Offset],
) {
    let cols = x.len() / rows;
    let x = x.as_ptr();
    let mut large = [f32::INFINITY; 8];
    if rows == 8 {
        large = large_of::<S, 8>(x, cols);
    } else {
        for row in 0..rows {
            [large[row]] = large_of::<S, 1>(x.add(row * cols), cols);
        }
    }
    for block in 0..cols / BLOCK {
        let x = x.add(block * BLOCK);
        let steps = quantize_block::<S>(x, cols, rows, &mut digits, block);
        let mut with_more = 0_u8;
        // False if the block or the row holds infinity or NaN.
        (0..8).for_each(|row| with_more |= u8::from(steps.largest[row] > large[row]) << row);
        if with_more == 0 {
            continue;
        }
        let mut rests = [[0.0_f32; BLOCK]; 8];
        for row in 0..rows {
            if (with_more >> row) & 1 == 0 {
                continue;
            }
            let (factor, step) = (S::splat(steps.inverses[row]), S::splat(-steps.scales[row]));
            for half in 0..2 {
                let x = S::load(x.add(row * cols + half * LANES));
                let digit = S::to_float(S::round_scaled(x, factor));
                S::store(rests[row].as_mut_ptr().add(half * LANES), S::fma(digit, step, x));
            }
        }
        let index = extra.blocks.len();
        extra.digits.grow(rows, offsets);
        let Digits { values, scales, sums, corrections } = &mut extra.digits;
        let corrections = corrections.each_mut().map(Vec::as_mut_slice);
        let mut digits = DigitsMut { values, scales, sums, corrections };
        let rests = rests.as_ptr().cast();
        let steps = quantize_block::<S>(rests, BLOCK, rows, &mut digits, index);
        let mut with_rest = 0_u8;
        (0..8).for_each(|row| with_rest |= u8::from(steps.scales[row] > 0.0) << row);
        extra.blocks.push((block, with_rest));
    }
}

/// Returns for each row the magnitude above which a block holds large values. `x` is
/// `[ROWS, cols]`.
#[inline(always)]
unsafe fn large_of<S: Simd, const ROWS: usize>(x: *const f32, cols: usize) -> [f32; ROWS] {
    let mut squares = [S::splat(0.0); ROWS];
    for at in 0..cols / LANES {
        for row in 0..ROWS {
            let v = S::load(x.add(row * cols + at * LANES));
            squares[row] = S::fma(v, v, squares[row]);
        }
    }
    let mut large = [0.0; ROWS];
    for row in 0..ROWS {
        large[row] = LARGE * (S::sum(squares[row]) / cols as f32).sqrt();
    }
    large
}

/// Quantization of one block of each row; zeros for rows that the tile does not have.
struct Steps {
    /// Largest magnitudes.
    largest: [f32; 8],
    scales: [f32; 8],
    inverses: [f32; 8],
}

/// Quantizes a block of `rows` rows, `stride` apart, and writes its digits. If a row's block is not
/// finite, its scale is NaN and its digits are zero.
#[inline(always)]
unsafe fn quantize_block<S: Simd>(
    x: *const f32,
    stride: usize,
    rows: usize,
    digits: &mut DigitsMut<'_>,
    block: usize,
) -> Steps {
    let Steps { largest, scales, inverses } = if rows == 8 {
        steps_of_eight::<S>(&S::largest_bits_of_eight(x, stride).map(f32::from_bits))
    } else {
        steps_of_each::<S>(x, stride, rows)
    };
    let values = digits.values[block * BLOCK * rows..][..BLOCK * rows].as_mut_ptr();
    let mut halves = [[0; 8]; 2];
    if rows == 8 && largest.iter().all(|largest| largest.is_finite()) {
        halves = S::round_eight(values, x, stride, &inverses);
    } else {
        for row in 0..rows {
            let sums =
                round_row::<S>(values.add(4 * row), x.add(row * stride), rows, inverses[row]);
            [halves[0][row], halves[1][row]] = sums;
        }
    }
    if rows == 8 {
        put::<8>(digits, block, rows, &scales, &halves);
    } else {
        put::<1>(digits, block, rows, &scales, &halves);
    }
    Steps { largest, scales, inverses }
}

/// Rounds a row's block times `factor`, and stores the groups of four bytes at a distance of
/// `4 * rows`. Returns the sums of both halves.
#[inline(always)]
unsafe fn round_row<S: Simd>(to: *mut i8, x: *const f32, rows: usize, factor: f32) -> [i32; 2] {
    let mut bytes = [0_i8; BLOCK];
    let mut halves = [0; 2];
    if factor > 0.0 {
        for half in 0..2 {
            let x = S::load(x.add(half * LANES));
            let rounded = S::round_scaled(x, S::splat(factor));
            S::store_bytes(bytes.as_mut_ptr().add(half * LANES), rounded);
            // Integers far below 2^24: the sum is exact in any order.
            halves[half] = S::sum(S::to_float(rounded)) as i32;
        }
    }
    for (group, four) in bytes.as_chunks::<4>().0.iter().enumerate() {
        to.add(4 * group * rows).cast::<[i8; 4]>().write_unaligned(*four);
    }
    halves
}

/// Writes the scales, sums and corrections of a block, `WIDTH` of the `rows` rows at a time.
#[inline(always)]
fn put<const WIDTH: usize>(
    digits: &mut DigitsMut<'_>,
    block: usize,
    rows: usize,
    scales: &[f32; 8],
    halves: &[[i32; 8]; 2],
) {
    for first in (0..rows).step_by(WIDTH) {
        let at = block * rows + first;
        let sum: [i32; WIDTH] = from_fn(|i| halves[0][first + i] + halves[1][first + i]);
        let scales: [f32; WIDTH] = from_fn(|i| scales[first + i]);
        digits.scales[at..at + WIDTH].copy_from_slice(&scales);
        let scaled: [f32; WIDTH] = from_fn(|i| scales[i] * sum[i] as f32);
        digits.sums[at..at + WIDTH].copy_from_slice(&scaled);
        for offset in Offset::ALL {
            let part = &mut *digits.corrections[offset as usize];
            if part.is_empty() {
                continue;
            }
            if offset == Offset::Halves {
                for (half, sums) in halves.iter().enumerate() {
                    let at = (2 * block + half) * rows + first;
                    let sums: [i32; WIDTH] = from_fn(|i| -(sums[first + i] << offset.shift()));
                    part[at..at + WIDTH].copy_from_slice(&sums);
                }
            } else {
                part[at..at + WIDTH].copy_from_slice(&sum.map(|sum| -(sum << offset.shift())));
            }
        }
    }
}

/// Computes the steps of a block of `rows` rows, `stride` apart.
#[inline(always)]
unsafe fn steps_of_each<S: Simd>(x: *const f32, stride: usize, rows: usize) -> Steps {
    let mut steps = Steps { largest: [0.0; 8], scales: [0.0; 8], inverses: [0.0; 8] };
    for row in 0..rows {
        let x = x.add(row * stride);
        let largest = f32::from_bits(S::largest_bits(S::load(x), S::load(x.add(LANES))));
        steps.largest[row] = largest;
        (steps.scales[row], steps.inverses[row]) = scale_of(largest);
    }
    steps
}

/// [`scale_of`] for eight rows at once.
#[inline(always)]
unsafe fn steps_of_eight<S: Simd>(largest: &[f32; 8]) -> Steps {
    let (mut scales, mut inverses) = ([0.0; LANES], [0.0; LANES]);
    scales[..8].copy_from_slice(largest);
    let of = S::load(scales.as_ptr());
    let (zero, most) = (S::splat(0.0), S::splat(127.0));
    let (smallest, infinity) = (S::splat(SMALLEST), S::splat(f32::INFINITY));
    let scale = S::select_less(of, smallest, zero, S::div(of, most));
    let inverse = S::select_less(of, smallest, zero, S::div(most, of));
    S::store(scales.as_mut_ptr(), S::select_less(of, infinity, scale, S::splat(f32::NAN)));
    S::store(inverses.as_mut_ptr(), S::select_less(of, infinity, inverse, zero));
    Steps { largest: *largest, scales: from_fn(|i| scales[i]), inverses: from_fn(|i| inverses[i]) }
}

/// Returns the scale of a block and its reciprocal. The reciprocal is zero if the block counts as
/// zero or is not finite.
fn scale_of(largest: f32) -> (f32, f32) {
    if !largest.is_finite() {
        return (f32::NAN, 0.0);
    }
    if largest < SMALLEST {
        return (0.0, 0.0);
    }
    (largest / 127.0, 127.0 / largest)
}
