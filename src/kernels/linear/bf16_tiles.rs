//! Products of prompt rows with quantized matrices by matrix tiles (AMX) in bf16.
//!
//! The rows are rounded to bf16. The weights of two panels are dequantized, rounded to bf16, and
//! multiplied with all rows while they are in the cache. Sums are f32, in an order that depends on
//! nothing but the number of columns ([`bf16_product`]). So a row's result does not depend on the
//! other rows, but differs in its last bits from that of the int8 kernels.
//!
//! Against int8 rows with a scale for each 32 columns, this needs no work for each block of 32
//! columns but the product itself.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `QuantFormat` and `Simd`. Closures over vectors would be compiled
// without the vector instructions.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::x86_64::*;

use super::format::{self, BLOCK, PANEL, Packing, QuantFormat};
use super::packed::PackedLinear;
use super::scratch::scratch;
use super::tile::ResultMode;
use crate::Pool;
use crate::amx::{BF16_SHAPES, TILE_BYTES, TILE_ROWS, Tiles, bf16_product};
use crate::shared::Shared;
use crate::simd::{Avx512Vnni, Simd};

/// Row tiles, and panels, that are multiplied at once: four results, for which each loaded tile is
/// used twice.
const TOGETHER: usize = 2;
/// Elements of a tile of bf16: 16 rows or channels of 32 columns.
const TILE: usize = TILE_BYTES / 2;
/// Elements of a tile of f32.
const RESULT: usize = TILE_BYTES / 4;
/// Number of blocks whose rows and weights are processed before the next ones. The rows of a chunk
/// stay in the second-level cache while they are multiplied with one pair of panels after another.
const CHUNK: usize = 48;
/// Tasks per thread; see `product`.
const TASKS_A_THREAD: usize = 4;

type S = Avx512Vnni;

/// Rows of an input as bf16, in tiles of sixteen rows by 32 columns, `[row tile][block][16][32]`; the
/// last pair of row tiles is filled up with zeros.
pub(super) struct Bf16Rows {
    values: Vec<u16>,
    n: usize,
    blocks: usize,
}

impl Bf16Rows {
    /// Rounds `x` `[n, cols]`; `cols` is a multiple of 32. The machine has matrix tiles.
    pub(super) fn new(x: &[f32], n: usize, cols: usize, pool: &Pool) -> Self {
        let blocks = cols / BLOCK;
        let n_tiles = n.div_ceil(TILE_ROWS).next_multiple_of(TOGETHER);
        let mut values = vec![0_u16; n_tiles * blocks * TILE];
        let shared = Shared::new(&mut values);
        pool.run(n.div_ceil(TILE_ROWS), |tile| {
            // SAFETY: each task takes only its own row tile.
            let to = unsafe { shared.part(tile * blocks * TILE..(tile + 1) * blocks * TILE) };
            for row in 0..TILE_ROWS.min(n - tile * TILE_ROWS) {
                let x = &x[(tile * TILE_ROWS + row) * cols..][..cols];
                for (block, x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
                    let to = &mut to[block * TILE + row * BLOCK..][..BLOCK];
                    // SAFETY: the machine has AVX-512 with bf16; both hold 32 elements.
                    unsafe { round_to_bf16(x.as_ptr(), to.as_mut_ptr()) };
                }
            }
        });
        Self { values, n, blocks }
    }

    fn n_pairs(&self) -> usize {
        self.n.div_ceil(TOGETHER * TILE_ROWS)
    }

