//! Softmax state of a row over the KV blocks it has seen (arXiv 2205.14135, section 3.1): largest
//! score, sum of weights, weighted sum of values. Also the merging of two states.

#![allow(unsafe_code)]
// Kernels rely on the contract of `Simd`.
#![allow(unsafe_op_in_unsafe_fn)]

use crate::simd::{LANES, Simd, math, per_isa};

/// Maximum number of rows whose states are merged at once: the rows of a tile.
pub(super) const MAX_ROWS: usize = 8;

/// Returns the elements of a row's state: largest score, sum, then `dim` elements of the weighted
/// sum.
pub(crate) fn state_len(dim: usize) -> usize {
    2 + dim
}

per_isa! {
    /// Combines the states of all KV blocks, `[block][row]`, into those of the first, and divides by
    /// the sums. `out` is `[row][dim]`.
    ///
    /// # Safety
    /// The slices have the lengths of these shapes.
    pub(crate) unsafe fn merge_states(
        states: &mut [f32], n_rows: usize, dim: usize, out: &mut [f32],
    ) = merge_all;
}

/// Writes the largest scores and sums of a KV block to the states at `states`, or combines them
/// with those there if `joins`. Returns, only if `joins`, the factors of the previous states (from
/// index 0) and of the KV block (from index [`MAX_ROWS`]).
#[inline(always)]
pub(super) unsafe fn merge_sums<S: Simd, const ROWS: usize>(
    states: *mut f32,
    dim: usize,
    joins: bool,
    largest: &[f32; ROWS],
    sums: &[f32; ROWS],
) -> [f32; LANES] {
    let len = state_len(dim);
    let mut factors = [0.0; LANES];
    if !joins {
        for row in 0..ROWS {
            *states.add(row * len) = largest[row];
            *states.add(row * len + 1) = sums[row];
        }
        return factors;
    }
    for row in 0..ROWS {
        let state = states.add(row * len);
        let (before, now) = (*state, largest[row]);
        let largest = if now > before { now } else { before };
        factors[row] = before - largest;
        factors[MAX_ROWS + row] = now - largest;
        *state = largest;
    }
    let exponentials = math::exp_of_negative::<S>(S::load(factors.as_ptr()));
    S::store(factors.as_mut_ptr(), exponentials);
    for row in 0..ROWS {
        let sum = states.add(row * len + 1);
        *sum = (*sum).mul_add(factors[row], sums[row] * factors[MAX_ROWS + row]);
    }
    factors
}

/// Combines the state of a later KV block, `part`, into `state`.
#[inline(always)]
unsafe fn merge<S: Simd>(state: *mut f32, part: *const f32, dim: usize) {
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
unsafe fn merge_all<S: Simd>(states: &mut [f32], n_rows: usize, dim: usize, out: &mut [f32]) {
    let len = state_len(dim);
    let n_blocks = states.len() / (n_rows * len);
    let states = states.as_mut_ptr();
    for row in 0..n_rows {
        let state = states.add(row * len);
        for block in 1..n_blocks {
            merge::<S>(state, states.add((block * n_rows + row) * len), dim);
        }
        let sum = S::splat(*state.add(1));
        for chunk in 0..dim / LANES {
            let mixed = S::div(S::load(state.add(2 + chunk * LANES)), sum);
            S::store(out.as_mut_ptr().add(row * dim + chunk * LANES), mixed);
        }
    }
}
