//! Bidirectional attention within each text of a batch.
//!
//! A task processes some heads of one text. It holds only the scores of up to eight rows against
//! `CHUNK` positions at a time; the softmax of a longer text is combined from these parts (arXiv
//! 2205.14135, section 3.1). Keys are laid out in panels of sixteen positions, `[panel][dim][16]`,
//! values as `[position][dim]`. Queries, keys and values are copied once, with their biases added.
//! Heads are padded to a multiple of sixteen elements, the positions of keys to a multiple of
//! `STEP`.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `Simd` and `TextHead`.
#![allow(unsafe_op_in_unsafe_fn)]
// Loops over the rows of a tile are unrolled; one index runs through several arrays of registers.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::error::check_length;
use super::shared::Shared;
use super::simd::{LANES, Simd, math, per_isa};
use super::{Error, Isa, Pool, Result};

/// Positions whose scores are held at a time.
const CHUNK: usize = 128;
/// Positions of two panels, whose scores are computed side by side.
const STEP: usize = 2 * LANES;
/// Maximum number of rows of a tile.
const MAX_ROWS: usize = 8;
/// Texts per thread from which on one task processes all heads of a text.
const TEXTS_A_THREAD: usize = 4;

/// Projected rows of the texts, one after another, `[n_rows, n_heads * head_dim]`, without their
/// bias, and that bias.
#[derive(Debug, Clone, Copy)]
pub struct ProjectedRows<'a> {
    /// The rows, without the bias.
    pub rows: &'a [f32],
    /// The bias, `[n_heads * head_dim]`.
    pub bias: &'a [f32],
}

/// Queries, keys and values.
#[derive(Debug, Clone, Copy)]
pub struct QkvRows<'a> {
    /// Number of heads.
    pub n_heads: usize,
    /// Queries; scores are scaled by `1 / sqrt(head_dim)`.
    pub queries: ProjectedRows<'a>,
    /// Keys.
    pub keys: ProjectedRows<'a>,
    /// Values.
    pub values: ProjectedRows<'a>,
}

/// Attention (arXiv 1706.03762, equation 1) of each text over itself. `texts` are ranges of rows
/// that do not overlap. `out` is `[n_rows, n_heads * head_dim]`; rows outside of all texts are left
/// unchanged.
///
/// # Errors
/// A length does not match its shape, or the texts are not ascending ranges of the rows.
pub fn attend(
    projections: &QkvRows<'_>,
    texts: &[Range<usize>],
    out: &mut [f32],
    isa: Isa,
    pool: &Pool,
) -> Result<()> {
    let QkvRows { n_heads, queries, .. } = *projections;
    let width = queries.bias.len();
    check(projections, texts, out)?;
    let head_dim = width / n_heads;
    let out = Shared::new(out);
    let n_shares = if texts.len() >= pool.threads() * TEXTS_A_THREAD { 1 } else { n_heads };
    pool.run(texts.len() * n_shares, |task| {
        let text = &texts[task / n_shares];
        let share = task % n_shares;
        let mut head = TextHead::new(text.len(), head_dim);
        for index in share * n_heads / n_shares..(share + 1) * n_heads / n_shares {
            // SAFETY: the head was allocated for the text's length and the projections' dimensions.
            unsafe {
                fill_head(isa, &mut head, projections, text.start, index);
                mix_head(isa, &mut head);
            }
            for (row, mixed) in head.mixed.chunks_exact(head.dim).enumerate() {
                let at = (text.start + row) * width + index * head_dim;
                // SAFETY: texts do not overlap, and each task has its own heads of its own text.
                unsafe { out.part(at..at + head_dim) }.copy_from_slice(&mixed[..head_dim]);
            }
        }
    });
    Ok(())
}

fn check(projections: &QkvRows<'_>, texts: &[Range<usize>], out: &[f32]) -> Result<()> {
    const OPERATION: &str = "bidirectional attention";
    let QkvRows { n_heads, queries, keys, values } = *projections;
    let width = queries.bias.len();
    if n_heads == 0 || width == 0 || !width.is_multiple_of(n_heads) {
        let expected = "a divisor of the rows' width, not 0";
        return Err(Error::Shape { operation: OPERATION, what: "n_heads", got: n_heads, expected });
    }
    check_length(OPERATION, "the keys' bias", keys.bias.len(), width)?;
    check_length(OPERATION, "the values' bias", values.bias.len(), width)?;
    let n_rows = out.len() / width;
    for (what, len) in [
        ("the output", out.len()),
        ("the queries", queries.rows.len()),
        ("the keys", keys.rows.len()),
        ("the values", values.rows.len()),
    ] {
        check_length(OPERATION, what, len, n_rows * width)?;
    }
    let mut end = 0;
    for text in texts {
        if text.start < end || text.end < text.start || text.end > n_rows {
            let expected = "ascending ranges of the rows";
            let got = text.start;
            return Err(Error::Shape { operation: OPERATION, what: "a text", got, expected });
        }
        end = text.end;
    }
    Ok(())
}

