//! The rows of an input as the kernels read them, in tiles.
//!
//! Rows are taken by tiles of up to [`Simd::ROWS`], in powers of two. A tile interleaves its rows:
//! of each group of four columns the four bytes of the first row, of the second, and so on; its
//! scales, sums and corrections are `[block][row]`. A tile of `r` rows that begins at row `i` lies
//! at `i * cols`, whatever came before it.

#![allow(unsafe_code)]
// Kernels run under the contract of `Simd`.
#![allow(unsafe_op_in_unsafe_fn)]

use super::BLOCK;
use super::format::Offset;
use crate::kernels::shared::Shared;
use crate::kernels::simd::{Simd, per_tier};
use crate::kernels::{Pool, Tier};

/// Blocks whose largest magnitude lies below this count as zero: the reciprocal of their scale
/// would overflow.
const SMALLEST: f32 = 1e-30;

/// Rows `first .. first + rows` of an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) first: usize,
    pub(crate) rows: usize,
}

/// Cuts `n` rows into tiles of at most `most` (a power of two) rows.
pub(crate) fn tiles(n: usize, most: usize) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(n / most + 4);
    let mut first = 0;
    while first < n {
        let rows = most.min(1 << (n - first).ilog2());
        tiles.push(Tile { first, rows });
        first += rows;
    }
    tiles
}

/// An input as int8.
pub(crate) struct Quantized {
    /// `[tile][block][group][row][4]`.
    pub(crate) values: Vec<i8>,
    /// `[tile][block][row]`: what one step of the int8 is worth.
    pub(crate) scales: Vec<f32>,
    /// `[tile][block][row]`: sum of the block's values, times the scale.
    pub(crate) sums: Vec<f32>,
    /// For each offset in use, by its number: `[tile][block][row]`, for halves
    /// `[tile][block][half][row]`; the negated sum of the values times the offset.
    pub(crate) corrections: [Vec<i32>; 4],
}

impl Quantized {
    /// Quantizes `x` `[n, cols]`, `cols` a multiple of 32. `offsets` are those in use.
    pub(crate) fn new(
        x: &[f32],
        cols: usize,
        tiles: &[Tile],
        offsets: &[Offset],
        tier: Tier,
        pool: &Pool,
    ) -> Self {
        let n_blocks = x.len() / BLOCK;
        let mut quantized = Self {
            values: vec![0; x.len()],
            scales: vec![0.0; n_blocks],
            sums: vec![0.0; n_blocks],
            corrections: [const { Vec::new() }; 4],
        };
        for &offset in offsets {
            let halves = if offset == Offset::Halves { 2 } else { 1 };
            quantized.corrections[offset as usize] = vec![0; n_blocks * halves];
        }
        let Self { values, scales, sums, corrections } = &mut quantized;
        let values = Shared::new(values);
        let scales = Shared::new(scales);
        let sums = Shared::new(sums);
        let corrections = corrections.each_mut().map(|part| Shared::new(part));
        let blocks = cols / BLOCK;
        let quantize_tile = |index: usize| {
            let Tile { first, rows } = tiles[index];
            let (from, to) = (first * blocks, (first + rows) * blocks);
            let correction = |offset: Offset, each: usize| {
                let used = offsets.contains(&offset);
                // SAFETY: tiles do not overlap, and each task takes its own tile's part.
                used.then(|| unsafe { corrections[offset as usize].part(from * each..to * each) })
            };
            let mut tile = TileMut {
                // SAFETY: as above.
                values: unsafe { values.part(from * BLOCK..to * BLOCK) },
                // SAFETY: as above.
                scales: unsafe { scales.part(from..to) },
                // SAFETY: as above.
                sums: unsafe { sums.part(from..to) },
                whole: [
                    (3, correction(Offset::Eight, 1)),
                    (4, correction(Offset::Sixteen, 1)),
                    (7, correction(Offset::Wide, 1)),
                ],
                halves: correction(Offset::Halves, 2),
            };
            // SAFETY: the slices have the lengths that `rows` rows of `cols` columns ask for.
            unsafe { quantize(tier, &x[first * cols..(first + rows) * cols], rows, &mut tile) };
        };
        // A task of some microseconds.
        let each = (1 << 15) / (cols * tiles[0].rows).max(1) + 1;
        pool.run(tiles.len().div_ceil(each), |task| {
            (task * each..tiles.len().min((task + 1) * each)).for_each(quantize_tile);
        });
        quantized
    }
}

