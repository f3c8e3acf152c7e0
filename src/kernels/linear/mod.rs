//! Products with weight matrices in the formats of GGUF files.
//!
//! Shapes: `x` is `[n, cols]`, a matrix `[rows, cols]`, the result `[n, rows]`, all row-major. A
//! *channel* is a row of the matrix, a *panel* sixteen channels, a *block* 32 columns, a *tile* up
//! to eight rows of `x`.
//!
//! Weights are repacked once, at load, so that the sixteen lanes of a vector are the channels of a
//! panel; nibbles stay nibbles. For quantized weights, each call quantizes `x` to int8 with one
//! scale per block, as Q8_0 does, once for all matrices that share it. A block's dot product is
//! exact in `i32`. Each result then sums its blocks in order with fused multiply-adds, in a lane of
//! its own. The bits therefore depend neither on the instruction set, nor on the number of rows,
//! nor on the number of threads.

#![allow(unsafe_code)]

mod activations;
mod buffer;
mod format;
mod pack;
mod quantize;
mod tile;
mod work;

use candle_core::quantized::GgmlDType;

use super::error::check_length;
use super::{Error, Pool, Result, Tier};
use buffer::Buffer;
use format::Packing;

/// Columns of a block.
pub(crate) const BLOCK: usize = 32;
/// Channels of a panel.
pub(crate) const PANEL: usize = 16;

/// A weight matrix `[rows, cols]` in the layout of the kernels.
pub struct PackedLinear {
    packing: Packing,
    dtype: GgmlDType,
    rows: usize,
    cols: usize,
    /// Panels one after the other; each has the quants of all its blocks, then all its scales.
    data: Buffer,
    tier: Tier,
}

/// Use of the result of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Overwrites `y`.
    Write,
    /// Is added to `y`.
    Add,
}

impl PackedLinear {
    /// Repacks a matrix from its GGUF blocks, in the row order of the file.
    ///
    /// # Errors
    /// There is no kernel for the format, the number of columns is not a multiple of its block
    /// size, or the length of `blocks` does not match the shape.
    pub fn from_blocks(
        blocks: &[u8],
        dtype: GgmlDType,
        rows: usize,
        cols: usize,
        tier: Tier,
        pool: &Pool,
    ) -> Result<Self> {
        let packing = Packing::of(dtype)?;
        if !cols.is_multiple_of(dtype.block_size()) {
            return Err(Error::Columns { format: dtype, cols, block: dtype.block_size() });
        }
        let expected = rows * (cols / dtype.block_size()) * dtype.type_size();
        check_length("packing", "the blocks", blocks.len(), expected)?;
        let data = pack::pack(blocks, packing, rows, cols, pool);
        Ok(Self { packing, dtype, rows, cols, data, tier })
    }

    /// Number of rows of the matrix: outputs of the product.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns of the matrix: inputs of the product.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Format that the matrix was packed from.
    #[must_use]
    pub fn dtype(&self) -> GgmlDType {
        self.dtype
    }

    /// Instruction set that its kernels run on.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Returns the same matrix for another instruction set; all use the same layout.
    #[must_use]
    pub fn on_tier(self, tier: Tier) -> Self {
        Self { tier, ..self }
    }

    /// Bytes of the packed weights.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        self.data.bytes().len()
    }

    /// `y = x · Wᵀ` for `n` rows of `x`. If a block of `x` holds NaN or infinity, the results of
    /// its row are NaN. A block whose numbers are all below 1e-30 in magnitude counts as zero.
    ///
    /// # Errors
    /// `x` is not `[n, cols]` or `y` not `[n, rows]`.
    pub fn forward(&self, x: &[f32], n: usize, y: &mut [f32], pool: &Pool) -> Result<()> {
        work::forward(&[self], x, n, &mut [y], Output::Write, pool)
    }

    /// `y += x · Wᵀ`, otherwise as [`PackedLinear::forward`].
    ///
    /// # Errors
    /// As [`PackedLinear::forward`].
    pub fn forward_add(&self, x: &[f32], n: usize, y: &mut [f32], pool: &Pool) -> Result<()> {
        work::forward(&[self], x, n, &mut [y], Output::Add, pool)
    }

    /// Writes one row of the matrix, dequantized, to `out` `[cols]`, as for an embedding lookup.
    ///
    /// # Errors
    /// There is no such row, or `out` is not `[cols]`.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        check_length("dequantizing", "the row", out.len(), self.cols)?;
        if row >= self.rows {
            return Err(Error::Shape {
                operation: "dequantizing",
                what: "the row's number",
                got: row,
                expected: "one below the number of rows",
            });
        }
        pack::unpack_row(self.data.bytes(), self.packing, row, self.cols, out);
        Ok(())
    }
}

impl std::fmt::Debug for PackedLinear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { dtype, rows, cols, tier, .. } = self;
        write!(f, "PackedLinear({dtype:?} [{rows}, {cols}] {tier})")
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
    work::forward(linears, x, n, ys, Output::Write, pool)
}

#[cfg(test)]
mod tests;
