//! Scores and weighted sums of a tile, in the number format of the KV cache.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `Simd` and `Products`.
#![allow(unsafe_op_in_unsafe_fn)]
// Loops over the rows of a tile are unrolled; one index runs through several arrays of registers.
#![allow(clippy::needless_range_loop)]

use super::RUN;
use super::tile::{AttentionTile, MOST_ROWS};
use crate::simd::{LANES, Simd};

/// Multiplication in the number format of the KV cache: sixteen groups of [`Products::EACH`]
/// numbers with sixteen others.
///
/// # Safety
/// The contract of [`Simd`] holds; keys, values, queries and weights are laid out as the [`AttentionTile`]
/// says.
pub(super) trait Products: 'static {
    /// Numbers that are multiplied and added at a time in each lane: 1 or 2.
    const EACH: usize;
    /// Loads sixteen groups of keys or values.
    unsafe fn load<S: Simd>(from: *const u16) -> S::F;
    /// Like [`Products::load`], but only the first number of each group. Called only if `EACH` is
    /// 2.
    unsafe fn load_first<S: Simd>(from: *const u16) -> S::F;
    /// Adds to `total` the products of groups from the cache with groups of queries or weights.
    unsafe fn add<S: Simd>(total: S::F, kept: S::F, other: S::F) -> S::F;
    /// Reorders the queries of some rows from `[row][dim]` to groups, `[dim / EACH][row]`. `to`
    /// holds `rows * dim` numbers.
    unsafe fn interleave<S: Simd>(queries: *const f32, rows: usize, dim: usize, to: *mut f32);
    /// Converts the weights of a row, `[64]`, to groups, `[64 / EACH]`, in place.
    unsafe fn ready<S: Simd>(weights: *mut f32);
}

/// Writes the scores of the first `most` positions, rounded up to whole vectors, as `[row][64]`.
#[inline(always)]
pub(super) unsafe fn scores<S: Simd, P: Products, const ROWS: usize, const WIDTH: usize>(
    tile: &AttentionTile<'_>,
    most: usize,
    scores: *mut f32,
) {
    let dim = tile.dim;
    let mut panel = 0;
    while panel * LANES < most {
        let mut total = [[S::splat(0.0); ROWS]; WIDTH];
        let keys = tile.keys.add(panel * dim * LANES);
        for group in 0..dim / P::EACH {
            if ROWS < MOST_ROWS {
                let at = (panel * dim + group * P::EACH * WIDTH) * LANES;
                prefetch::<S, P, WIDTH>(tile.values.add(at));
            }
            for column in 0..WIDTH {
                let key = P::load::<S>(keys.add((column * dim + group * P::EACH) * LANES));
                for row in 0..ROWS {
                    let query = S::splat(*tile.queries.add(group * ROWS + row));
                    total[column][row] = P::add::<S>(total[column][row], key, query);
                }
            }
        }
        for column in 0..WIDTH {
            for row in 0..ROWS {
                let to = scores.add(row * RUN + (panel + column) * LANES);
                S::store(to, total[column][row]);
            }
        }
        panel += WIDTH;
    }
}

/// Returns weighted sums of the values over the whole groups of the first `all` positions, for
/// `WIDTH` vectors of dimensions from `chunk` on.
#[inline(always)]
pub(super) unsafe fn mixed<S: Simd, P: Products, const ROWS: usize, const WIDTH: usize>(
    tile: &AttentionTile<'_>,
    weights: *const f32,
    all: usize,
    chunk: usize,
) -> [[S::F; ROWS]; WIDTH] {
    let mut total = [[S::splat(0.0); ROWS]; WIDTH];
    for group in 0..all / P::EACH {
        if ROWS < MOST_ROWS {
            let at = (chunk * RUN + group * P::EACH * WIDTH) * LANES;
            prefetch::<S, P, WIDTH>(tile.next_keys.add(at));
        }
        for column in 0..WIDTH {
            let value = P::load::<S>(values_of::<P>(tile, group, chunk + column));
            for row in 0..ROWS {
                let weight = S::splat(*weights.add(row * RUN + group));
                total[column][row] = P::add::<S>(total[column][row], value, weight);
            }
        }
    }
    total
}

/// Adds the positions of one row that [`mixed`] left out: those from the last whole group of `all`
/// up to `visible`, the number of positions that the row sees.
#[inline(always)]
pub(super) unsafe fn add_rest<S: Simd, P: Products>(
    tile: &AttentionTile<'_>,
    mut total: S::F,
    weights: *const f32,
    all: usize,
    visible: usize,
    chunk: usize,
) -> S::F {
    for group in all / P::EACH..visible / P::EACH {
        let value = P::load::<S>(values_of::<P>(tile, group, chunk));
        total = P::add::<S>(total, value, S::splat(*weights.add(group)));
    }
    if !visible.is_multiple_of(P::EACH) {
        // The group's second position is not visible to the row and may hold anything.
        let group = visible / P::EACH;
        let value = P::load_first::<S>(values_of::<P>(tile, group, chunk));
        total = P::add::<S>(total, value, S::splat(*weights.add(group)));
    }
    total
}

/// Returns the address of sixteen dimensions of the values of a group of positions.
#[inline(always)]
unsafe fn values_of<P: Products>(
    tile: &AttentionTile<'_>,
    group: usize,
    chunk: usize,
) -> *const u16 {
    tile.values.add(P::EACH * (group * tile.dim + chunk * LANES))
}

/// Prefetches as many cache lines as a step reads; a line holds two vectors of sixteen 16-bit
/// numbers.
#[inline(always)]
unsafe fn prefetch<S: Simd, P: Products, const WIDTH: usize>(at: *const u16) {
    (0..WIDTH * P::EACH).step_by(2).for_each(|i| S::prefetch(at.add(i * LANES).cast()));
}
