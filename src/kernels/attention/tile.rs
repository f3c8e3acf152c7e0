//! Attention of some rows over one KV block.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `Simd` and `AttentionUnit`.
#![allow(unsafe_op_in_unsafe_fn)]
// Loops over the rows of a tile are unrolled; one index runs through several arrays of registers.
#![allow(clippy::needless_range_loop)]

use std::mem::MaybeUninit;

#[cfg(target_arch = "x86_64")]
use super::format::Vdpbf16ps;
use super::format::{Bf16Kv, ByMultiplyAdd, F16Kv, KvFormat};
use super::layout::{KV_BLOCK_SIZE, KvPrecision};
use super::softmax_state::{MAX_ROWS, merge_sums, state_len};
use crate::Isa;
#[cfg(target_arch = "x86_64")]
use crate::simd::Avx512Vnni;
use crate::simd::{LANES, Simd, math, per_isa};

/// Rows that share a key head and the KV blocks that are processed for them.
pub(crate) struct AttentionUnit<'a> {
    /// Scaled queries, `[row][dim]`.
    pub(crate) queries: &'a [f32],
    pub(crate) n_rows: usize,
    /// Elements of a head, a multiple of sixteen.
    pub(crate) dim: usize,
    /// Position of each row in its sequence.
    pub(crate) positions: &'a [usize],
    /// KV blocks of the sequence, or of one of the sequences that share those to be processed.
    pub(crate) kv_blocks: &'a [&'a [u16]],
    /// Offset of the head's keys in a KV block; `values_at` is that of its values.
    pub(crate) keys_at: usize,
    pub(crate) values_at: usize,
    /// Number of positions that a row sees, its own included; `usize::MAX` for all.
    pub(crate) window: usize,
    /// Soft cap of the scores.
    pub(crate) soft_cap: Option<f32>,
}

/// Processes KV blocks `first_block .. first_block + n_blocks` of a unit. If `states` holds a state for
/// each KV block and row, `[block][row]`, each pair gets its own; if it holds one for each row, the
/// KV blocks are combined.
///
/// # Safety
/// `states` has one of these two lengths. The KV blocks hold the positions that the rows see, with
/// heads of `dim` elements, in the format `precision`.
pub(crate) unsafe fn attend_blocks(
    isa: Isa,
    precision: KvPrecision,
    unit: &AttentionUnit<'_>,
    first_block: usize,
    n_blocks: usize,
    states: &mut [f32],
) {
    match precision {
        KvPrecision::F16 => by_isa::<F16Kv>(isa, unit, first_block, n_blocks, states),
        #[cfg(target_arch = "x86_64")]
        KvPrecision::Bf16 if isa.has_bf16 => by_vdpbf16ps(unit, first_block, n_blocks, states),
        KvPrecision::Bf16 => {
            by_isa::<Bf16Kv<ByMultiplyAdd>>(isa, unit, first_block, n_blocks, states);
        }
    }
}

per_isa! {
    unsafe fn by_isa<P: KvFormat>(
        unit: &AttentionUnit<'_>, first_block: usize, n_blocks: usize, states: &mut [f32],
    ) = all_blocks;
}

/// # Safety
/// The CPU has the features, and the contract of [`attend_blocks`] holds.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c")]
unsafe fn by_vdpbf16ps(
    unit: &AttentionUnit<'_>,
    first_block: usize,
    n_blocks: usize,
    states: &mut [f32],
) {
    all_blocks::<Avx512Vnni, Bf16Kv<Vdpbf16ps>>(unit, first_block, n_blocks, states);
}

