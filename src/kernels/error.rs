//! Errors of the kernels: wrong shapes and unsupported formats, never wrong values.

use candle_core::quantized::GgmlDType;

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of a kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The length of a slice does not match its shape.
    #[error("{operation}: {what} has {got} elements, expected {expected}")]
    Length {
        /// The operation.
        operation: &'static str,
        /// The argument.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length that its shape requires.
        expected: usize,
    },
    /// The number of columns is not a multiple of the format's block size.
    #[error("packing {format:?}: {cols} columns are not a multiple of its blocks of {block}")]
    Columns {
        /// The format.
        format: GgmlDType,
        /// Columns of the matrix.
        cols: usize,
        /// Columns of a block.
        block: usize,
    },
    /// No kernel exists for the weight format.
    #[error("packing: no kernel for {0:?}; use the portable path for this matrix")]
    Format(GgmlDType),
    /// Matrices that share one input have different widths.
    #[error("linear: matrices of {got} and {expected} columns cannot share an input")]
    SharedInput {
        /// Columns of the matrix that differs.
        got: usize,
        /// Columns of the first matrix.
        expected: usize,
    },
    /// A kernel does not support the shape.
    #[error("{operation}: {what} is {got}, expected {expected}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// The dimension.
        what: &'static str,
        /// Its value.
        got: usize,
        /// The values it may have.
        expected: &'static str,
    },
    /// The name is not that of an instruction set.
    #[error("`{0}` is no instruction set; one of: auto, avx512vnni, avxvnni, avx2, neon, plain")]
    UnknownIsa(String),
    /// This machine lacks the instruction set. The second field lists those it has.
    #[error("this machine has no {0}; it has: {1}")]
    MissingIsa(&'static str, String),
}

pub(crate) fn check_length(
    operation: &'static str,
    what: &'static str,
    got: usize,
    expected: usize,
) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::Length { operation, what, got, expected })
}
