//! Products of int8 rows with quantized panels by matrix tiles (AMX).
//!
//! The dot products of a block are exact integers, and their sums are made as in [`tile`](super::tile), so
//! the bits are those of the other kernels. Only tiles of eight rows run here; the others take too
//! little advantage of it.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `QuantFormat` and `LinearJob`.
#![allow(unsafe_op_in_unsafe_fn)]
// Loops over the rows of a tile are unrolled; one index runs through several arrays of registers.
// Closures would be compiled without the vector instructions.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::{
    _mm512_loadu_si512, _mm512_set1_epi8, _mm512_storeu_si512, _mm512_sub_epi8,
};
use std::mem::MaybeUninit;

use super::activations::{Quantized, Tile};
use super::digits::SEPARATE_ROWS as ROWS;
use super::format::{BLOCK, Offset, PANEL, QuantFormat};
use super::scratch::scratch;
use super::tile::{LinearJob, extra_blocks, one_tile, panel_of, store};
use crate::amx::{INT8_HALF_SHAPES, INT8_SHAPES, Tiles, int8_block, int8_halves};
use crate::simd::{Avx512Vnni, Simd};

/// Panels that run together: they share the loads of the input.
pub(crate) const INT8_PANELS: usize = 2;
/// Bytes of a block of a panel as signed int8.
const BLOCK_BYTES: usize = BLOCK * PANEL;

type S = Avx512Vnni;

/// Runs a job of one or two panels.
///
/// # Safety
/// The machine has AVX-512 and matrix tiles; the contract of [`run`](super::panels::run) holds, and the
/// input was made for matrix tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) unsafe fn panels<Q: QuantFormat>(job: &LinearJob<'_>, input: &Quantized) {
    if job.panels == INT8_PANELS {
        all_tiles::<Q, INT8_PANELS>(job, input);
    } else {
        all_tiles::<Q, 1>(job, input);
    }
}

#[inline(always)]
unsafe fn all_tiles<Q: QuantFormat, const PANELS: usize>(job: &LinearJob<'_>, input: &Quantized) {
    let full = job.tiles.iter().take_while(|tile| tile.rows == ROWS).count();
    if full > 0 {
        let panel_bytes = job.blocks * BLOCK_BYTES;
        let start = scratch(PANELS * panel_bytes);
        let mut weights = [std::ptr::null(); PANELS];
        for panel in 0..PANELS {
            let to = start.add(panel * panel_bytes);
            expand::<Q>(&panel_of(job, panel), to);
            weights[panel] = to.cast_const().cast();
        }
        let shapes = if Q::HALVES { INT8_HALF_SHAPES } else { INT8_SHAPES };
        let _tiles = Tiles::configure(shapes);
        for index in 0..full {
            eight_rows::<Q, PANELS>(job, input, index, &weights);
        }
    }
    for panel in 0..PANELS {
        let job = panel_of(job, panel);
        for (index, &at) in job.tiles.iter().enumerate().skip(full) {
            one_tile::<S, Q>(&job, input, at, job.first_tile + index);
        }
    }
}

/// Writes the panel's weights without their offset as signed int8, `[block][group][channel][4]`.
#[inline(always)]
unsafe fn expand<Q: QuantFormat>(job: &LinearJob<'_>, to: *mut u8) {
    let offset = Q::PACKING.offset().map_or(0, |offset| (1_u8 << offset.shift()) as i8);
    let offset = _mm512_set1_epi8(offset);
    for block in 0..job.blocks {
        let quants = job.panel.add(block * Q::PACKING.quant_bytes());
        let to = to.add(block * BLOCK_BYTES);
        for c in 0..4 {
            let (low, high) = Q::pair::<S>(quants, c);
            _mm512_storeu_si512(to.add(64 * c).cast(), _mm512_sub_epi8(low, offset));
            _mm512_storeu_si512(to.add(64 * (c + 4)).cast(), _mm512_sub_epi8(high, offset));
        }
    }
}

/// Dot products of two successive blocks: one is computed while the sums of the other are made.
#[repr(align(64))]
struct DotBuffer(MaybeUninit<[[i32; 2 * INT8_PANELS * ROWS * PANEL]; 2]>);

