//! Register tiles: one panel, or two panels of float weights, times one tile of rows.

#![allow(unsafe_code)]
// Kernels rely on the contracts of `Simd`, `QuantFormat` and `LinearJob`.
#![allow(unsafe_op_in_unsafe_fn)]
// Loops over the rows of a tile are unrolled; one index runs through several arrays of registers.
#![allow(clippy::needless_range_loop)]

use super::activations::{Quantized, Tile};
use super::digits::DigitsView;
use super::format::{self, BLOCK, FloatFormat, PANEL, Packing, QuantFormat};
use crate::Isa;
use crate::simd::{Simd, per_isa};

/// Panels of float weights that a tile is multiplied with at once. Two panels give enough sums to
/// hide the latency of a multiply-add, and two multiply-adds per loaded element of the input.
pub(crate) const FLOAT_PANELS: usize = 2;

/// Prefetch distance in bytes while a panel is read for the first time. Memory latency is longer
/// than the time a core needs for a block, and hardware prefetchers stop at the end of a page.
const AHEAD: usize = 4096;
const LINE: usize = 64;

/// Use of the result of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultMode {
    /// Overwrites `y`.
    Write,
    /// Is added to `y`.
    Add,
}

/// Product of some panels with some tiles.
pub(crate) struct LinearJob<'a> {
    pub(crate) packing: Packing,
    /// The first panel: `blocks` blocks of quants, then the scales.
    pub(crate) panel: *const u8,
    /// Number of panels from there on, at most [`max_panels`](super::panels::max_panels).
    pub(crate) panels: usize,
    pub(crate) blocks: usize,
    /// Columns of the matrix: the distance between rows of a float input.
    pub(crate) cols: usize,
    pub(crate) tiles: &'a [Tile],
    /// Index of the first of these tiles in the input.
    pub(crate) first_tile: usize,
    pub(crate) input: LinearInput<'a>,
    /// The first panel's results for row 0; rows of results are `stride` apart.
    pub(crate) y: *mut f32,
    pub(crate) stride: usize,
    /// Channels of the matrix in these panels.
    pub(crate) channels: usize,
    pub(crate) output: ResultMode,
}

/// An input in the form that the panel's format requires.
#[derive(Clone, Copy)]
pub(crate) enum LinearInput<'a> {
    Quantized(&'a Quantized),
    /// Row by row, as the caller passed it.
    Float(&'a [f32]),
}

impl LinearJob<'_> {
    /// The scales of the first panel.
    pub(super) fn scales<Q: QuantFormat>(&self) -> *const u8 {
        self.panel.wrapping_add(self.blocks * Q::PACKING.quant_bytes())
    }
}

/// Returns the maximum number of rows of a tile on an instruction set.
pub(crate) fn max_rows(isa: Isa) -> usize {
    // SAFETY: the kernel reads a constant.
    unsafe { rows_of(isa) }
}

