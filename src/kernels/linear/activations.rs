//! The input of a product: rows cut into tiles, and quantized to int8.

#![allow(unsafe_code)]

use super::digits::{Digits, DigitsMut, DigitsView, Extra};
use super::format::{BLOCK, Offset};
use super::quantize::quantize;
use crate::shared::Shared;
use crate::{Isa, Pool};

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

impl Quantized {
    /// Quantizes `x` `[n, cols]`; `cols` is a multiple of 32. `offsets` holds each offset in use
    /// once.
    pub(crate) fn new(
        x: &[f32],
        cols: usize,
        tiles: &[Tile],
        offsets: &[Offset],
        isa: Isa,
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
                unsafe { quantize(isa, x, rows, digits, &mut extra[0], offsets) };
                // The kernel of the matrix tiles reads rows.
                #[cfg(all(target_arch = "x86_64", not(miri)))]
                if isa.has_tiles && rows == super::digits::SEPARATE_ROWS {
                    // SAFETY: this task's values, whose slice was passed on and returned.
                    let values = unsafe { values.part(from * BLOCK..to * BLOCK) };
                    super::digits::separate_rows(values);
                }
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