#[inline(always)]
unsafe fn all_blocks<S: Simd, P: KvFormat>(
    unit: &AttentionUnit<'_>,
    first_block: usize,
    n_blocks: usize,
    states: &mut [f32],
) {
    let (n_rows, dim) = (unit.n_rows, unit.dim);
    let len = state_len(dim);
    let separate = states.len() == n_blocks * n_rows * len;
    let mut queries = vec![0.0; n_rows * dim];
    let mut first = 0;
    while first < n_rows {
        let rows = tile_rows::<S>(n_rows - first);
        let at = first * dim;
        P::interleave::<S>(unit.queries[at..].as_ptr(), rows, dim, queries[at..].as_mut_ptr());
        first += rows;
    }
    for index in 0..n_blocks {
        let kv_block = unit.kv_blocks[first_block + index];
        let next = unit.kv_blocks.get(first_block + index + 1).unwrap_or(&kv_block);
        let block_start = (first_block + index) * KV_BLOCK_SIZE;
        let mut first = 0;
        while first < n_rows {
            let rows = tile_rows::<S>(n_rows - first);
            let (mut visible, mut hidden) = ([0; MAX_ROWS], [0; MAX_ROWS]);
            for row in 0..rows {
                let end = unit.positions[first + row] + 1;
                visible[row] = (end - block_start).min(KV_BLOCK_SIZE);
                let start = end.saturating_sub(unit.window);
                hidden[row] = start.saturating_sub(block_start).min(KV_BLOCK_SIZE);
            }
            let at = if separate { (index * n_rows + first) * len } else { first * len };
            let tile = AttentionTile {
                queries: queries.as_ptr().add(first * dim),
                keys: kv_block.as_ptr().add(unit.keys_at),
                values: kv_block.as_ptr().add(unit.values_at),
                next_keys: next.as_ptr().add(unit.keys_at),
                dim,
                visible: &visible,
                hidden: &hidden,
                some_hidden: hidden.iter().any(|n| *n > 0),
                soft_cap: unit.soft_cap,
                out: states[at..at + rows * len].as_mut_ptr(),
                joins: !separate && index > 0,
            };
            match rows {
                8 if S::ROWS >= 8 => by_width::<S, P, 8>(&tile),
                4 => by_width::<S, P, 4>(&tile),
                3 => by_width::<S, P, 3>(&tile),
                2 => by_width::<S, P, 2>(&tile),
                _ => by_width::<S, P, 1>(&tile),
            }
            first += rows;
        }
    }
}

#[inline(always)]
fn tile_rows<S: Simd>(left: usize) -> usize {
    match left {
        8.. if S::ROWS >= 8 => 8,
        4.. => 4,
        few => few,
    }
}

/// Some rows and the part of one KV block that they see.
struct AttentionTile<'a> {
    /// Queries in the order that [`KvFormat::interleave`] writes.
    queries: *const f32,
    keys: *const u16,
    values: *const u16,
    /// Keys of the next KV block; this one's if there is none.
    next_keys: *const u16,
    dim: usize,
    /// Number of positions up to each row's own.
    visible: &'a [usize; MAX_ROWS],
    /// How many of the first of them are before each row's window.
    hidden: &'a [usize; MAX_ROWS],
    /// Whether a row has positions before its window.
    some_hidden: bool,
    soft_cap: Option<f32>,
    /// States of the rows.
    out: *mut f32,
    /// Whether the KV block is combined with the states in `out`.
    joins: bool,
}

/// Processes two vectors side by side if there are enough registers. This hides the latency of a
/// multiply-add for few rows, and shares each load of a query's element for many.
#[inline(always)]
unsafe fn by_width<S: Simd, P: KvFormat, const ROWS: usize>(tile: &AttentionTile<'_>) {
    if S::ROWS >= 8 {
        tile_of::<S, P, ROWS, 2>(tile);
    } else {
        tile_of::<S, P, ROWS, 1>(tile);
    }
}

#[inline(always)]
unsafe fn tile_of<S: Simd, P: KvFormat, const ROWS: usize, const WIDTH: usize>(
    tile: &AttentionTile<'_>,
) {
    let dim = tile.dim;
    let most = tile.visible[..ROWS].iter().copied().max().unwrap_or(0);
    let all = tile.visible[..ROWS].iter().copied().min().unwrap_or(0);
    // Positions before every row's window.
    let none = tile.hidden[..ROWS].iter().copied().min().unwrap_or(0);
    let mut weights = MaybeUninit::<[[f32; KV_BLOCK_SIZE]; ROWS]>::uninit();
    let weights = weights.as_mut_ptr().cast::<f32>();

    scores::<S, P, ROWS, WIDTH>(tile, none, most, weights);
    if let Some(cap) = tile.soft_cap {
        for row in 0..ROWS {
            for panel in none / LANES..most.div_ceil(LANES) {
                let at = weights.add(row * KV_BLOCK_SIZE + panel * LANES);
                S::store(at, math::soft_cap::<S>(S::load(at), cap));
            }
        }
    }
    if all < KV_BLOCK_SIZE {
        for row in 0..ROWS {
            for position in tile.visible[row]..KV_BLOCK_SIZE {
                *weights.add(row * KV_BLOCK_SIZE + position) = f32::NEG_INFINITY;
            }
        }
    }
    if tile.some_hidden {
        for row in 0..ROWS {
            for position in 0..tile.hidden[row] {
                *weights.add(row * KV_BLOCK_SIZE + position) = f32::NEG_INFINITY;
            }
        }
    }
    let (largest, sums) = softmax_block::<S, ROWS>(weights, tile.some_hidden);
    let factors = merge_sums::<S, ROWS>(tile.out, dim, tile.joins, &largest, &sums);
    for row in 0..ROWS {
        P::pack::<S>(weights.add(row * KV_BLOCK_SIZE));
    }

    let mut chunk = 0;
    while chunk + WIDTH <= dim / LANES {
        add_values::<S, P, ROWS, WIDTH>(tile, weights, &factors, (none, all), chunk);
        chunk += WIDTH;
    }
    if chunk < dim / LANES {
        add_values::<S, P, ROWS, 1>(tile, weights, &factors, (none, all), chunk);
    }
}