/// Where a tile's parts go.
struct TileMut<'a> {
    values: &'a mut [i8],
    scales: &'a mut [f32],
    sums: &'a mut [f32],
    /// Corrections of whole blocks, with the binary logarithm of their offset.
    whole: [(u32, Option<&'a mut [i32]>); 3],
    halves: Option<&'a mut [i32]>,
}

per_tier! {
    unsafe fn quantize(x: &[f32], rows: usize, tile: &mut TileMut<'_>) = quantize_tile;
}

#[inline(always)]
unsafe fn quantize_tile<S: Simd>(x: &[f32], rows: usize, tile: &mut TileMut<'_>) {
    let cols = x.len() / rows;
    for row in 0..rows {
        for block in 0..cols / BLOCK {
            let from = x.as_ptr().add(row * cols + block * BLOCK);
            let (first, second) = (S::load(from), S::load(from.add(16)));
            let largest = S::largest_bits(first).max(S::largest_bits(second));
            let (scale, inverse) = scale_of(f32::from_bits(largest));
            let mut bytes = [0_i8; BLOCK];
            let mut halves = [0_i32; 2];
            // A block that is not finite has no quants worth their name; its scale is NaN.
            if inverse > 0.0 {
                let factor = S::splat(inverse);
                for (half, x) in [first, second].into_iter().enumerate() {
                    let rounded = S::round_scaled(x, factor);
                    S::store_bytes(bytes.as_mut_ptr().add(16 * half), rounded);
                    halves[half] = S::int_sum(rounded);
                }
            }
            let values = tile.values.as_mut_ptr().add(block * BLOCK * rows + 4 * row);
            for group in 0..8 {
                let four = bytes.as_ptr().add(4 * group).cast::<[u8; 4]>().read();
                values.add(4 * group * rows).cast::<[u8; 4]>().write_unaligned(four);
            }
            let at = block * rows + row;
            let sum = halves[0] + halves[1];
            tile.scales[at] = scale;
            tile.sums[at] = scale * sum as f32;
            for (shift, correction) in &mut tile.whole {
                if let Some(correction) = correction {
                    correction[at] = -(sum << *shift);
                }
            }
            if let Some(correction) = &mut tile.halves {
                correction[2 * block * rows + row] = -(halves[0] << 5);
                correction[(2 * block + 1) * rows + row] = -(halves[1] << 5);
            }
        }
    }
}

/// Scale of a block and its reciprocal, which is zero where there is nothing to quantize.
fn scale_of(largest: f32) -> (f32, f32) {
    if !largest.is_finite() {
        return (f32::NAN, 0.0);
    }
    if largest < SMALLEST {
        return (0.0, 0.0);
    }
    (largest / 127.0, 127.0 / largest)
}

/// Interleaves `x` `[n, cols]` for the float kernels: `[tile][column][row]`, columns padded with
/// zeros to whole blocks.
pub(crate) fn interleave(x: &[f32], cols: usize, tiles: &[Tile], pool: &Pool) -> Vec<f32> {
    let padded = cols.next_multiple_of(BLOCK);
    let n = tiles.last().map_or(0, |tile| tile.first + tile.rows);
    let mut values = vec![0.0; n * padded];
    let out = Shared::new(&mut values);
    pool.run(tiles.len(), |index| {
        let Tile { first, rows } = tiles[index];
        // SAFETY: tiles do not overlap, and each task takes its own.
        let out = unsafe { out.part(first * padded..(first + rows) * padded) };
        for row in 0..rows {
            let x = &x[(first + row) * cols..(first + row + 1) * cols];
            for (out, &x) in out[row..].iter_mut().step_by(rows).zip(x) {
                *out = x;
            }
        }
    });
    values
}
