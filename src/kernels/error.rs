//! What can go wrong in a kernel: shapes and formats, never values.

use candle_core::quantized::GgmlDType;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice has another length than its shape says.
    #[error("{operation}: {what} has {got} elements, expected {expected}")]
    Length {
        /// The operation.
        operation: &'static str,
        /// The argument.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length that its shape asks for.
        expected: usize,
    },
    /// A number of columns that the format's blocks do not divide.
    #[error("packing {format:?}: {cols} columns are not a multiple of its blocks of {block}")]
    Columns {
        /// The format.
        format: GgmlDType,
        /// Columns of the matrix.
        cols: usize,
        /// Columns of a block.
        block: usize,
    },
    /// A weight format without a kernel.
    #[error("packing: no kernel for {0:?}; use the portable path for this matrix")]
    Format(GgmlDType),
    /// Matrices that should share one input have different widths.
    #[error("linear: matrices of {got} and {expected} columns cannot share an input")]
    SharedInput {
        /// Columns of the odd one.
        got: usize,
        /// Columns of the first.
        expected: usize,
    },
    /// A shape that a kernel does not cover.
    #[error("{operation}: {what} is {got}, expected {expected}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// The dimension.
        what: &'static str,
        /// Its value.
        got: usize,
        /// What it must be.
        expected: &'static str,
    },
    /// A name that is no instruction set.
    #[error("`{0}` is no instruction set; one of: auto, avx512vnni, avxvnni, avx2, neon, plain")]
    UnknownTier(String),
    /// An instruction set that this machine lacks.
    #[error("this machine has no {0}; it has: {1}")]
    MissingTier(&'static str, String),
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
