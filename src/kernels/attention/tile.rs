//! Some rows against one run: largest score, sum and weighted sum of values; and the join of two.

#![allow(unsafe_code)]
// Kernels run under the contract of `Simd` and of `Unit`.
#![allow(unsafe_op_in_unsafe_fn)]
// Loops over the rows of a tile are unrolled; one index runs through several arrays of registers.
#![allow(clippy::needless_range_loop)]

use std::mem::MaybeUninit;

use half::f16;

use super::RUN;
use crate::kernels::simd::{LANES, Simd, math, per_tier};

/// Most rows of a tile.
pub(super) const MOST_ROWS: usize = 8;

/// Rows that share a key head and see the same runs, save for the last.
pub(crate) struct Unit<'a> {
    /// `[row][dim]`, scaled.
    pub(crate) queries: &'a [f32],
    pub(crate) n_rows: usize,
    /// Elements of a head, a multiple of sixteen.
    pub(crate) dim: usize,
    /// Position of each row in the sequence; all in one run.
    pub(crate) positions: &'a [usize],
    /// The sequence's runs.
    pub(crate) runs: &'a [&'a [f16]],
    /// Where the head's keys and values begin in a run.
    pub(crate) keys_at: usize,
    pub(crate) values_at: usize,
}

/// Elements of a row's state: largest score, sum, then `dim` elements of the weighted sum.
pub(crate) fn state_len(dim: usize) -> usize {
    2 + dim
}

per_tier! {
    /// Runs `first_run .. first_run + n_runs` of a unit. With as many states as there are runs
    /// and rows, `[run][row]`, each gets its own; with only as many as rows they are joined.
    ///
    /// # Safety
    /// `states` is as long as one of the two asks for; the runs hold the positions that the rows
    /// see, and heads of `dim`.
    pub(crate) unsafe fn attend_runs(
        unit: &Unit<'_>, first_run: usize, n_runs: usize, states: &mut [f32],
    ) = all_runs;
}

per_tier! {
    /// Joins the states of later runs, `[run][row]`, to those of the first, and divides:
    /// `out` is `[row][dim]`.
    ///
    /// # Safety
    /// Lengths are as stated.
    pub(crate) unsafe fn finish(
        states: &mut [f32], n_rows: usize, dim: usize, out: &mut [f32],
    ) = join_all;
}

