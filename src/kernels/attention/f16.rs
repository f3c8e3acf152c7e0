//! Products over keys and values of f16, in f32: one position, or one dimension, after the other.

#![allow(unsafe_code)]
// Kernels run under the contract of `Simd` and of `Products`.
#![allow(unsafe_op_in_unsafe_fn)]
#![allow(clippy::needless_range_loop)]

use super::RUN;
use super::tile::{MOST_ROWS, Products, Tile};
use crate::kernels::simd::{LANES, Simd};

/// Keys and values of f16; queries `[dim][row]`, weights as they are.
pub(super) struct Half;

impl Products for Half {
    #[inline(always)]
    unsafe fn interleave<S: Simd>(queries: *const f32, rows: usize, dim: usize, to: *mut f32) {
        for row in 0..rows {
            for d in 0..dim {
                *to.add(d * rows + row) = *queries.add(row * dim + d);
            }
        }
    }

    #[inline(always)]
    unsafe fn scores<S: Simd, const ROWS: usize, const WIDTH: usize>(
        tile: &Tile<'_>,
        most: usize,
        scores: *mut f32,
    ) {
        let dim = tile.dim;
        let mut panel = 0;
        while panel * LANES < most {
            let mut total = [[S::splat(0.0); ROWS]; WIDTH];
            let keys = tile.keys.add(panel * dim * LANES);
            for d in 0..dim {
                if ROWS < MOST_ROWS {
                    // A line is two sixteens; as many are asked for as were read.
                    let at = tile.values.add((panel * dim + d * WIDTH) * LANES);
                    (0..WIDTH).step_by(2).for_each(|i| S::prefetch(at.add(2 * i).cast()));
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
                    let to = scores.add(row * RUN + (panel + column) * LANES);
                    S::store(to, total[column][row]);
                }
            }
            panel += WIDTH;
        }
    }

    #[inline(always)]
    unsafe fn ready<S: Simd>(_weights: *mut f32) {}

    #[inline(always)]
    unsafe fn mixed<S: Simd, const ROWS: usize, const WIDTH: usize>(
        tile: &Tile<'_>,
        weights: *const f32,
        all: usize,
        chunk: usize,
    ) -> [[S::F; ROWS]; WIDTH] {
        let values = tile.values.add(chunk * LANES);
        let mut total = [[S::splat(0.0); ROWS]; WIDTH];
        for position in 0..all {
            if ROWS < MOST_ROWS {
                let at = (chunk * RUN + position * WIDTH) * LANES;
                S::prefetch(tile.next_keys.add(at).cast());
            }
            for column in 0..WIDTH {
                let value = S::load_f16(values.add(position * tile.dim + column * LANES));
                for row in 0..ROWS {
                    let weight = S::splat(*weights.add(row * RUN + position));
                    total[column][row] = S::fma(value, weight, total[column][row]);
                }
            }
        }
        total
    }

    #[inline(always)]
    unsafe fn add_rest<S: Simd>(
        tile: &Tile<'_>,
        mut total: S::F,
        weights: *const f32,
        all: usize,
        visible: usize,
        chunk: usize,
    ) -> S::F {
        for position in all..visible {
            let value = S::load_f16(tile.values.add(position * tile.dim + chunk * LANES));
            total = S::fma(value, S::splat(*weights.add(position)), total);
        }
        total
    }
}