/// One head of one text.
struct TextHead {
    n: usize,
    head_dim: usize,
    /// `head_dim`, padded to a multiple of sixteen.
    dim: usize,
    /// Scaled queries, `[row][dim]`.
    queries: Vec<f32>,
    /// Keys, `[panel][dim][16]`, an even number of panels.
    keys: Vec<f32>,
    /// Values, `[position][dim]`.
    values: Vec<f32>,
    /// Results, `[row][dim]`.
    mixed: Vec<f32>,
}

impl TextHead {
    fn new(n: usize, head_dim: usize) -> Self {
        let dim = head_dim.next_multiple_of(LANES);
        let zeros = |n: usize| vec![0.0; n * dim];
        Self {
            n,
            head_dim,
            dim,
            queries: zeros(n),
            keys: zeros(n.next_multiple_of(STEP)),
            values: zeros(n),
            mixed: zeros(n),
        }
    }
}

per_isa! {
    /// Copies one head of a text's projections and adds their biases; the padding stays zero.
    ///
    /// # Safety
    /// `head` was created for the text's length and the projections' dimensions, which were
    /// checked.
    unsafe fn fill_head(
        head: &mut TextHead, projections: &QkvRows<'_>, start: usize, index: usize,
    ) = copy_head;
}

#[inline(always)]
unsafe fn copy_head<S: Simd>(
    head: &mut TextHead,
    projections: &QkvRows<'_>,
    start: usize,
    index: usize,
) {
    let QkvRows { queries, keys, values, .. } = projections;
    let (dim, head_dim) = (head.dim, head.head_dim);
    let (width, first) = (queries.bias.len(), index * head_dim);
    let scale = S::splat(1.0 / (head_dim as f32).sqrt());
    for position in 0..head.n {
        let at = (start + position) * width + first;
        let panel = head.keys.as_mut_ptr().add(position / LANES * LANES * dim + position % LANES);
        for d in (0..head_dim).step_by(LANES) {
            let n = LANES.min(head_dim - d);
            let of = |projection: &ProjectedRows<'_>| {
                let (row, bias) = (projection.rows.as_ptr(), projection.bias.as_ptr());
                S::add(few::<S>(row.add(at + d), n), few::<S>(bias.add(first + d), n))
            };
            let to = position * dim + d;
            S::store(head.queries.as_mut_ptr().add(to), S::mul(of(queries), scale));
            S::store(head.values.as_mut_ptr().add(to), of(values));
            let mut lanes = [0.0; LANES];
            S::store(lanes.as_mut_ptr(), of(keys));
            for (lane, key) in lanes.into_iter().enumerate() {
                *panel.add((d + lane) * LANES) = key;
            }
        }
    }
}

/// Loads `n` elements, at most sixteen, padded with zeros.
#[inline(always)]
unsafe fn few<S: Simd>(from: *const f32, n: usize) -> S::F {
    if n == LANES {
        return S::load(from);
    }
    let mut lanes = [0.0; LANES];
    std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), n);
    S::load(lanes.as_ptr())
}

per_isa! { unsafe fn mix_head(head: &mut TextHead) = all_tiles; }

#[inline(always)]
unsafe fn all_tiles<S: Simd>(head: &mut TextHead) {
    let out = head.mixed.as_mut_ptr();
    let mut first = 0;
    while first < head.n {
        let left = head.n - first;
        // The last tile overlaps the previous one if it would be partial; the shared rows are
        // recomputed to the same values.
        let (rows, at) = match left.checked_sub(S::ROWS) {
            None if head.n >= S::ROWS => (S::ROWS, head.n - S::ROWS),
            None => (1 << left.ilog2(), first),
            Some(_) => (S::ROWS, first),
        };
        let out = out.add(at * head.dim);
        match rows {
            8 if S::ROWS >= 8 => tile::<S, 8>(head, at, out),
            4 if S::ROWS >= 4 => tile::<S, 4>(head, at, out),
            2 => tile::<S, 2>(head, at, out),
            _ => tile::<S, 1>(head, at, out),
        }
        first = at + rows;
    }
}

/// Softmax state of a row: its largest score so far, and the sum of the weights relative to it.
#[derive(Clone, Copy)]
struct SoftmaxSoFar {
    largest: f32,
    sum: f32,
}

