//! The register tiles: one panel against one tile of rows.

#![allow(unsafe_code)]
// Kernels run under the contracts of `Simd`, `Format` and `Job`.
#![allow(unsafe_op_in_unsafe_fn)]
// Loops over the rows of a tile are unrolled; one index runs through several arrays of registers.
#![allow(clippy::needless_range_loop)]

use super::activations::{Quantized, Tile};
use super::format::{self, Float, Format, Packing};
use super::{BLOCK, Output, PANEL};
use crate::kernels::Tier;
use crate::kernels::simd::{Simd, per_tier};

/// One panel against some tiles.
pub(crate) struct Job<'a> {
    pub(crate) packing: Packing,
    /// The panel: `blocks` blocks of quants, then the scales.
    pub(crate) panel: *const u8,
    pub(crate) blocks: usize,
    pub(crate) tiles: &'a [Tile],
    pub(crate) input: Input<'a>,
    /// The first of the panel's results of row 0; rows of results lie `stride` apart.
    pub(crate) y: *mut f32,
    pub(crate) stride: usize,
    /// Channels of the panel that the matrix has.
    pub(crate) channels: usize,
    pub(crate) output: Output,
}

/// An input in the form that the panel's format wants.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Quantized(&'a Quantized),
    Float(&'a [f32]),
}

/// Runs a job.
///
/// # Safety
/// The panel is packed as `packing` with `blocks` blocks; the tiles were cut for the tier and the
/// input made for them; the panel's results of all tiles' rows may be written.
pub(crate) unsafe fn run(tier: Tier, job: &Job<'_>) {
    match job.packing {
        Packing::F32 => float_panel::<format::F32>(tier, job),
        Packing::F16 => float_panel::<format::F16>(tier, job),
        Packing::Bf16 => float_panel::<format::Bf16>(tier, job),
        Packing::Q4_0 => panel::<format::Q4_0>(tier, job),
        Packing::Q4_1 => panel::<format::Q4_1>(tier, job),
        Packing::Q5_0 => panel::<format::Q5_0>(tier, job),
        Packing::Q5_1 => panel::<format::Q5_1>(tier, job),
        Packing::Q8_0 => panel::<format::Q8_0>(tier, job),
        Packing::Q4K => panel::<format::Q4K>(tier, job),
        Packing::Q5K => panel::<format::Q5K>(tier, job),
        Packing::Q6K => panel::<format::Q6K>(tier, job),
    }
}

/// Most rows of a tile on a tier.
pub(crate) fn most_rows(tier: Tier) -> usize {
    // SAFETY: the kernel reads a constant.
    unsafe { rows_of(tier) }
}