per_isa! { unsafe fn rows_of() -> usize = rows_constant; }
per_isa! {
    /// Multiplies a panel of quantized weights.
    pub(super) unsafe fn quant_panel<Q: QuantFormat>(job: &LinearJob<'_>) = all_tiles;
}
per_isa! {
    /// Multiplies panels of float weights.
    pub(super) unsafe fn float_panels<T: FloatFormat>(job: &LinearJob<'_>) = all_float_tiles;
}

#[inline(always)]
unsafe fn rows_constant<S: Simd>() -> usize {
    S::ROWS
}

#[inline(always)]
unsafe fn all_tiles<S: Simd, Q: QuantFormat>(job: &LinearJob<'_>) {
    let LinearInput::Quantized(input) = job.input else { return };
    for (index, &at) in job.tiles.iter().enumerate() {
        one_tile::<S, Q>(job, input, at, job.first_tile + index);
    }
}

/// Multiplies a panel with tile number `number` of the input.
#[inline(always)]
pub(super) unsafe fn one_tile<S: Simd, Q: QuantFormat>(
    job: &LinearJob<'_>,
    input: &Quantized,
    at: Tile,
    number: usize,
) {
    match at.rows {
        8 if S::ROWS >= 8 => tile::<S, Q, 8>(job, input, at, number),
        4 if S::ROWS >= 4 => tile::<S, Q, 4>(job, input, at, number),
        2 => tile::<S, Q, 2>(job, input, at, number),
        _ => tile::<S, Q, 1>(job, input, at, number),
    }
}

/// The part of a job that concerns one of its panels of quantized weights.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) fn panel_of<'a>(job: &LinearJob<'a>, panel: usize) -> LinearJob<'a> {
    LinearJob {
        panel: job.panel.wrapping_add(panel * job.packing.panel_bytes(job.blocks)),
        panels: 1,
        y: job.y.wrapping_add(panel * PANEL),
        channels: (job.channels - panel * PANEL).min(PANEL),
        ..*job
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, Q: QuantFormat, const ROWS: usize>(
    job: &LinearJob<'_>,
    input: &Quantized,
    at: Tile,
    number: usize,
) {
    let offset = match Q::PACKING.offset() {
        Some(format::Offset::Wide) if S::WIDE_IS_CENTRED => None,
        other => other,
    };
    let mut total = [S::splat(0.0); ROWS];
    let view = input.tile(at, offset);
    let step = Q::PACKING.panel_bytes(job.blocks) / job.blocks.max(1);
    for block in 0..job.blocks {
        if number == job.first_tile {
            // The scales after the quants are spread evenly over the steps of the blocks.
            let next = job.panel.wrapping_add(block * step + AHEAD);
            for at in (0..step).step_by(LINE) {
                S::prefetch(next.wrapping_add(at));
            }
        }
        let at = At { index: block, block, rows: u8::MAX, is_corrected: offset.is_some() };
        add_products::<S, Q, ROWS>(job, &view, at, &mut total);
    }
    extra_blocks::<S, Q, ROWS>(job, input, number, offset, &mut total);
    for row in 0..ROWS {
        store::<S>(job, at.first + row, 0, total[row]);
    }
}

/// Adds the products of the second digits of tile number `number`.
#[inline(always)]
pub(super) unsafe fn extra_blocks<S: Simd, Q: QuantFormat, const ROWS: usize>(
    job: &LinearJob<'_>,
    input: &Quantized,
    number: usize,
    offset: Option<format::Offset>,
    total: &mut [S::F; ROWS],
) {
    let Some((blocks, view)) = input.extra(number, offset) else { return };
    for (index, &(block, rows)) in blocks.iter().enumerate() {
        let at = At { index, block, rows, is_corrected: offset.is_some() };
        add_products::<S, Q, ROWS>(job, &view, at, total);
    }
}

/// A block of a panel, and the digits that it is multiplied with.
struct At {
    /// Index of the block in the digits.
    index: usize,
    /// Index of the block in the panel.
    block: usize,
    /// Bit `i` is set if the product counts for row `i`.
    rows: u8,
    /// Whether the digits have corrections for the format's offset.
    is_corrected: bool,
}

/// Adds the products of a block to the totals of the rows.
#[inline(always)]
unsafe fn add_products<S: Simd, Q: QuantFormat, const ROWS: usize>(
    job: &LinearJob<'_>,
    view: &DigitsView,
    at: At,
    total: &mut [S::F; ROWS],
) {
    let scales = job.scales::<Q>();
    let sums = view.sums.add(at.index * ROWS);
    let row_scales = view.scales.add(at.index * ROWS);
    let counts = |row: usize| at.rows == u8::MAX || (at.rows >> row) & 1 == 1;
    for half in 0..if Q::HALVES { 2 } else { 1 } {
        let dots = dots::<S, Q, ROWS>(job, view, &at, half);
        let scale = Q::scale::<S>(scales, at.block, half);
        for row in 0..ROWS {
            if counts(row) {
                let row_scale = S::splat(*row_scales.add(row));
                let dots = S::to_float(dots[row]);
                total[row] = S::fma(S::mul(scale, row_scale), dots, total[row]);
            }
        }
    }
    if Q::HAS_MIN {
        let min = Q::min::<S>(scales, at.block);
        for row in 0..ROWS {
            if counts(row) {
                total[row] = S::fma(min, S::splat(*sums.add(row)), total[row]);
            }
        }
    }
}

/// Dot products of a block with each row's digits; of one half of it if the format has a scale for
/// each.
#[inline(always)]
unsafe fn dots<S: Simd, Q: QuantFormat, const ROWS: usize>(
    job: &LinearJob<'_>,
    view: &DigitsView,
    at: &At,
    half: usize,
) -> [S::I; ROWS] {
    let x = view.values.add(at.index * BLOCK * ROWS);
    let quants = job.panel.add(at.block * Q::PACKING.quant_bytes());
    let mut dots = [S::dots_from(0); ROWS];
    if at.is_corrected {
        let sums = if Q::HALVES { 2 } else { 1 };
        let corrections = view.corrections.add((at.index * sums + half) * ROWS);
        for row in 0..ROWS {
            dots[row] = S::dots_from(*corrections.add(row));
        }
    }
    // A second chain if there are too few rows to hide the latency of the dot product.
    let mut second = [S::dots_from(0); ROWS];
    for c in 0..4 {
        let (low, high) = Q::pair::<S>(quants, c);
        let (x_low, x_high) = (x.add(4 * c * ROWS), x.add(4 * (c + 4) * ROWS));
        if Q::HALVES {
            let (w, x) = if half == 0 { (low, x_low) } else { (high, x_high) };
            add_group::<S, Q, ROWS>(&mut dots, w, x, c);
        } else if ROWS < 4 {
            add_group::<S, Q, ROWS>(&mut dots, low, x_low, c);
            add_group::<S, Q, ROWS>(&mut second, high, x_high, c);
        } else {
            add_group::<S, Q, ROWS>(&mut dots, low, x_low, 2 * c);
            add_group::<S, Q, ROWS>(&mut dots, high, x_high, 2 * c + 1);
        }
    }
    let mut sums = sums_of::<S, ROWS>(&dots);
    if !Q::HALVES && ROWS < 4 {
        let second = sums_of::<S, ROWS>(&second);
        for row in 0..ROWS {
            sums[row] = S::int_add(sums[row], second[row]);
        }
    }
    sums
}

#[inline(always)]
unsafe fn sums_of<S: Simd, const ROWS: usize>(dots: &[S::D; ROWS]) -> [S::I; ROWS] {
    let mut sums = [S::int_splat(0); ROWS];
    for row in 0..ROWS {
        sums[row] = S::sums_of_dots(dots[row]);
    }
    sums
}

/// Adds the products of a group to sums that `before` groups were added to.
#[inline(always)]
unsafe fn add_group<S: Simd, Q: QuantFormat, const ROWS: usize>(
    dots: &mut [S::D; ROWS],
    w: S::W,
    x: *const i8,
    before: usize,
) {
    for row in 0..ROWS {
        dots[row] = Q::dot::<S>(dots[row], w, x.add(4 * row));
    }
    // With wider weights the sums are widened in between, which the fixed order slows down.
    if Q::GROUPS >= 8 && ROWS >= 4 {
        S::keep_order();
    }
    if (before + 1).is_multiple_of(Q::GROUPS) {
        for row in 0..ROWS {
            dots[row] = S::widen(dots[row]);
        }
    }
}

#[inline(always)]
unsafe fn all_float_tiles<S: Simd, T: FloatFormat>(job: &LinearJob<'_>) {
    if job.panels == FLOAT_PANELS {
        float_tiles::<S, T, FLOAT_PANELS>(job);
    } else {
        float_tiles::<S, T, 1>(job);
    }
}

#[inline(always)]
unsafe fn float_tiles<S: Simd, T: FloatFormat, const WIDTH: usize>(job: &LinearJob<'_>) {
    let LinearInput::Float(x) = job.input else { return };
    for &at in job.tiles {
        let x = x.as_ptr().add(at.first * job.cols);
        match at.rows {
            8 if S::ROWS >= 8 => float_tile::<S, T, 8, WIDTH>(job, x, at.first),
            4 if S::ROWS >= 4 => float_tile::<S, T, 4, WIDTH>(job, x, at.first),
            2 => float_tile::<S, T, 2, WIDTH>(job, x, at.first),
            _ => float_tile::<S, T, 1, WIDTH>(job, x, at.first),
        }
    }
}

/// Multiplies float panels with a tile of rows. Each block is summed from zero and then added to
/// the total, so that rounding errors do not grow with every column of a long row.
#[inline(always)]
unsafe fn float_tile<S: Simd, T: FloatFormat, const ROWS: usize, const WIDTH: usize>(
    job: &LinearJob<'_>,
    x: *const f32,
    first: usize,
) {
    let panel_bytes = job.blocks * BLOCK * PANEL * T::BYTES;
    let mut total = [[S::splat(0.0); ROWS]; WIDTH];
    let mut start = 0;
    while start < job.cols {
        let mut part = [[S::splat(0.0); ROWS]; WIDTH];
        for column in start..job.cols.min(start + BLOCK) {
            let weights = job.panel.add(column * PANEL * T::BYTES);
            let mut w = [S::splat(0.0); WIDTH];
            for panel in 0..WIDTH {
                w[panel] = T::load::<S>(weights.add(panel * panel_bytes));
            }
            for row in 0..ROWS {
                let x = S::splat(*x.add(row * job.cols + column));
                for panel in 0..WIDTH {
                    part[panel][row] = S::fma(w[panel], x, part[panel][row]);
                }
            }
        }
        for panel in 0..WIDTH {
            for row in 0..ROWS {
                total[panel][row] = S::add(total[panel][row], part[panel][row]);
            }
        }
        start += BLOCK;
    }
    for panel in 0..WIDTH {
        for row in 0..ROWS {
            store::<S>(job, first + row, panel, total[panel][row]);
        }
    }
}

#[inline(always)]
pub(super) unsafe fn store<S: Simd>(job: &LinearJob<'_>, row: usize, panel: usize, total: S::F) {
    let channels = job.channels - panel * PANEL;
    let y = job.y.add(row * job.stride + panel * PANEL);
    if channels >= PANEL {
        let total = if job.output == ResultMode::Add { S::add(S::load(y), total) } else { total };
        S::store(y, total);
        return;
    }
    let mut lanes = [0.0; PANEL];
    S::store(lanes.as_mut_ptr(), total);
    for (channel, &lane) in lanes.iter().enumerate().take(channels) {
        let y = y.add(channel);
        *y = if job.output == ResultMode::Add { *y + lane } else { lane };
    }
}
