//! Conversion of matrices to the layout of our own kernels.

use std::sync::Arc;

use candle_core::Result;
use candle_core::quantized::QTensor;

use super::DecoderOptions;
use idiolect_kernels::{Isa, PackedLinear, Pool};

/// Instruction set and worker threads of our own kernels.
#[derive(Debug, Clone)]
pub(super) struct Kernels {
    pub(super) isa: Isa,
    pub(super) pool: Arc<Pool>,
}

impl Kernels {
    pub(super) fn new(options: &DecoderOptions) -> Self {
        Self { isa: options.isa, pool: Arc::new(Pool::new(options.threads)) }
    }

    /// Packs a matrix.
    ///
    /// # Errors
    /// No kernel supports its format.
    pub(super) fn pack(&self, weights: &QTensor) -> Result<PackedLinear> {
        let (rows, cols) = weights.shape().dims2()?;
        let (isa, pool) = (self.isa, &self.pool);
        PackedLinear::from_blocks(&weights.data()?, weights.dtype(), rows, cols, isa, pool)
            .map_err(candle_core::Error::wrap)
    }

    /// Packs a matrix; `None` if no kernel supports its format.
    pub(super) fn try_pack(&self, weights: &QTensor) -> Result<Option<PackedLinear>> {
        match PackedLinear::supports(weights.dtype()) {
            true => self.pack(weights).map(Some),
            false => Ok(None),
        }
    }
}