/// Computes attention of `ROWS` rows from `first` on, and writes it to `out` `[ROWS][dim]`.
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize>(head: &TextHead, first: usize, out: *mut f32) {
    let mut seen = [SoftmaxSoFar { largest: f32::NEG_INFINITY, sum: 0.0 }; MAX_ROWS];
    let mut weights = [[0.0_f32; CHUNK]; ROWS];
    let mut start = 0;
    while start < head.n {
        let n = CHUNK.min(head.n - start);
        score::<S, ROWS>(head, first, start, n, &mut weights);
        // Factors that rescale the previous sums to the new largest score.
        let mut keep = [0.0; MAX_ROWS];
        for row in 0..ROWS {
            keep[row] = softmax_chunk::<S>(&mut weights[row], n, &mut seen[row]);
        }
        let is_first = start == 0;
        let mut chunk = 0;
        while chunk + 2 <= head.dim / LANES {
            mix::<S, ROWS, 2>(head, &weights, start, n, is_first, &keep, chunk, out);
            chunk += 2;
        }
        if chunk < head.dim / LANES {
            mix::<S, ROWS, 1>(head, &weights, start, n, is_first, &keep, chunk, out);
        }
        start += CHUNK;
    }
    for row in 0..ROWS {
        let sum = S::splat(seen[row].sum);
        for chunk in 0..head.dim / LANES {
            let at = out.add(row * head.dim + chunk * LANES);
            S::store(at, S::div(S::load(at), sum));
        }
    }
}

/// Writes the scores of positions `start .. start + n`. Positions after these, up to a multiple of
/// `STEP`, get minus infinity.
#[inline(always)]
unsafe fn score<S: Simd, const ROWS: usize>(
    head: &TextHead,
    first: usize,
    start: usize,
    n: usize,
    weights: &mut [[f32; CHUNK]; ROWS],
) {
    let dim = head.dim;
    let queries = head.queries.as_ptr().add(first * dim);
    let mut at = 0;
    while at < n {
        let keys = head.keys.as_ptr().add((start + at) * dim);
        let mut total = [[S::splat(0.0); ROWS]; 2];
        for d in 0..head.head_dim {
            let low = S::load(keys.add(d * LANES));
            let high = S::load(keys.add((dim + d) * LANES));
            for row in 0..ROWS {
                let query = S::splat(*queries.add(row * dim + d));
                total[0][row] = S::fma(low, query, total[0][row]);
                total[1][row] = S::fma(high, query, total[1][row]);
            }
        }
        for row in 0..ROWS {
            let to = weights[row].as_mut_ptr().add(at);
            S::store(to, total[0][row]);
            S::store(to.add(LANES), total[1][row]);
        }
        at += STEP;
    }
    for row in weights {
        row[n..n.next_multiple_of(STEP)].fill(f32::NEG_INFINITY);
    }
}

/// Replaces scores by weights relative to the row's largest score so far. Returns the factor that
/// rescales earlier weights to it.
#[inline(always)]
unsafe fn softmax_chunk<S: Simd>(
    weights: &mut [f32; CHUNK],
    n: usize,
    seen: &mut SoftmaxSoFar,
) -> f32 {
    let at = weights.as_mut_ptr();
    let mut largest = S::load(at);
    for i in (LANES..n).step_by(LANES) {
        largest = S::max(largest, S::load(at.add(i)));
    }
    let largest = S::largest(largest);
    let largest = if seen.largest > largest { seen.largest } else { largest };
    let shift = S::splat(largest);
    let mut sum = S::splat(0.0);
    for i in (0..n).step_by(LANES) {
        let weight = math::exp::<S>(S::sub(S::load(at.add(i)), shift));
        S::store(at.add(i), weight);
        sum = S::add(sum, weight);
    }
    let mut factor = [0.0; LANES];
    S::store(factor.as_mut_ptr(), math::exp::<S>(S::splat(seen.largest - largest)));
    let keep = factor[0];
    *seen = SoftmaxSoFar { largest, sum: seen.sum.mul_add(keep, S::sum(sum)) };
    keep
}

/// Adds the weighted values of `n` positions from `start` on, in `WIDTH` times sixteen dimensions.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // Registers and pointers of one loop.
unsafe fn mix<S: Simd, const ROWS: usize, const WIDTH: usize>(
    head: &TextHead,
    weights: &[[f32; CHUNK]; ROWS],
    start: usize,
    n: usize,
    is_first: bool,
    keep: &[f32; MAX_ROWS],
    chunk: usize,
    out: *mut f32,
) {
    let dim = head.dim;
    let out = out.add(chunk * LANES);
    let mut total = [[S::splat(0.0); ROWS]; WIDTH];
    if !is_first {
        for row in 0..ROWS {
            let keep = S::splat(keep[row]);
            for column in 0..WIDTH {
                total[column][row] = S::mul(S::load(out.add(row * dim + column * LANES)), keep);
            }
        }
    }
    let values = head.values.as_ptr().add(start * dim + chunk * LANES);
    for position in 0..n {
        let mut value = [S::splat(0.0); WIDTH];
        for column in 0..WIDTH {
            value[column] = S::load(values.add(position * dim + column * LANES));
        }
        for row in 0..ROWS {
            let weight = S::splat(weights[row][position]);
            for column in 0..WIDTH {
                total[column][row] = S::fma(value[column], weight, total[column][row]);
            }
        }
    }
    for row in 0..ROWS {
        for column in 0..WIDTH {
            S::store(out.add(row * dim + column * LANES), total[column][row]);
        }
    }
}

#[cfg(test)]
mod tests;
