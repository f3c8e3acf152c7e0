//! Attention of some rows over one KV block.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `Simd` and `AttentionUnit`.
#![allow(unsafe_op_in_unsafe_fn)]
// Loops over the rows of a tile are unrolled; one index runs through several arrays of registers.
#![allow(clippy::needless_range_loop)]

use std::mem::MaybeUninit;

use super::RUN;
use super::bf16::{Brain, ByMultiplyAdd};
use super::cache::KvPrecision;
use super::f16::Half;
use super::products::{Products, add_rest, mixed, scores};
use super::states::{put_sums, state_len};
use crate::Tier;
use crate::simd::{LANES, Simd, math, per_tier};

/// Maximum number of rows of a tile.
pub(super) const MOST_ROWS: usize = 8;

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
    pub(crate) runs: &'a [&'a [u16]],
    /// Offset of the head's keys in a KV block; `values_at` is that of its values.
    pub(crate) keys_at: usize,
    pub(crate) values_at: usize,
}

/// Processes KV blocks `first_run .. first_run + n_runs` of a unit. If `states` holds a state for
/// each KV block and row, `[run][row]`, each pair gets its own; if it holds one for each row, the
/// KV blocks are combined.
///
/// # Safety
/// `states` has one of these two lengths. The KV blocks hold the positions that the rows see, with
/// heads of `dim` elements, in the format `precision`.
pub(crate) unsafe fn attend_runs(
    tier: Tier,
    precision: KvPrecision,
    unit: &AttentionUnit<'_>,
    first_run: usize,
    n_runs: usize,
    states: &mut [f32],
) {
    match precision {
        KvPrecision::F16 => by_tier::<Half>(tier, unit, first_run, n_runs, states),
        #[cfg(target_arch = "x86_64")]
        KvPrecision::Bf16 if super::bf16::is_native(tier) => {
            super::bf16::native(unit, first_run, n_runs, states);
        }
        KvPrecision::Bf16 => {
            by_tier::<Brain<ByMultiplyAdd>>(tier, unit, first_run, n_runs, states);
        }
    }
}

per_tier! {
    unsafe fn by_tier<P: Products>(
        unit: &AttentionUnit<'_>, first_run: usize, n_runs: usize, states: &mut [f32],
    ) = all_runs;
}