/// Computes the dot products of a block.
#[inline(always)]
unsafe fn start<Q: QuantFormat, const PANELS: usize>(
    values: *const i8,
    weights: &[*const i8; PANELS],
    block: usize,
    to: *mut i32,
) {
    let x = values.add(block * BLOCK * ROWS);
    let mut of_block = *weights;
    for panel in 0..PANELS {
        of_block[panel] = of_block[panel].add(block * BLOCK_BYTES);
    }
    if Q::HALVES {
        int8_halves::<PANELS>(x, of_block, to);
    } else {
        int8_block::<PANELS>(x, of_block, to);
    }
}

/// Adds the contribution of a block to a row's total: its dot products (of both halves if the format
/// has a scale for each) times the scales, and the minimum times the row's sum.
#[inline(always)]
unsafe fn add_block<S: Simd, Q: QuantFormat>(
    total: S::F,
    dots: [S::F; 2],
    scales: [S::F; 2],
    min: S::F,
    (row_scale, row_sum): (S::F, S::F),
) -> S::F {
    let mut total = total;
    for half in 0..if Q::HALVES { 2 } else { 1 } {
        total = S::fma(S::mul(scales[half], row_scale), dots[half], total);
    }
    if Q::HAS_MIN {
        total = S::fma(min, row_sum, total);
    }
    total
}

#[inline(always)]
unsafe fn eight_rows<Q: QuantFormat, const PANELS: usize>(
    job: &LinearJob<'_>,
    input: &Quantized,
    index: usize,
    weights: &[*const i8; PANELS],
) {
    let (at, number): (Tile, usize) = (job.tiles[index], job.first_tile + index);
    let halves = if Q::HALVES { 2 } else { 1 };
    let view = input.tile(at, None);
    let mut scales = [std::ptr::null(); PANELS];
    for panel in 0..PANELS {
        scales[panel] = panel_of(job, panel).scales::<Q>();
    }
    let mut dots = DotBuffer(MaybeUninit::uninit());
    let dots = dots.0.as_mut_ptr().cast::<i32>();
    let half_len = 2 * INT8_PANELS * ROWS * PANEL;
    let mut total = [[S::splat(0.0); ROWS]; PANELS];
    start::<Q, PANELS>(view.values, weights, 0, dots);
    for block in 0..job.blocks {
        if block + 1 < job.blocks {
            start::<Q, PANELS>(
                view.values,
                weights,
                block + 1,
                dots.add((block + 1) % 2 * half_len),
            );
        }
        let dots = dots.add(block % 2 * half_len);
        let mut factors = [[S::splat(0.0); 2]; PANELS];
        let mut mins = [S::splat(0.0); PANELS];
        for panel in 0..PANELS {
            for half in 0..halves {
                factors[panel][half] = Q::scale::<S>(scales[panel], block, half);
            }
            mins[panel] = Q::min::<S>(scales[panel], block);
        }
        for row in 0..ROWS {
            let row_scale = S::splat(*view.scales.add(block * ROWS + row));
            let row_sum = S::splat(*view.sums.add(block * ROWS + row));
            for panel in 0..PANELS {
                let dots = dots.add((panel * halves * ROWS + row) * PANEL);
                let first = S::to_float(_mm512_loadu_si512(dots.cast()));
                let second = match Q::HALVES {
                    true => S::to_float(_mm512_loadu_si512(dots.add(ROWS * PANEL).cast())),
                    false => first,
                };
                let rows = (row_scale, row_sum);
                total[panel][row] = add_block::<S, Q>(
                    total[panel][row],
                    [first, second],
                    factors[panel],
                    mins[panel],
                    rows,
                );
            }
        }
    }
    let offset: Option<Offset> = Q::PACKING.offset();
    for panel in 0..PANELS {
        let of_panel = panel_of(job, panel);
        extra_blocks::<S, Q, ROWS>(&of_panel, input, number, offset, &mut total[panel]);
        for row in 0..ROWS {
            store::<S>(&of_panel, at.first + row, 0, total[panel][row]);
        }
    }
}