/// Writes the scores of positions `none .. most`, rounded outwards to whole vectors, as `[row][64]`.
#[inline(always)]
unsafe fn scores<S: Simd, P: KvFormat, const ROWS: usize, const WIDTH: usize>(
    tile: &AttentionTile<'_>,
    none: usize,
    most: usize,
    scores: *mut f32,
) {
    let dim = tile.dim;
    let mut panel = none / LANES / WIDTH * WIDTH;
    while panel * LANES < most {
        let mut total = [[S::splat(0.0); ROWS]; WIDTH];
        let keys = tile.keys.add(panel * dim * LANES);
        for group in 0..dim / P::PACK {
            if ROWS < MAX_ROWS {
                let at = (panel * dim + group * P::PACK * WIDTH) * LANES;
                prefetch::<S, P, WIDTH>(tile.values.add(at));
            }
            for column in 0..WIDTH {
                let key = P::load::<S>(keys.add((column * dim + group * P::PACK) * LANES));
                for row in 0..ROWS {
                    let query = S::splat(*tile.queries.add(group * ROWS + row));
                    total[column][row] = P::add::<S>(total[column][row], key, query);
                }
            }
        }
        for column in 0..WIDTH {
            for row in 0..ROWS {
                let to = scores.add(row * KV_BLOCK_SIZE + (panel + column) * LANES);
                S::store(to, total[column][row]);
            }
        }
        panel += WIDTH;
    }
}

/// Returns weighted sums of the values over the whole groups of positions `none .. all`, for
/// `WIDTH` vectors of dimensions from `chunk` on. The weights of positions before a row's window are
/// zero.
#[inline(always)]
unsafe fn weighted_sums<S: Simd, P: KvFormat, const ROWS: usize, const WIDTH: usize>(
    tile: &AttentionTile<'_>,
    weights: *const f32,
    (none, all): (usize, usize),
    chunk: usize,
) -> [[S::F; ROWS]; WIDTH] {
    let mut total = [[S::splat(0.0); ROWS]; WIDTH];
    for group in none / P::PACK..all / P::PACK {
        if ROWS < MAX_ROWS {
            let at = (chunk * KV_BLOCK_SIZE + group * P::PACK * WIDTH) * LANES;
            prefetch::<S, P, WIDTH>(tile.next_keys.add(at));
        }
        for column in 0..WIDTH {
            let value = P::load::<S>(values_of::<P>(tile, group, chunk + column));
            for row in 0..ROWS {
                let weight = S::splat(*weights.add(row * KV_BLOCK_SIZE + group));
                total[column][row] = P::add::<S>(total[column][row], value, weight);
            }
        }
    }
    total
}

/// Adds the positions of one row that [`weighted_sums`] left out: those from the last whole group of `all`
/// up to `visible`, the number of positions that the row sees.
#[inline(always)]
unsafe fn add_rest<S: Simd, P: KvFormat>(
    tile: &AttentionTile<'_>,
    mut total: S::F,
    weights: *const f32,
    all: usize,
    visible: usize,
    chunk: usize,
) -> S::F {
    for group in all / P::PACK..visible / P::PACK {
        let value = P::load::<S>(values_of::<P>(tile, group, chunk));
        total = P::add::<S>(total, value, S::splat(*weights.add(group)));
    }
    if !visible.is_multiple_of(P::PACK) {
        // The group's second position is not visible to the row and may hold anything.
        let group = visible / P::PACK;
        let value = P::load_first::<S>(values_of::<P>(tile, group, chunk));
        total = P::add::<S>(total, value, S::splat(*weights.add(group)));
    }
    total
}