    fn tile(&self, tile: usize, block: usize) -> *const u16 {
        self.values[(tile * self.blocks + block) * TILE..].as_ptr()
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn round_to_bf16(x: *const f32, to: *mut u16) {
    let (low, high) = (_mm512_loadu_ps(x), _mm512_loadu_ps(x.add(16)));
    let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
    _mm512_storeu_si512(to.cast(), both);
}

/// `y = x · Wᵀ` or `y += x · Wᵀ` for several quantized matrices with `rows.blocks` blocks of columns.
/// `ys[i]` is `[n, linears[i].rows]`.
///
/// # Safety
/// The machine has matrix tiles. The lengths match the shapes.
pub(super) unsafe fn product(
    linears: &[&PackedLinear],
    rows: &Bf16Rows,
    ys: &[Shared<'_, f32>],
    output: ResultMode,
    pool: &Pool,
) {
    // Pairs of panels of all matrices; a pair belongs to one matrix.
    let pairs: Vec<(usize, usize)> = linears
        .iter()
        .enumerate()
        .flat_map(|(which, linear)| {
            (0..linear.rows.div_ceil(TOGETHER * PANEL)).map(move |pair| (which, pair))
        })
        .collect();
    let each = pairs.len().div_ceil(pool.threads() * TASKS_A_THREAD).max(1);
    pool.run(pairs.len().div_ceil(each), |task| {
        let pairs = &pairs[task * each..pairs.len().min((task + 1) * each)];
        let share = TileShare { linears, rows, ys, pairs, output };
        // SAFETY: the caller guarantees the machine; no other task writes to these pairs' results.
        unsafe { share.run() };
    });
}

/// Some pairs of panels, multiplied with all rows by one task.
struct TileShare<'a> {
    linears: &'a [&'a PackedLinear],
    rows: &'a Bf16Rows,
    ys: &'a [Shared<'a, f32>],
    /// Index of the matrix, and of the pair in it.
    pairs: &'a [(usize, usize)],
    output: ResultMode,
}

impl TileShare<'_> {
    unsafe fn run(&self) {
        let blocks = self.rows.blocks;
        let n_pairs = self.rows.n_pairs();
        let result_bytes = TOGETHER * TOGETHER * TILE_BYTES;
        let weight_bytes = TOGETHER * CHUNK.min(blocks) * TILE_BYTES;
        // Sums of all rows and pairs are kept from one chunk of columns to the next.
        let n_results = if blocks > CHUNK { n_pairs * self.pairs.len() } else { 1 };
        let weights = scratch(weight_bytes + n_results * result_bytes).cast::<u16>();
        let results = weights.cast::<u8>().add(weight_bytes).cast::<f32>();
        let _tiles = Tiles::configure(BF16_SHAPES);
        let mut start = 0;
        while start < blocks {
            let end = blocks.min(start + CHUNK);
            for (index, &pair) in self.pairs.iter().enumerate() {
                self.dequantize(pair, start..end, weights);
                let panels = [weights, weights.add((end - start) * TILE)].map(|p| p.cast_const());
                for row_pair in 0..n_pairs {
                    let place = if n_results == 1 { 0 } else { index * n_pairs + row_pair };
                    let result = results.add(place * TOGETHER * TOGETHER * RESULT);
                    let tiles = [0, 1].map(|i| self.rows.tile(TOGETHER * row_pair + i, start));
                    bf16_product(tiles, panels, end - start, result, start == 0);
                    if end == blocks {
                        self.store(pair, row_pair, result);
                    }
                }
            }
            start = end;
        }
    }

    /// Writes the weights of both panels of a pair for some blocks, `[panel][block][16][16][2]`. A
    /// panel that the matrix does not have is left as it is: its results are not used.
    unsafe fn dequantize(
        &self,
        (which, pair): (usize, usize),
        blocks: std::ops::Range<usize>,
        to: *mut u16,
    ) {
        let linear = self.linears[which];
        let n_panels = linear.rows.div_ceil(PANEL);
        let panel_bytes = linear.packing.panel_bytes(self.rows.blocks);
        for panel in TOGETHER * pair..n_panels.min(TOGETHER * (pair + 1)) {
            let panel_data = &linear.data.bytes()[panel * panel_bytes..][..panel_bytes];
            let to = to.add(panel % TOGETHER * blocks.len() * TILE);
            let quants = panel_data.as_ptr();
            let scales = quants.add(self.rows.blocks * linear.packing.quant_bytes());
            let source = PanelSource { quants, scales };
            match linear.packing {
                Packing::Q4_0 => source.dequantize::<format::Q4_0>(blocks.clone(), to),
                Packing::Q4_1 => source.dequantize::<format::Q4_1>(blocks.clone(), to),
                Packing::Q5_0 => source.dequantize::<format::Q5_0>(blocks.clone(), to),
                Packing::Q5_1 => source.dequantize::<format::Q5_1>(blocks.clone(), to),
                Packing::Q8_0 => source.dequantize::<format::Q8_0>(blocks.clone(), to),
                Packing::Q4K => source.dequantize::<format::Q4K>(blocks.clone(), to),
                Packing::Q5K => source.dequantize::<format::Q5K>(blocks.clone(), to),
                Packing::Q6K => source.dequantize::<format::Q6K>(blocks.clone(), to),
                Packing::F32 | Packing::F16 | Packing::Bf16 => {}
            }
        }
    }

    /// Writes or adds the results of a pair of row tiles with a pair of panels, `[row tile][panel]`.
    #[target_feature(enable = "avx512f")]
    unsafe fn store(&self, (which, pair): (usize, usize), row_pair: usize, results: *const f32) {
        let stride = self.linears[which].rows;
        let first_row = row_pair * TOGETHER * TILE_ROWS;
        let n_rows = (self.rows.n - first_row).min(TOGETHER * TILE_ROWS);
        for panel in 0..TOGETHER {
            let channel = (TOGETHER * pair + panel) * PANEL;
            if channel >= stride {
                break;
            }
            let mask = (u32::MAX >> (32 - (stride - channel).min(PANEL))) as u16;
            let y = self.ys[which].as_mut_ptr().add(first_row * stride + channel);
            for row in 0..n_rows {
                let tile = row / TILE_ROWS * TOGETHER + panel;
                let from = results.add(tile * RESULT + row % TILE_ROWS * PANEL);
                let to = y.add(row * stride);
                let mut result = _mm512_loadu_ps(from);
                if self.output == ResultMode::Add {
                    result = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to), result);
                }
                _mm512_mask_storeu_ps(to, mask, result);
            }
        }
    }
}

