//! A matrix that activations are multiplied with: the seam between the decoder and whatever
//! computes `x · Wᵀ`.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Module, Result, Tensor};

/// In which form weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As the file has them; activations are quantized for the product.
    #[default]
    Stored,
    /// Dequantized to f32: slow, large, and the reference that the other is measured by.
    Dequantized,
}

/// A matrix `[n_out, n_in]`.
#[derive(Debug, Clone)]
pub(super) enum Projection {
    /// candle's product with quantized blocks, on any device.
    Quantized(QMatMul),
    /// A dense f32 matrix.
    Dense(Tensor),
}

impl Projection {
    /// Takes the weights in the form asked for.
    pub(super) fn new(weights: Arc<QTensor>, precision: Precision) -> Result<Self> {
        match precision {
            Precision::Stored if !candle_panics(&weights) => {
                Ok(Self::Quantized(QMatMul::from_arc(weights)?))
            }
            Precision::Stored | Precision::Dequantized => {
                Ok(Self::Dense(weights.dequantize(&weights.device())?))
            }
        }
    }

    /// `[n_rows, n_in]` to `[n_rows, n_out]`, f32.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        match self {
            Self::Quantized(weights) => weights.forward(&x),
            Self::Dense(weights) => x.matmul(&weights.t()?),
        }
    }
}

/// candle 0.11's products over these formats panic on the CPU where a row has an odd number of
/// blocks; no released model has such rows.
fn candle_panics(weights: &QTensor) -> bool {
    let n_in = weights.shape().dims().last().copied().unwrap_or(0);
    let blocks = n_in / weights.dtype().block_size();
    let by_pairs = matches!(weights.dtype(), GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1);
    weights.device().is_cpu() && by_pairs && !blocks.is_multiple_of(2)
}

/// A projection and its bias, where the family has one.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    /// The matrix.
    pub(super) projection: Projection,
    /// `[n_out]`.
    pub(super) bias: Option<Tensor>,
}

impl Linear {
    /// `[n_rows, n_in]` to `[n_rows, n_out]`, f32.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.projection.forward(x)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

/// The table that token ids are looked up in, `[n_vocab, n_embd]`; only the rows that are asked for
/// are dequantized.
#[derive(Debug, Clone)]
pub(super) struct Embedding {
    table: QMatMul,
}

impl Embedding {
    /// Takes the table as the file has it.
    pub(super) fn new(table: Arc<QTensor>) -> Result<Self> {
        Ok(Self { table: QMatMul::from_arc(table)? })
    }

    /// `[n_rows]` ids to `[n_rows, n_embd]`, f32.
    pub(super) fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        self.table.embedding(ids)
    }
}