/// Returns the address of sixteen dimensions of the values of a group of positions.
#[inline(always)]
unsafe fn values_of<P: KvFormat>(
    tile: &AttentionTile<'_>,
    group: usize,
    chunk: usize,
) -> *const u16 {
    tile.values.add(P::PACK * (group * tile.dim + chunk * LANES))
}

/// Prefetches as many cache lines as a step reads; a line holds two vectors of sixteen 16-bit
/// numbers.
#[inline(always)]
unsafe fn prefetch<S: Simd, P: KvFormat, const WIDTH: usize>(at: *const u16) {
    (0..WIDTH * P::PACK).step_by(2).for_each(|i| S::prefetch(at.add(i * LANES).cast()));
}

/// Replaces the scores of each row, `[row][64]`, by the exponentials of their difference from the
/// row's largest. Returns the largest scores and the sums of the exponentials. A row may see nothing
/// if `some_hidden`; its sum is then 0.
#[inline(always)]
unsafe fn softmax_block<S: Simd, const ROWS: usize>(
    scores: *mut f32,
    some_hidden: bool,
) -> ([f32; ROWS], [f32; ROWS]) {
    let mut lanes = [S::splat(0.0); ROWS];
    for row in 0..ROWS {
        let at = scores.add(row * KV_BLOCK_SIZE);
        let first = S::max(S::load(at), S::load(at.add(LANES)));
        let last = S::max(S::load(at.add(2 * LANES)), S::load(at.add(3 * LANES)));
        lanes[row] = S::max(first, last);
    }
    let mut largest = [0.0; ROWS];
    if ROWS == MAX_ROWS {
        let mut each = [lanes[0]; MAX_ROWS];
        (0..MAX_ROWS).for_each(|row| each[row] = lanes[row % ROWS]);
        largest.copy_from_slice(&S::largest_of_each(each));
    } else {
        for row in 0..ROWS {
            largest[row] = S::largest(lanes[row]);
        }
    }
    if some_hidden {
        // A finite number, since the difference of two infinities is no number.
        largest.iter_mut().for_each(|x| *x = x.max(f32::MIN));
    }
    for row in 0..ROWS {
        let shift = S::splat(largest[row]);
        let mut sum = S::splat(0.0);
        for quarter in 0..KV_BLOCK_SIZE / LANES {
            let at = scores.add(row * KV_BLOCK_SIZE + quarter * LANES);
            let weight = math::exp_of_negative::<S>(S::sub(S::load(at), shift));
            S::store(at, weight);
            sum = S::add(sum, weight);
        }
        lanes[row] = sum;
    }
    let mut sums = [0.0; ROWS];
    if ROWS == MAX_ROWS {
        let mut each = [lanes[0]; MAX_ROWS];
        (0..MAX_ROWS).for_each(|row| each[row] = lanes[row % ROWS]);
        sums.copy_from_slice(&S::sums(each));
    } else {
        for row in 0..ROWS {
            sums[row] = S::sum(lanes[row]);
        }
    }
    (largest, sums)
}

/// Computes the weighted sums of `WIDTH` times sixteen dimensions of the values and writes them to
/// the states, or combines them.
#[inline(always)]
unsafe fn add_values<S: Simd, P: KvFormat, const ROWS: usize, const WIDTH: usize>(
    tile: &AttentionTile<'_>,
    weights: *const f32,
    factors: &[f32; LANES],
    (none, all): (usize, usize),
    chunk: usize,
) {
    let len = state_len(tile.dim);
    let total = weighted_sums::<S, P, ROWS, WIDTH>(tile, weights, (none, all), chunk);
    for row in 0..ROWS {
        for column in 0..WIDTH {
            let (weights, visible) = (weights.add(row * KV_BLOCK_SIZE), tile.visible[row]);
            let chunk = chunk + column;
            let total = total[column][row];
            let mut total = add_rest::<S, P>(tile, total, weights, all, visible, chunk);
            let to = tile.out.add(row * len + 2 + chunk * LANES);
            if tile.joins {
                let taken = S::mul(total, S::splat(factors[MAX_ROWS + row]));
                total = S::fma(S::load(to), S::splat(factors[row]), taken);
            }
            S::store(to, total);
        }
    }
}
