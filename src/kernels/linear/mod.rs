//! Products with weight matrices in the formats of GGUF files.
//!
//! Shapes: `x` is `[n, cols]`, a matrix `[rows, cols]`, the result `[n, rows]`, all row-major. A
//! *channel* is a row of the matrix, a *panel* sixteen of them, a *block* 32 columns, a *tile* up
//! to eight rows of `x`.
//!
//! Weights are repacked once, at load, so that the sixteen lanes of a vector are the channels of
//! a panel; nibbles stay nibbles. For quantized weights each call turns `x` into int8 with one
//! scale a block, as Q8_0 does, once for all matrices that share it. A block's dot product is
//! exact in `i32`; each result then adds up its blocks in order with fused multiply-adds, in one
//! lane of its own. So the bits depend neither on the tier, nor on the number of rows, nor on
//! threads.

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
    /// Panels one after the other; each has all its blocks' quants, then all its scales.
    data: Buffer,
    tier: Tier,
}

/// What happens to the result of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// It replaces what is in `y`.
    Write,
    /// It is added to what is in `y`.
    Add,
}

impl PackedLinear {
    /// Repacks a matrix from its GGUF blocks, row by row as the file has them.
    ///
    /// # Errors
    /// No kernel for the format, columns that its blocks do not divide, or a length of `blocks`
    /// other than the shape's.
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

    /// Rows of the matrix: outputs of the product.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix: inputs of the product.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The format that it was packed from.
    #[must_use]
    pub fn dtype(&self) -> GgmlDType {
        self.dtype
    }

    /// The instruction set that it runs on.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The same matrix on another instruction set: the layout serves all.
    #[must_use]
    pub fn on_tier(self, tier: Tier) -> Self {
        Self { tier, ..self }
    }

    /// Bytes that the packed weights take.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        self.data.bytes().len()
    }

    /// `y = x · Wᵀ` for `n` rows of `x`. A block of `x` that holds NaN or an infinity makes its
    /// row's results NaN; numbers below about 1e-30 in a block count as zero.
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

    /// Writes one row of the matrix, dequantized, to `out` `[cols]`: what an embedding looks up.
    ///
    /// # Errors
    /// No such row, or `out` is not `[cols]`.
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

/// Products of one input with several matrices of equal width: `x` is quantized once and all
/// panels are shared out together. `ys[i]` is `[n, linears[i].rows()]`.
///
/// # Errors
/// As [`PackedLinear::forward`]; matrices of different widths; fewer or more `ys` than matrices.
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
