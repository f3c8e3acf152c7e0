//! Products with packed matrices, and their distribution over threads.

#![allow(unsafe_code)]

use super::activations::{Quantized, tiles};
#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::bf16_tiles::{self, Bf16Rows};
use super::format::{BLOCK, Offset, PANEL};
use super::packed::PackedLinear;
use super::panels::{max_panels, run};
use super::tile::{LinearInput, LinearJob, ResultMode, max_rows};
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

/// Rows of an input, and how they may be multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductRows {
    /// Number of rows.
    pub n: usize,
    /// How many of the first rows belong to prompts: what they are needed for is the keys and values
    /// of a prompt, never a distribution. On an instruction set with
    /// [`has_prompt_products`](crate::Isa::has_prompt_products) they are multiplied in bf16, elsewhere
    /// as all others.
    pub n_prompt: usize,
}

impl ProductRows {
    /// Rows of which none belongs to a prompt.
    #[must_use]
    pub fn exact(n: usize) -> Self {
        Self { n, n_prompt: 0 }
    }
}

impl PackedLinear {
    /// `y = x · Wᵀ` for `n` rows of `x`. If a block of `x` holds NaN or infinity, the results of
    /// its row are NaN. A block whose numbers are all below 1e-30 in magnitude counts as zero.
    ///
    /// # Errors
    /// `x` is not `[n, cols]` or `y` not `[n, rows]`.
    pub fn forward(&self, x: &[f32], n: usize, y: &mut [f32], pool: &Pool) -> Result<()> {
        product(&[self], x, ProductRows::exact(n), &mut [y], ResultMode::Write, pool)
    }

    /// `y += x · Wᵀ`, otherwise as [`forward_many`].
    ///
    /// # Errors
    /// As [`PackedLinear::forward`].
    pub fn forward_add(
        &self,
        x: &[f32],
        rows: ProductRows,
        y: &mut [f32],
        pool: &Pool,
    ) -> Result<()> {
        product(&[self], x, rows, &mut [y], ResultMode::Add, pool)
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
    rows: ProductRows,
    ys: &mut [&mut [f32]],
    pool: &Pool,
) -> Result<()> {
    product(linears, x, rows, ys, ResultMode::Write, pool)
}

fn product(
    linears: &[&PackedLinear],
    x: &[f32],
    rows: ProductRows,
    ys: &mut [&mut [f32]],
    output: ResultMode,
    pool: &Pool,
) -> Result<()> {
    let ProductRows { n, n_prompt } = rows;
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
    let outputs = linears.iter().copied().zip(ys.iter_mut().map(|y| &mut **y));
    if isa.has_prompt_products() && n_prompt > 0 {
        let (floats, quantized): (Vec<_>, Vec<_>) =
            outputs.partition(|(linear, _)| linear.packing.is_float());
        exact_product(floats, x, n, output, pool);
        mixed_product(quantized, x, ProductRows { n, n_prompt: n_prompt.min(n) }, output, pool);
    } else {
        exact_product(outputs.collect(), x, n, output, pool);
    }
    Ok(())
}

/// Matrices of equal width and instruction set, with their results.
type Outputs<'a> = Vec<(&'a PackedLinear, &'a mut [f32])>;

/// Products with quantized matrices, those of the prompt's rows in bf16.
fn mixed_product(
    mut outputs: Outputs<'_>,
    x: &[f32],
    rows: ProductRows,
    output: ResultMode,
    pool: &Pool,
) {
    let Some(cols) = outputs.first().map(|(linear, _)| linear.cols) else { return };
    let (of_prompt, others) = x.split_at(rows.n_prompt * cols);
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let linears: Vec<&PackedLinear> = outputs.iter().map(|(linear, _)| *linear).collect();
        let ys: Vec<_> = outputs.iter_mut().map(|(_, y)| Shared::new(y)).collect();
        let of_prompt = Bf16Rows::new(of_prompt, rows.n_prompt, cols, pool);
        // SAFETY: the machine has matrix tiles, since only such an instruction set gets here; the
        // lengths were checked.
        unsafe { bf16_tiles::product(&linears, &of_prompt, &ys, output, pool) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = of_prompt;
    let outputs = outputs.into_iter();
    let outputs = outputs.map(|(linear, y)| (linear, &mut y[rows.n_prompt * linear.rows..]));
    exact_product(outputs.collect(), others, rows.n - rows.n_prompt, output, pool);
}

/// Products whose bits are the same on all instruction sets.
fn exact_product(mut outputs: Outputs<'_>, x: &[f32], n: usize, output: ResultMode, pool: &Pool) {
    let linears: Vec<&PackedLinear> = outputs.iter().map(|(linear, _)| *linear).collect();
    let Some(first) = linears.first().filter(|_| n > 0) else { return };
    let (cols, isa) = (first.cols, first.isa);
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
    let together = linears.iter().map(|linear| max_panels(linear.packing, isa)).max().unwrap_or(1);
    let each = each.next_multiple_of(together);
    let n_shares = n_panels.div_ceil(each);
    let ys: Vec<_> = outputs.iter_mut().map(|(_, y)| Shared::new(y)).collect();

    pool.run(n_groups * n_shares, |task| {
        let (group, share) = (task / n_shares, task % n_shares);
        let tiles = &tiles[group * tiles_near..tiles.len().min((group + 1) * tiles_near)];
        let mut index = share * each;
        let end = n_panels.min(index + each);
        while index < end {
            let (which, panel) = locate(&panels, index);
            let linear = linears[which];
            let most = max_panels(linear.packing, isa);
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