#[inline(always)]
pub(super) unsafe fn all_runs<S: Simd, P: Products>(
    unit: &AttentionUnit<'_>,
    first_run: usize,
    n_runs: usize,
    states: &mut [f32],
) {
    let (n_rows, dim) = (unit.n_rows, unit.dim);
    let len = state_len(dim);
    let separate = states.len() == n_runs * n_rows * len;
    let mut queries = vec![0.0; n_rows * dim];
    let mut first = 0;
    while first < n_rows {
        let rows = tile_rows::<S>(n_rows - first);
        let at = first * dim;
        P::interleave::<S>(unit.queries[at..].as_ptr(), rows, dim, queries[at..].as_mut_ptr());
        first += rows;
    }
    for index in 0..n_runs {
        let run = unit.runs[first_run + index];
        let next = unit.runs.get(first_run + index + 1).unwrap_or(&run);
        let run_start = (first_run + index) * RUN;
        let mut first = 0;
        while first < n_rows {
            let rows = tile_rows::<S>(n_rows - first);
            let mut visible = [0; MOST_ROWS];
            for row in 0..rows {
                visible[row] = (unit.positions[first + row] + 1 - run_start).min(RUN);
            }
            let at = if separate { (index * n_rows + first) * len } else { first * len };
            let tile = AttentionTile {
                queries: queries.as_ptr().add(first * dim),
                keys: run.as_ptr().add(unit.keys_at),
                values: run.as_ptr().add(unit.values_at),
                next_keys: next.as_ptr().add(unit.keys_at),
                dim,
                visible: &visible,
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
pub(super) struct AttentionTile<'a> {
    /// Queries in the order that [`Products::interleave`] writes.
    pub(super) queries: *const f32,
    pub(super) keys: *const u16,
    pub(super) values: *const u16,
    /// Keys of the next KV block; this one's if there is none.
    pub(super) next_keys: *const u16,
    pub(super) dim: usize,
    visible: &'a [usize; MOST_ROWS],
    /// States of the rows.
    out: *mut f32,
    /// Whether the KV block is combined with the states in `out`.
    joins: bool,
}

/// Processes two vectors side by side if there are enough registers. This hides the latency of a
/// multiply-add for few rows, and shares each load of a query's element for many.
#[inline(always)]
unsafe fn by_width<S: Simd, P: Products, const ROWS: usize>(tile: &AttentionTile<'_>) {
    if S::ROWS >= 8 {
        tile_of::<S, P, ROWS, 2>(tile);
    } else {
        tile_of::<S, P, ROWS, 1>(tile);
    }
}

#[inline(always)]
unsafe fn tile_of<S: Simd, P: Products, const ROWS: usize, const WIDTH: usize>(
    tile: &AttentionTile<'_>,
) {
    let dim = tile.dim;
    let most = tile.visible[..ROWS].iter().copied().max().unwrap_or(0);
    let all = tile.visible[..ROWS].iter().copied().min().unwrap_or(0);
    let mut weights = MaybeUninit::<[[f32; RUN]; ROWS]>::uninit();
    let weights = weights.as_mut_ptr().cast::<f32>();

    scores::<S, P, ROWS, WIDTH>(tile, most, weights);
    if all < RUN {
        for row in 0..ROWS {
            for position in tile.visible[row]..RUN {
                *weights.add(row * RUN + position) = f32::NEG_INFINITY;
            }
        }
    }
    let (largest, sums) = soften::<S, ROWS>(weights);
    let factors = put_sums::<S, ROWS>(tile.out, dim, tile.joins, &largest, &sums);
    for row in 0..ROWS {
        P::ready::<S>(weights.add(row * RUN));
    }

    let mut chunk = 0;
    while chunk + WIDTH <= dim / LANES {
        mix::<S, P, ROWS, WIDTH>(tile, weights, &factors, all, chunk);
        chunk += WIDTH;
    }
    if chunk < dim / LANES {
        mix::<S, P, ROWS, 1>(tile, weights, &factors, all, chunk);
    }
}

/// Replaces the scores of each row, `[row][64]`, by the exponentials of their difference from the
/// row's largest. Returns the largest scores and the sums of the exponentials.
#[inline(always)]
unsafe fn soften<S: Simd, const ROWS: usize>(scores: *mut f32) -> ([f32; ROWS], [f32; ROWS]) {
    let mut lanes = [S::splat(0.0); ROWS];
    for row in 0..ROWS {
        let at = scores.add(row * RUN);
        let first = S::max(S::load(at), S::load(at.add(LANES)));
        let last = S::max(S::load(at.add(2 * LANES)), S::load(at.add(3 * LANES)));
        lanes[row] = S::max(first, last);
    }
    let mut largest = [0.0; ROWS];
    if ROWS == MOST_ROWS {
        let mut each = [lanes[0]; MOST_ROWS];
        (0..MOST_ROWS).for_each(|row| each[row] = lanes[row % ROWS]);
        largest.copy_from_slice(&S::largest_of_each(each));
    } else {
        for row in 0..ROWS {
            largest[row] = S::largest(lanes[row]);
        }
    }
    for row in 0..ROWS {
        let shift = S::splat(largest[row]);
        let mut sum = S::splat(0.0);
        for quarter in 0..RUN / LANES {
            let at = scores.add(row * RUN + quarter * LANES);
            let weight = math::exp_of_negative::<S>(S::sub(S::load(at), shift));
            S::store(at, weight);
            sum = S::add(sum, weight);
        }
        lanes[row] = sum;
    }
    let mut sums = [0.0; ROWS];
    if ROWS == MOST_ROWS {
        let mut each = [lanes[0]; MOST_ROWS];
        (0..MOST_ROWS).for_each(|row| each[row] = lanes[row % ROWS]);
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
unsafe fn mix<S: Simd, P: Products, const ROWS: usize, const WIDTH: usize>(
    tile: &AttentionTile<'_>,
    weights: *const f32,
    factors: &[f32; LANES],
    all: usize,
    chunk: usize,
) {
    let len = state_len(tile.dim);
    let total = mixed::<S, P, ROWS, WIDTH>(tile, weights, all, chunk);
    for row in 0..ROWS {
        for column in 0..WIDTH {
            let (weights, visible) = (weights.add(row * RUN), tile.visible[row]);
            let chunk = chunk + column;
            let total = total[column][row];
            let mut total = add_rest::<S, P>(tile, total, weights, all, visible, chunk);
            let to = tile.out.add(row * len + 2 + chunk * LANES);
            if tile.joins {
                let taken = S::mul(total, S::splat(factors[MOST_ROWS + row]));
                total = S::fma(S::load(to), S::splat(factors[row]), taken);
            }
            S::store(to, total);
        }
    }
}
