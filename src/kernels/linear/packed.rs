//! Weight matrices in the layout of the kernels.

use candle_core::quantized::GgmlDType;

use super::buffer::Buffer;
use super::format::Packing;
use super::pack::{pack, unpack_row};
use crate::error::check_length;
use crate::{Error, Isa, Pool, Result};

/// A weight matrix `[rows, cols]` in the layout of the kernels.
pub struct PackedLinear {
    pub(super) packing: Packing,
    dtype: GgmlDType,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Panels one after the other; each has the quants of all its blocks, then all its scales.
    pub(super) data: Buffer,
    pub(super) isa: Isa,
}

impl PackedLinear {
    /// Whether there is a kernel for a format.
    #[must_use]
    pub fn supports(dtype: GgmlDType) -> bool {
        Packing::of(dtype).is_ok()
    }

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
        isa: Isa,
        pool: &Pool,
    ) -> Result<Self> {
        let packing = Packing::of(dtype)?;
        if !cols.is_multiple_of(dtype.block_size()) {
            return Err(Error::Columns { format: dtype, cols, block: dtype.block_size() });
        }
        let expected = rows * (cols / dtype.block_size()) * dtype.type_size();
        check_length("packing", "the blocks", blocks.len(), expected)?;
        let data = pack(blocks, packing, rows, cols, pool);
        Ok(Self { packing, dtype, rows, cols, data, isa })
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
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Returns the same matrix for another instruction set; all use the same layout.
    #[must_use]
    pub fn on_isa(self, isa: Isa) -> Self {
        Self { isa, ..self }
    }

    /// Bytes of the packed weights.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        self.data.bytes().len()
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
        unpack_row(self.data.bytes(), self.packing, row, self.cols, out);
        Ok(())
    }
}

impl std::fmt::Debug for PackedLinear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { dtype, rows, cols, isa, .. } = self;
        write!(f, "PackedLinear({dtype:?} [{rows}, {cols}] {isa})")
    }
}
