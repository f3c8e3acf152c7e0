//! Layout of the input rows for the kernels, in tiles.
//!
//! Rows are cut into tiles of up to [`Simd::ROWS`](crate::simd::Simd::ROWS) rows; the number of
//! rows of a tile is a power of two. A tile interleaves its rows: for each group of four columns,
//! the four bytes of the first row, then of the second, and so on. Its scales, sums and corrections
//! are `[block][row]`. The values of a tile that begins at row `i` begin at `i * cols`. Blocks that
//! hold large values have a second digit (`quantize`).

#![allow(unsafe_code)]

use super::BLOCK;
use super::format::Offset;
use super::quantize::{DigitsMut, quantize};
use crate::shared::Shared;
use crate::{Pool, Tier};

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

/// An input, quantized to int8.
pub(crate) struct Quantized {
    /// First digits of all blocks, tile by tile.
    main: Digits,
    /// Second digits, one entry per tile.
    extra: Vec<Extra>,
    /// Number of blocks of a row.
    blocks: usize,
}

/// Digits of some blocks of some tiles.
#[derive(Default)]
pub(super) struct Digits {
    /// int8 values, `[block][group][row][4]`.
    pub(super) values: Vec<i8>,
    /// Value of one int8 step, `[block][row]`.
    pub(super) scales: Vec<f32>,
    /// Sum of the block's int8 values times the scale, `[block][row]`.
    pub(super) sums: Vec<f32>,
    /// For each offset in use, indexed by its number: the negated sum of the int8 values times the
    /// offset, `[block][row]`, or `[block][half][row]` for [`Offset::Halves`].
    pub(super) corrections: [Vec<i32>; 4],
}

/// Second digits of those blocks of a tile that hold large values.
#[derive(Default)]
pub(crate) struct Extra {
    /// Number of each such block, ascending, and a bit for each row that has a second digit there.
    pub(crate) blocks: Vec<(usize, u8)>,
    pub(super) digits: Digits,
}

/// Pointers to the digits of one tile; the layout is that of [`Digits`].
#[derive(Clone, Copy)]
pub(crate) struct DigitsView {
    pub(crate) values: *const i8,
    pub(crate) scales: *const f32,
    pub(crate) sums: *const f32,
    /// Null if the offset is not in use.
    pub(crate) corrections: *const i32,
}

impl Digits {
    /// Zeros for `n` blocks of one row each.
    fn zeroed(n: usize, offsets: &[Offset]) -> Self {
        let mut digits = Self::default();
        digits.grow(n, offsets);
        digits
    }

    pub(super) fn grow(&mut self, n: usize, offsets: &[Offset]) {
        self.values.resize(self.values.len() + n * BLOCK, 0);
        self.scales.resize(self.scales.len() + n, 0.0);
        self.sums.resize(self.sums.len() + n, 0.0);
        for &offset in offsets {
            let part = &mut self.corrections[offset as usize];
            part.resize(self.scales.len() * offset.sums(), 0);
        }
    }

    /// Returns the view that begins at block number `first`, in the order of `scales`.
    fn view(&self, first: usize, offset: Option<Offset>) -> DigitsView {
        DigitsView {
            values: self.values[first * BLOCK..].as_ptr(),
            scales: self.scales[first..].as_ptr(),
            sums: self.sums[first..].as_ptr(),
            corrections: offset.map_or(std::ptr::null(), |offset| {
                self.corrections[offset as usize][first * offset.sums()..].as_ptr()
            }),
        }
    }
}

impl Quantized {
    /// Quantizes `x` `[n, cols]`; `cols` is a multiple of 32. `offsets` holds each offset in use
    /// once.
    pub(crate) fn new(
        x: &[f32],
        cols: usize,
        tiles: &[Tile],
        offsets: &[Offset],
        tier: Tier,
        pool: &Pool,
    ) -> Self {
        let mut main = Digits::zeroed(x.len() / BLOCK, offsets);
        let mut extra: Vec<Extra> = tiles.iter().map(|_| Extra::default()).collect();
        let blocks = cols / BLOCK;
        {
            let Digits { values, scales, sums, corrections } = &mut main;
            let values = Shared::new(values);
            let scales = Shared::new(scales);
            let sums = Shared::new(sums);
            let corrections = corrections.each_mut().map(|part| Shared::new(part));
            let extra = Shared::new(&mut extra);
            let quantize_tile = |index: usize| {
                let Tile { first, rows } = tiles[index];
                let (from, to) = (first * blocks, (first + rows) * blocks);
                // SAFETY: tiles do not overlap, and each task takes only the parts of its own
                // tiles.
                let (digits, extra) = unsafe {
                    let digits = DigitsMut {
                        values: values.part(from * BLOCK..to * BLOCK),
                        scales: scales.part(from..to),
                        sums: sums.part(from..to),
                        corrections: Offset::ALL.map(|offset| {
                            let used = offsets.contains(&offset);
                            let each = if used { offset.sums() } else { 0 };
                            corrections[offset as usize].part(from * each..to * each)
                        }),
                    };
                    (digits, extra.part(index..index + 1))
                };
                let x = &x[first * cols..(first + rows) * cols];
                // SAFETY: the slices have the lengths required for `rows` rows of `cols` columns.
                unsafe { quantize(tier, x, rows, digits, &mut extra[0], offsets) };
            };
            // Tiles per task, so that a task takes some microseconds.
            let each = (1 << 14) / (cols * tiles[0].rows).max(1) + 1;
            pool.run(tiles.len().div_ceil(each), |task| {
                (task * each..tiles.len().min((task + 1) * each)).for_each(quantize_tile);
            });
        }
        Self { main, extra, blocks }
    }

    /// Returns the first digits of a tile's blocks, in order.
    pub(crate) fn tile(&self, tile: Tile, offset: Option<Offset>) -> DigitsView {
        self.main.view(tile.first * self.blocks, offset)
    }

    /// Returns the second digits of tile number `number` and the blocks and rows they belong to;
    /// `None` if it has none.
    pub(crate) fn extra(
        &self,
        number: usize,
        offset: Option<Offset>,
    ) -> Option<(&[(usize, u8)], DigitsView)> {
        let extra = &self.extra[number];
        let some = !extra.blocks.is_empty();
        some.then(|| (extra.blocks.as_slice(), extra.digits.view(0, offset)))
    }
}
