//! Weights in the layout of our own kernels.

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Error, Result, Tensor};

use crate::lm::decoder::weights::{Kernels, TokenEmbedding, WeightForm};
use idiolect_kernels::elementwise::{rms_norm, rms_norm_in_place};
use idiolect_kernels::linear::{ProductRows, forward_many};
use idiolect_kernels::{Isa, PackedLinear, Pool};

/// Weights in the layout of our own kernels.
pub(super) struct CpuForm(pub(super) Kernels);

/// A matrix and its bias, if the family has one.
pub(super) struct CpuLinear {
    weights: PackedLinear,
    /// `[n_out]`.
    bias: Option<Vec<f32>>,
}

/// Root-mean-square norm.
pub(super) struct CpuNorm {
    pub(super) weight: Vec<f32>,
    eps: f32,
}

impl WeightForm for CpuForm {
    type Linear = CpuLinear;
    type Norm = CpuNorm;
    type Head = Arc<PackedLinear>;

    fn linear(&self, weights: Arc<QTensor>, bias: Option<Tensor>) -> Result<CpuLinear> {
        let bias = bias.map(|bias| bias.to_vec1()).transpose()?;
        Ok(CpuLinear { weights: self.0.pack(&weights)?, bias })
    }

    fn norm(&self, weight: Tensor, eps: f32) -> Result<CpuNorm> {
        Ok(CpuNorm { weight: weight.to_vec1()?, eps })
    }

    fn embedding_and_head(
        &self,
        table: Arc<QTensor>,
        head: Option<Arc<QTensor>>,
    ) -> Result<(TokenEmbedding, Arc<PackedLinear>)> {
        let Some(head) = head else {
            let packed = Arc::new(self.0.pack(&table)?);
            return Ok((TokenEmbedding::Packed(Arc::clone(&packed)), packed));
        };
        let embedding = match self.0.try_pack(&table)? {
            Some(packed) => TokenEmbedding::Packed(Arc::new(packed)),
            None => TokenEmbedding::Stored(QMatMul::from_arc(table)?),
        };
        Ok((embedding, Arc::new(self.0.pack(&head)?)))
    }
}

impl CpuLinear {
    /// Columns of the matrix.
    pub(super) fn n_in(&self) -> usize {
        self.weights.cols()
    }

    /// `x += product(input)`.
    pub(super) fn add_to(
        &self,
        x: &mut [f32],
        input: &[f32],
        rows: ProductRows,
        pool: &Pool,
    ) -> Result<()> {
        self.weights.forward_add(input, rows, x, pool).map_err(Error::wrap)?;
        self.add_bias(x);
        Ok(())
    }

    fn add_bias(&self, y: &mut [f32]) {
        if let Some(bias) = &self.bias {
            for row in y.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
        }
    }
}

/// Products of `x` with several matrices at once, each plus its bias.
pub(super) fn project<const N: usize>(
    outputs: &mut [(&CpuLinear, &mut Vec<f32>); N],
    x: &[f32],
    rows: ProductRows,
    pool: &Pool,
) -> Result<()> {
    let weights: Vec<&PackedLinear> = outputs.iter().map(|(linear, _)| &linear.weights).collect();
    let mut ys: Vec<&mut [f32]> = outputs
        .iter_mut()
        .map(|(linear, y)| {
            y.resize(rows.n * linear.weights.rows(), 0.0);
            y.as_mut_slice()
        })
        .collect();
    forward_many(&weights, x, rows, &mut ys, pool).map_err(Error::wrap)?;
    outputs.iter_mut().for_each(|(linear, y)| linear.add_bias(y));
    Ok(())
}

impl CpuNorm {
    pub(super) fn forward(&self, x: &[f32], out: &mut [f32], isa: Isa, pool: &Pool) -> Result<()> {
        rms_norm(x, &self.weight, self.eps, out, isa, pool).map_err(Error::wrap)
    }

    pub(super) fn in_place(&self, x: &mut [f32], isa: Isa) -> idiolect_kernels::Result<()> {
        rms_norm_in_place(x, &self.weight, self.eps, isa)
    }
}
