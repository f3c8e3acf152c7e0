//! Products with packed matrices, and their distribution over threads.

#![allow(unsafe_code)]

use super::activations::{Quantized, tiles};
use super::format::{BLOCK, Offset, PANEL};
use super::packed::PackedLinear;
use super::tile::{FLOAT_PANELS, LinearInput, LinearJob, ResultMode, max_rows, run};
use crate::error::check_length;
use crate::shared::Shared;
use crate::{Error, Pool, Result};

/// Bytes of an int8 input that stay in a core's cache while a panel is multiplied with them.
const NEAR: usize = 384 << 10;
/// The same for a float input. It is larger because rows are wider: a tile reads them again for
/// each pair of panels, while the panels come from a more distant cache.
const FLOATS_NEAR: usize = 768 << 10;
/// Minimum number of multiplications of a task, so that the fork pays off.
const MIN_WORK: usize = 1 << 16;
/// Tasks per thread. With several, a thread that is descheduled delays little work.
const TASKS_A_THREAD: usize = 4;

impl PackedLinear {
    /// `y = x · Wᵀ` for `n` rows of `x`. If a block of `x` holds NaN or infinity, the results of
    /// its row are NaN. A block whose numbers are all below 1e-30 in magnitude counts as zero.
    ///
    /// # Errors
    /// `x` is not `[n, cols]` or `y` not `[n, rows]`.
    pub fn forward(&self, x: &[f32], n: usize, y: &mut [f32], pool: &Pool) -> Result<()> {
        product(&[self], x, n, &mut [y], ResultMode::Write, pool)
    }

    /// `y += x · Wᵀ`, otherwise as [`PackedLinear::forward`].
    ///
    /// # Errors
    /// As [`PackedLinear::forward`].
    pub fn forward_add(&self, x: &[f32], n: usize, y: &mut [f32], pool: &Pool) -> Result<()> {
        product(&[self], x, n, &mut [y], ResultMode::Add, pool)
    }
}

/// Products of one input with several matrices of equal width. `x` is quantized once, and the
/// panels of all matrices are distributed over the threads together. `ys[i]` is
/// `[n, linears[i].rows()]`.
///
/// # Errors
/// As [`PackedLinear::forward`]; also if the matrices differ in width, or the number of `ys` is not
/// that of the matrices.
pub fn forward_many(
    linears: &[&PackedLinear],
    x: &[f32],
    n: usize,
    ys: &mut [&mut [f32]],
    pool: &Pool,
) -> Result<()> {
    product(linears, x, n, ys, ResultMode::Write, pool)
}

fn product(
    linears: &[&PackedLinear],
    x: &[f32],
    n: usize,
    ys: &mut [&mut [f32]],
    output: ResultMode,
    pool: &Pool,
) -> Result<()> {
    check_length("linear", "the outputs", ys.len(), linears.len())?;
    let Some(first) = linears.first() else { return Ok(()) };
    let (cols, isa) = (first.cols, first.isa);
    check_length("linear", "x", x.len(), n * cols)?;
    for (linear, y) in linears.iter().zip(ys.iter()) {
        if linear.cols != cols {
            return Err(Error::SharedInput { got: linear.cols, expected: cols });
        }
        check_length("linear", "y", y.len(), n * linear.rows)?;
    }
    if n == 0 {
        return Ok(());
    }
    let tiles = tiles(n, max_rows(isa));
    let some_float = linears.iter().any(|linear| linear.packing.is_float());
    let quantized = linears.iter().any(|linear| !linear.packing.is_float()).then(|| {
        let offsets: Vec<_> = Offset::ALL
            .into_iter()
            .filter(|offset| linears.iter().any(|l| l.packing.offset() == Some(*offset)))
            .collect();
        Quantized::new(x, cols, &tiles, &offsets, isa, pool)
    });

    let blocks = cols.div_ceil(BLOCK);
    let rows_near = if some_float { FLOATS_NEAR / (4 * cols).max(1) } else { NEAR / cols.max(1) };
    let rows_near = rows_near.max(tiles[0].rows);
    let tiles_near = (rows_near / tiles[0].rows).max(1);
    let n_groups = tiles.len().div_ceil(tiles_near);
    let panels: Vec<usize> = linears.iter().map(|linear| linear.rows.div_ceil(PANEL)).collect();
    let n_panels: usize = panels.iter().sum();
    let least = (MIN_WORK / (PANEL * cols * n.min(rows_near)).max(1)).max(1);
    let each = n_panels.div_ceil(pool.threads() * TASKS_A_THREAD).max(least);
    let each = if some_float { each.next_multiple_of(FLOAT_PANELS) } else { each };
    let n_shares = n_panels.div_ceil(each);
    let ys: Vec<_> = ys.iter_mut().map(|y| Shared::new(y)).collect();

    pool.run(n_groups * n_shares, |task| {
        let (group, share) = (task / n_shares, task % n_shares);
        let tiles = &tiles[group * tiles_near..tiles.len().min((group + 1) * tiles_near)];
        let mut index = share * each;
        let end = n_panels.min(index + each);
        while index < end {
            let (which, panel) = locate(&panels, index);
            let linear = linears[which];
            let most = if linear.packing.is_float() { FLOAT_PANELS } else { 1 };
            let width = most.min(end - index).min(panels[which] - panel);
            index += width;
            let panel_bytes = linear.packing.panel_bytes(blocks);
            let input = match &quantized {
                Some(quantized) if !linear.packing.is_float() => LinearInput::Quantized(quantized),
                _ => LinearInput::Float(x),
            };
            let job = LinearJob {
                packing: linear.packing,
                panel: linear.data.bytes()[panel * panel_bytes..(panel + width) * panel_bytes]
                    .as_ptr(),
                panels: width,
                blocks,
                cols,
                tiles,
                first_tile: group * tiles_near,
                input,
                // In bounds: the panel's first channel is one of the matrix's rows.
                y: ys[which].as_mut_ptr().wrapping_add(panel * PANEL),
                stride: linear.rows,
                channels: (width * PANEL).min(linear.rows - panel * PANEL),
                output,
            };
            // SAFETY: the panels are complete and packed in this format; tiles and input were made
            // for this instruction set; lengths were checked, and no other task has these panels
            // with these tiles.
            unsafe { run(isa, &job) };
        }
    });
    Ok(())
}

/// Returns the matrix that panel `index` of all matrices belongs to, and its index in that matrix.
fn locate(panels: &[usize], mut index: usize) -> (usize, usize) {
    for (which, &n) in panels.iter().enumerate() {
        if index < n {
            return (which, index);
        }
        index -= n;
    }
    (panels.len(), index)
}