#[inline(always)]
unsafe fn all_runs<S: Simd>(unit: &Unit<'_>, first_run: usize, n_runs: usize, states: &mut [f32]) {
    let (n_rows, dim) = (unit.n_rows, unit.dim);
    let len = state_len(dim);
    let separate = states.len() == n_runs * n_rows * len;
    // Each tile's queries interleaved, `[dim][row]`.
    let mut queries = vec![0.0; n_rows * dim];
    let mut first = 0;
    while first < n_rows {
        let rows = tile_rows::<S>(n_rows - first);
        for row in 0..rows {
            for d in 0..dim {
                queries[first * dim + d * rows + row] = unit.queries[(first + row) * dim + d];
            }
        }
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
            let tile = Tile {
                queries: queries.as_ptr().add(first * dim),
                keys: run.as_ptr().cast::<u16>().add(unit.keys_at),
                values: run.as_ptr().cast::<u16>().add(unit.values_at),
                next_keys: next.as_ptr().cast::<u16>().add(unit.keys_at),
                dim,
                visible: &visible,
                out: states[at..at + rows * len].as_mut_ptr(),
                joins: !separate && index > 0,
            };
            match rows {
                8 if S::ROWS >= 8 => by_width::<S, 8>(&tile),
                4 => by_width::<S, 4>(&tile),
                3 => by_width::<S, 3>(&tile),
                2 => by_width::<S, 2>(&tile),
                _ => by_width::<S, 1>(&tile),
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

struct Tile<'a> {
    queries: *const f32,
    keys: *const u16,
    values: *const u16,
    /// Keys of the run that comes after; the run's own where none does.
    next_keys: *const u16,
    dim: usize,
    visible: &'a [usize; MOST_ROWS],
    /// States of the rows.
    out: *mut f32,
    /// Whether the run is joined to what is there.
    joins: bool,
}

/// Two vectors side by side where there are registers for them: then few rows hide the latency of
/// a multiply-add, and many share each load of a query's element.
#[inline(always)]
unsafe fn by_width<S: Simd, const ROWS: usize>(tile: &Tile<'_>) {
    if S::ROWS >= 8 {
        tile_of::<S, ROWS, 2>(tile);
    } else {
        tile_of::<S, ROWS, 1>(tile);
    }
}

#[inline(always)]
unsafe fn tile_of<S: Simd, const ROWS: usize, const WIDTH: usize>(tile: &Tile<'_>) {
    let dim = tile.dim;
    let most = tile.visible[..ROWS].iter().copied().max().unwrap_or(0);
    let all = tile.visible[..ROWS].iter().copied().min().unwrap_or(0);
    let mut weights = MaybeUninit::<[[f32; RUN]; ROWS]>::uninit();
    let weights = weights.as_mut_ptr().cast::<f32>();

    let mut panel = 0;
    while panel * LANES < most {
        let mut total = [[S::splat(0.0); ROWS]; WIDTH];
        let keys = tile.keys.add(panel * dim * LANES);
        for d in 0..dim {
            if ROWS < MOST_ROWS {
                // A line is two sixteens; as many are asked for as were read.
                let at = (panel * dim + d * WIDTH) * LANES;
                (0..WIDTH).step_by(2).for_each(|i| S::prefetch(tile.values.add(at + 2 * i).cast()));
            }
            for column in 0..WIDTH {
                let key = S::load_f16(keys.add((column * dim + d) * LANES));
                for row in 0..ROWS {
                    let query = S::splat(*tile.queries.add(d * ROWS + row));
                    total[column][row] = S::fma(key, query, total[column][row]);
                }
            }
        }
        for column in 0..WIDTH {
            for row in 0..ROWS {
                let to = weights.add(row * RUN + (panel + column) * LANES);
                S::store(to, total[column][row]);
            }
        }
        panel += WIDTH;
    }

    if all < RUN {
        for row in 0..ROWS {
            for position in tile.visible[row]..RUN {
                *weights.add(row * RUN + position) = f32::NEG_INFINITY;
            }
        }
    }
    let (largest, sums) = soften::<S, ROWS>(weights);
    let factors = put_sums::<S, ROWS>(tile, &largest, &sums);

    let mut chunk = 0;
    while chunk + WIDTH <= dim / LANES {
        mix::<S, ROWS, WIDTH>(tile, weights, &factors, all, chunk);
        chunk += WIDTH;
    }
    if chunk < dim / LANES {
        mix::<S, ROWS, 1>(tile, weights, &factors, all, chunk);
    }
}

/// Turns the scores of each row, `[row][64]`, into exponentials of their distance from the row's
/// largest; gives the largest scores and the sums of the exponentials.
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

/// Writes the largest scores and sums of a run to the states, or joins them. Gives what the states
/// are multiplied with, then, from [`MOST_ROWS`] on, what the run is; both only for a join.
#[inline(always)]
unsafe fn put_sums<S: Simd, const ROWS: usize>(
    tile: &Tile<'_>,
    largest: &[f32; ROWS],
    sums: &[f32; ROWS],
) -> [f32; LANES] {
    let len = state_len(tile.dim);
    let mut factors = [0.0; LANES];
    if !tile.joins {
        for row in 0..ROWS {
            *tile.out.add(row * len) = largest[row];
            *tile.out.add(row * len + 1) = sums[row];
        }
        return factors;
    }
    for row in 0..ROWS {
        let state = tile.out.add(row * len);
        let (before, now) = (*state, largest[row]);
        let largest = if now > before { now } else { before };
        factors[row] = before - largest;
        factors[MOST_ROWS + row] = now - largest;
        *state = largest;
    }
    let exponentials = math::exp_of_negative::<S>(S::load(factors.as_ptr()));
    S::store(factors.as_mut_ptr(), exponentials);
    for row in 0..ROWS {
        let sum = tile.out.add(row * len + 1);
        *sum = (*sum).mul_add(factors[row], sums[row] * factors[MOST_ROWS + row]);
    }
    factors
}

/// Weighted sums of sixteen dimensions of the values, or twice sixteen.
#[inline(always)]
unsafe fn mix<S: Simd, const ROWS: usize, const WIDTH: usize>(
    tile: &Tile<'_>,
    weights: *const f32,
    factors: &[f32; LANES],
    all: usize,
    chunk: usize,
) {
    let (dim, len) = (tile.dim, state_len(tile.dim));
    let values = tile.values.add(chunk * LANES);
    let mut total = [[S::splat(0.0); ROWS]; WIDTH];
    for position in 0..all {
        if ROWS < MOST_ROWS {
            let at = (chunk * RUN + position * WIDTH) * LANES;
            S::prefetch(tile.next_keys.add(at).cast());
        }
        for column in 0..WIDTH {
            let value = S::load_f16(values.add(position * dim + column * LANES));
            for row in 0..ROWS {
                let weight = S::splat(*weights.add(row * RUN + position));
                total[column][row] = S::fma(value, weight, total[column][row]);
            }
        }
    }
    for row in 0..ROWS {
        for column in 0..WIDTH {
            let mut total = total[column][row];
            // Positions that other rows of the tile do not see.
            for position in all..tile.visible[row] {
                let value = S::load_f16(values.add(position * dim + column * LANES));
                total = S::fma(value, S::splat(*weights.add(row * RUN + position)), total);
            }
            let to = tile.out.add(row * len + 2 + (chunk + column) * LANES);
            if tile.joins {
                let taken = S::mul(total, S::splat(factors[MOST_ROWS + row]));
                total = S::fma(S::load(to), S::splat(factors[row]), taken);
            }
            S::store(to, total);
        }
    }
}

/// Joins a later run's state to `state`.
#[inline(always)]
unsafe fn join<S: Simd>(state: *mut f32, part: *const f32, dim: usize) {
    let (before, largest_of_part) = (*state, *part);
    let largest = if largest_of_part > before { largest_of_part } else { before };
    let mut factors = [0.0; LANES];
    factors[0] = before - largest;
    factors[1] = largest_of_part - largest;
    let exponentials = math::exp_of_negative::<S>(S::load(factors.as_ptr()));
    S::store(factors.as_mut_ptr(), exponentials);
    let [keep, take, ..] = factors;
    *state = largest;
    *state.add(1) = (*state.add(1)).mul_add(keep, *part.add(1) * take);
    let (keep, take) = (S::splat(keep), S::splat(take));
    for chunk in 0..dim / LANES {
        let at = 2 + chunk * LANES;
        let taken = S::mul(S::load(part.add(at)), take);
        S::store(state.add(at), S::fma(S::load(state.add(at)), keep, taken));
    }
}

#[inline(always)]
unsafe fn join_all<S: Simd>(states: &mut [f32], n_rows: usize, dim: usize, out: &mut [f32]) {
    let len = state_len(dim);
    let n_runs = states.len() / (n_rows * len);
    let states = states.as_mut_ptr();
    for row in 0..n_rows {
        let state = states.add(row * len);
        for run in 1..n_runs {
            join::<S>(state, states.add((run * n_rows + row) * len), dim);
        }
        let sum = S::splat(*state.add(1));
        for chunk in 0..dim / LANES {
            let mixed = S::div(S::load(state.add(2 + chunk * LANES)), sum);
            S::store(out.as_mut_ptr().add(row * dim + chunk * LANES), mixed);
        }
    }
}
