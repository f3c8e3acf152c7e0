//! Weights and operations that keep gradients.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Storage, Tensor};

use crate::lm::decoder::weights::{TokenEmbedding, WeightForm};

/// Weights dequantized to f32.
pub(super) struct TwinForm;

/// A matrix `[n_out, n_in]` and its bias.
pub(super) struct TwinLinear {
    weights: Tensor,
    bias: Option<Tensor>,
}

/// Root-mean-square norm over the last dimension.
pub(super) struct TwinNorm {
    weight: Tensor,
    eps: f32,
}

impl WeightForm for TwinForm {
    type Linear = TwinLinear;
    type Norm = TwinNorm;
    type Head = TwinLinear;

    fn linear(&self, weights: Arc<QTensor>, bias: Option<Tensor>) -> Result<TwinLinear> {
        Ok(TwinLinear { weights: weights.dequantize(&weights.device())?, bias })
    }

    fn norm(&self, weight: Tensor, eps: f32) -> Result<TwinNorm> {
        Ok(TwinNorm { weight, eps })
    }

    fn embedding_and_head(
        &self,
        table: Arc<QTensor>,
        head: Option<Arc<QTensor>>,
    ) -> Result<(TokenEmbedding, TwinLinear)> {
        let head = self.linear(head.unwrap_or_else(|| Arc::clone(&table)), None)?;
        Ok((TokenEmbedding::Stored(QMatMul::from_arc(table)?), head))
    }
}

impl TwinLinear {
    /// Product plus bias: `[n, n_in]` to `[n, n_out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = match x.device().is_cpu() {
            true => x.contiguous()?.apply_op1(ConstantProduct(self.weights.clone()))?,
            false => x.matmul(&self.weights.t()?)?,
        };
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

impl TwinNorm {
    /// Number of elements that it normalizes together.
    pub(super) fn width(&self) -> Result<usize> {
        self.weight.dim(0)
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        let size = (mean + f64::from(self.eps))?.sqrt()?;
        x.broadcast_div(&size)?.broadcast_mul(&self.weight)
    }
}

/// `cap * tanh(x / cap)`, if there is a cap.
pub(super) fn capped(x: Tensor, cap: Option<f32>) -> Result<Tensor> {
    match cap.map(f64::from) {
        Some(cap) => (x / cap)?.tanh()? * cap,
        None => Ok(x),
    }
}

/// Product with the transpose of a constant matrix `[n_out, n_in]`. candle's own product would also compute
/// the gradient of the matrix, a third of the work of a step.
struct ConstantProduct(Tensor);

impl CustomOp1 for ConstantProduct {
    fn name(&self) -> &'static str {
        "product with a constant"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n_rows, n_in) = layout.shape().dims2()?;
        let transposed = self.0.t()?;
        let n_out = transposed.dim(1)?;
        let (storage, weights) = transposed.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            candle_core::bail!("a matrix that is not in the CPU's memory")
        };
        let y = x.matmul(storage, (1, n_rows, n_out, n_in), layout, weights)?;
        Ok((y, Shape::from((n_rows, n_out))))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.matmul(&self.0)?))
    }
}