/// A panel's quants and scales.
#[derive(Clone, Copy)]
struct PanelSource {
    quants: *const u8,
    scales: *const u8,
}

impl PanelSource {
    /// Writes some blocks as `[block][pair of columns][channel][2]`.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn dequantize<Q: QuantFormat>(self, blocks: std::ops::Range<usize>, to: *mut u16) {
        let offset = Q::PACKING.offset().map_or(0.0, |offset| -((1 << offset.shift()) as f32));
        let first = blocks.start;
        for block in blocks {
            let quants = self.quants.add(block * Q::PACKING.quant_bytes());
            let to = to.add((block - first) * TILE).cast::<u8>();
            let scale = Q::scale::<S>(self.scales, block, 0);
            let other = if Q::HALVES { Q::scale::<S>(self.scales, block, 1) } else { scale };
            // A weight is `scale * (quant + offset) + min`.
            let (bias, other_bias) = if Q::HAS_MIN {
                let min = Q::min::<S>(self.scales, block);
                (min, min)
            } else {
                (S::mul(scale, S::splat(offset)), S::mul(other, S::splat(offset)))
            };
            for c in 0..4 {
                let (low, high) = Q::pair::<S>(quants, c);
                dequantize_four(low, scale, bias, to.add(128 * c));
                dequantize_four(high, other, other_bias, to.add(128 * (c + 4)));
            }
        }
    }
}

/// Dequantizes four columns of sixteen channels, and writes both pairs of columns.
#[inline(always)]
unsafe fn dequantize_four(w: __m512i, scale: __m512, bias: __m512, to: *mut u8) {
    let byte = _mm512_set1_epi32(255);
    let mut columns = [
        _mm512_and_si512(w, byte),
        _mm512_and_si512(_mm512_srli_epi32::<8>(w), byte),
        _mm512_and_si512(_mm512_srli_epi32::<16>(w), byte),
        _mm512_srli_epi32::<24>(w),
    ];
    // Rounds to bf16, ties away from zero.
    for column in &mut columns {
        let weight = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(*column), bias);
        *column = _mm512_add_epi32(_mm512_castps_si512(weight), _mm512_set1_epi32(0x8000));
    }
    let upper = _mm512_set1_epi32(0xFFFF_0000_u32 as i32);
    for pair in 0..2 {
        let first = _mm512_srli_epi32::<16>(columns[2 * pair]);
        // Where `upper` is set the second column, elsewhere the first.
        let both = _mm512_ternarylogic_epi32::<0xCA>(upper, columns[2 * pair + 1], first);
        _mm512_storeu_si512(to.add(64 * pair).cast(), both);
    }
}
