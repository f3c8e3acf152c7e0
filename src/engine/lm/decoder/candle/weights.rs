//! Weights in candle tensors.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Module, Result, Tensor};

use crate::lm::decoder::interface::WeightPrecision;
use crate::lm::decoder::weights::{Kernels, TokenEmbedding, WeightForm};
use idiolect_kernels::PackedLinear;
use idiolect_kernels::op::LinearOp;

/// Weights in candle tensors; with `kernels`, the matrices that have a kernel are packed.
pub(super) struct CandleForm {
    pub(super) precision: WeightPrecision,
    pub(super) kernels: Option<Kernels>,
}

/// A matrix `[n_out, n_in]`.
#[derive(Debug, Clone)]
pub(super) enum CandleMatrix {
    /// Our own product, on the CPU.
    Packed(LinearOp),
    /// candle's product with quantized blocks, on any device.
    Quantized(QMatMul),
    /// A dense f32 matrix.
    Dense(Tensor),
}

/// A matrix and its bias, if the family has one.
#[derive(Debug, Clone)]
pub(super) struct CandleLinear {
    matrix: CandleMatrix,
    /// `[n_out]`.
    bias: Option<Tensor>,
}

/// Root-mean-square norm over the last dimension.
#[derive(Debug, Clone)]
pub(super) struct CandleNorm {
    weight: Tensor,
    eps: f32,
}

impl CandleForm {
    /// Converts a matrix; it is packed if it has a kernel.
    fn matrix(&self, weights: Arc<QTensor>) -> Result<CandleMatrix> {
        if let Some(kernels) = &self.kernels
            && let Some(packed) = kernels.try_pack(&weights)?
        {
            return Ok(CandleMatrix::packed(Arc::new(packed), kernels));
        }
        match self.precision {
            WeightPrecision::Packed | WeightPrecision::Stored if !candle_panics(&weights) => {
                Ok(CandleMatrix::Quantized(QMatMul::from_arc(weights)?))
            }
            _ => Ok(CandleMatrix::Dense(weights.dequantize(&weights.device())?)),
        }
    }
}

impl WeightForm for CandleForm {
    type Linear = CandleLinear;
    type Norm = CandleNorm;
    type Head = CandleMatrix;

    fn linear(&self, weights: Arc<QTensor>, bias: Option<Tensor>) -> Result<CandleLinear> {
        Ok(CandleLinear { matrix: self.matrix(weights)?, bias })
    }

    fn norm(&self, weight: Tensor, eps: f32) -> Result<CandleNorm> {
        Ok(CandleNorm { weight, eps })
    }

    fn embedding_and_head(
        &self,
        table: Arc<QTensor>,
        head: Option<Arc<QTensor>>,
    ) -> Result<(TokenEmbedding, CandleMatrix)> {
        if let Some(kernels) = &self.kernels
            && let Some(packed) = kernels.try_pack(&table)?
        {
            let packed = Arc::new(packed);
            let head = match head {
                Some(head) => self.matrix(head)?,
                None => CandleMatrix::packed(Arc::clone(&packed), kernels),
            };
            return Ok((TokenEmbedding::Packed(packed), head));
        }
        let head = self.matrix(head.unwrap_or_else(|| Arc::clone(&table)))?;
        Ok((TokenEmbedding::Stored(QMatMul::from_arc(table)?), head))
    }
}

impl CandleMatrix {
    fn packed(weights: Arc<PackedLinear>, kernels: &Kernels) -> Self {
        Self::Packed(LinearOp::new(weights, Arc::clone(&kernels.pool)))
    }

    /// Product `x · Wᵀ`: `[n_rows, n_in]` to `[n_rows, n_out]`, f32.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        match self {
            Self::Packed(linear) => linear.apply(&x),
            Self::Quantized(weights) => weights.forward(&x),
            Self::Dense(weights) => x.matmul(&weights.t()?),
        }
    }
}

impl CandleLinear {
    /// Product plus bias: `[n_rows, n_in]` to `[n_rows, n_out]`, f32.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.matrix.forward(x)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

impl CandleNorm {
    /// Number of elements that it normalizes together.
    pub(super) fn width(&self) -> Result<usize> {
        self.weight.dim(0)
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(&x.contiguous()?, &self.weight, self.eps)
    }
}

/// Whether candle 0.11 panics on the product: it does on the CPU for these formats if a row has an
/// odd number of blocks. No released model has such rows.
fn candle_panics(weights: &QTensor) -> bool {
    let n_in = weights.shape().dims().last().copied().unwrap_or(0);
    let blocks = n_in / weights.dtype().block_size();
    let by_pairs = matches!(weights.dtype(), GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1);
    weights.device().is_cpu() && by_pairs && !blocks.is_multiple_of(2)
}