per_tier! { unsafe fn rows_of() -> usize = rows_constant; }
per_tier! { unsafe fn panel<Q: Format>(job: &Job<'_>) = all_tiles; }
per_tier! { unsafe fn float_panel<T: Float>(job: &Job<'_>) = all_float_tiles; }

#[inline(always)]
unsafe fn rows_constant<S: Simd>() -> usize {
    S::ROWS
}

#[inline(always)]
unsafe fn all_tiles<S: Simd, Q: Format>(job: &Job<'_>) {
    let Input::Quantized(input) = job.input else { return };
    for &at in job.tiles {
        match at.rows {
            8 if S::ROWS >= 8 => tile::<S, Q, 8>(job, input, at.first),
            4 if S::ROWS >= 4 => tile::<S, Q, 4>(job, input, at.first),
            2 => tile::<S, Q, 2>(job, input, at.first),
            _ => tile::<S, Q, 1>(job, input, at.first),
        }
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, Q: Format, const ROWS: usize>(
    job: &Job<'_>,
    input: &Quantized,
    first: usize,
) {
    let from = first * job.blocks;
    let mut x = input.values.as_ptr().add(from * BLOCK);
    let mut row_scales = input.scales.as_ptr().add(from);
    let mut row_sums = input.sums.as_ptr().add(from);
    let mut quants = job.panel;
    let scales = job.panel.add(job.blocks * Q::PACKING.quant_bytes());
    let corrected = match Q::PACKING.offset() {
        Some(format::Offset::Wide) if S::WIDE_IS_CENTRED => None,
        other => other,
    };
    let per_block = if Q::HALVES { 2 * ROWS } else { ROWS };
    let mut corrections = match corrected {
        Some(offset) => {
            let each = if Q::HALVES { 2 } else { 1 };
            input.corrections[offset as usize].as_ptr().add(from * each)
        }
        None => std::ptr::null(),
    };
    let mut total = [S::splat(0.0); ROWS];
    for block in 0..job.blocks {
        let mut first = [S::int_splat(0); ROWS];
        let mut second = [S::int_splat(0); ROWS];
        if corrected.is_some() {
            for row in 0..ROWS {
                first[row] = S::int_splat(*corrections.add(row));
                if Q::HALVES {
                    second[row] = S::int_splat(*corrections.add(ROWS + row));
                }
            }
            corrections = corrections.add(per_block);
        }
        for c in 0..4 {
            let (low, high) = Q::pair::<S>(quants, c);
            let (x_low, x_high) = (x.add(4 * c * ROWS), x.add(4 * (c + 4) * ROWS));
            for row in 0..ROWS {
                first[row] = Q::dot::<S>(first[row], low, x_low.add(4 * row));
            }
            for row in 0..ROWS {
                // Two chains where rows are too few to hide the dot product's latency.
                if Q::HALVES || ROWS < 4 {
                    second[row] = Q::dot::<S>(second[row], high, x_high.add(4 * row));
                } else {
                    first[row] = Q::dot::<S>(first[row], high, x_high.add(4 * row));
                }
            }
        }
        if Q::HALVES {
            let scale = [Q::scale::<S>(scales, block, 0), Q::scale::<S>(scales, block, 1)];
            for row in 0..ROWS {
                let x_scale = S::splat(*row_scales.add(row));
                for (dot, scale) in [first[row], second[row]].into_iter().zip(scale) {
                    total[row] = S::fma(S::mul(scale, x_scale), S::to_float(dot), total[row]);
                }
            }
        } else {
            let scale = Q::scale::<S>(scales, block, 0);
            let min = Q::min::<S>(scales, block);
            for row in 0..ROWS {
                let dot = if ROWS < 4 { S::int_add(first[row], second[row]) } else { first[row] };
                let both = S::mul(scale, S::splat(*row_scales.add(row)));
                total[row] = S::fma(both, S::to_float(dot), total[row]);
                if Q::HAS_MIN {
                    total[row] = S::fma(min, S::splat(*row_sums.add(row)), total[row]);
                }
            }
        }
        quants = quants.add(Q::PACKING.quant_bytes());
        x = x.add(BLOCK * ROWS);
        row_scales = row_scales.add(ROWS);
        row_sums = row_sums.add(ROWS);
    }
    store::<S, ROWS>(job, first, total);
}

#[inline(always)]
unsafe fn all_float_tiles<S: Simd, T: Float>(job: &Job<'_>) {
    let Input::Float(input) = job.input else { return };
    for &at in job.tiles {
        match at.rows {
            8 if S::ROWS >= 8 => float_tile::<S, T, 8>(job, input, at.first),
            4 if S::ROWS >= 4 => float_tile::<S, T, 4>(job, input, at.first),
            2 => float_tile::<S, T, 2>(job, input, at.first),
            _ => float_tile::<S, T, 1>(job, input, at.first),
        }
    }
}

/// Each block is summed from zero and then added, so that a long row loses no more bits than a
/// block does.
#[inline(always)]
unsafe fn float_tile<S: Simd, T: Float, const ROWS: usize>(
    job: &Job<'_>,
    input: &[f32],
    first: usize,
) {
    let mut x = input.as_ptr().add(first * job.blocks * BLOCK);
    let mut weights = job.panel;
    let mut total = [S::splat(0.0); ROWS];
    for _ in 0..job.blocks {
        let mut part = [S::splat(0.0); ROWS];
        for _ in 0..BLOCK {
            let w = T::load::<S>(weights);
            for row in 0..ROWS {
                part[row] = S::fma(w, S::splat(*x.add(row)), part[row]);
            }
            weights = weights.add(PANEL * T::BYTES);
            x = x.add(ROWS);
        }
        for row in 0..ROWS {
            total[row] = S::add(total[row], part[row]);
        }
    }
    store::<S, ROWS>(job, first, total);
}

#[inline(always)]
unsafe fn store<S: Simd, const ROWS: usize>(job: &Job<'_>, first: usize, total: [S::F; ROWS]) {
    for (row, &total) in total.iter().enumerate() {
        let y = job.y.add((first + row) * job.stride);
        if job.channels < PANEL {
            let mut lanes = [0.0; PANEL];
            S::store(lanes.as_mut_ptr(), total);
            for (channel, &lane) in lanes.iter().enumerate().take(job.channels) {
                let y = y.add(channel);
                *y = if job.output == Output::Add { *y + lane } else { lane };
            }
        } else if job.output == Output::Add {
            S::store(y, S::add(S::load(y), total));
        } else {
            S::store(y, total);
        }
    }
}
