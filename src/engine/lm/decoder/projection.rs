//! Weight matrices: the interface between the decoder and the implementations of `x · Wᵀ`.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Error, Module, Result, Tensor};

use idiolect_kernels::attention::KvPrecision;
use idiolect_kernels::op::LinearOp;
use idiolect_kernels::{PackedLinear, Pool, Tier};

/// Form in which weights are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// At the precision of the file, in the layout of our own kernels; activations are quantized
    /// for the product. On devices other than the CPU this equals `Stored`.
    #[default]
    Packed,
    /// As stored in the file, multiplied by candle.
    Stored,
    /// Dequantized to f32: slow, large, and the reference for the other two.
    Dequantized,
}

/// Settings of our own kernels.
#[derive(Debug, Clone)]
pub(super) struct Kernels {
    pub(super) tier: Tier,
    pub(super) kv_precision: KvPrecision,
    pub(super) pool: Arc<Pool>,
}

/// A matrix `[n_out, n_in]`.
#[derive(Debug, Clone)]
pub(super) enum Projection {
    /// Our own product, on the CPU.
    Packed(LinearOp),
    /// candle's product with quantized blocks, on any device.
    Quantized(QMatMul),
    /// A dense f32 matrix.
    Dense(Tensor),
}

impl Projection {
    /// Converts the weights to the given form; they are packed if `kernels` is given.
    pub(super) fn new(
        weights: Arc<QTensor>,
        precision: Precision,
        kernels: Option<&Kernels>,
    ) -> Result<Self> {
        if let Some(kernels) = kernels
            && let Some(packed) = pack(&weights, kernels)?
        {
            return Ok(Self::Packed(LinearOp::new(Arc::new(packed), Arc::clone(&kernels.pool))));
        }
        match precision {
            Precision::Packed | Precision::Stored if !candle_panics(&weights) => {
                Ok(Self::Quantized(QMatMul::from_arc(weights)?))
            }
            _ => Ok(Self::Dense(weights.dequantize(&weights.device())?)),
        }
    }

    /// Product and its shapes: `[n_rows, n_in]` to `[n_rows, n_out]`, f32.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        match self {
            Self::Packed(linear) => linear.apply(&x),
            Self::Quantized(weights) => weights.forward(&x),
            Self::Dense(weights) => x.matmul(&weights.t()?),
        }
    }
}

/// Converts the weights to the kernels' layout; `None` if no kernel supports their format.
fn pack(weights: &QTensor, kernels: &Kernels) -> Result<Option<PackedLinear>> {
    let (rows, cols) = weights.shape().dims2()?;
    let Kernels { tier, pool, .. } = kernels;
    match PackedLinear::from_blocks(&weights.data()?, weights.dtype(), rows, cols, *tier, pool) {
        Ok(packed) => Ok(Some(packed)),
        Err(idiolect_kernels::Error::Format(_)) => Ok(None),
        Err(error) => Err(Error::wrap(error)),
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

/// A projection and its bias, if the family has one.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    /// The matrix.
    pub(super) projection: Projection,
    /// `[n_out]`.
    pub(super) bias: Option<Tensor>,
}

impl Linear {
    /// Product plus bias: `[n_rows, n_in]` to `[n_rows, n_out]`, f32.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.projection.forward(x)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

/// Token embedding table, `[n_vocab, n_embd]`; only the requested rows are dequantized.
#[derive(Debug, Clone)]
pub(super) enum Embedding {
    /// In the kernels' layout; shares the head's memory if the file has one matrix for both.
    Packed(Arc<PackedLinear>),
    /// As stored in the file.
    Stored(QMatMul),
}

impl Embedding {
    /// Creates the embedding and the output head from the file's tensors; if `head` is `None`, the
    /// head uses `table`.
    pub(super) fn with_head(
        table: Arc<QTensor>,
        head: Option<Arc<QTensor>>,
        precision: Precision,
        kernels: Option<&Kernels>,
    ) -> Result<(Self, Projection)> {
        let packed = match kernels {
            Some(kernels) => pack(&table, kernels)?.map(|packed| (kernels, Arc::new(packed))),
            None => None,
        };
        let Some((kernels, packed)) = packed else {
            let head = head.unwrap_or_else(|| Arc::clone(&table));
            let head = Projection::new(head, precision, kernels)?;
            return Ok((Self::Stored(QMatMul::from_arc(table)?), head));
        };
        let head = match head {
            Some(head) => Projection::new(head, precision, Some(kernels))?,
            None => {
                Projection::Packed(LinearOp::new(Arc::clone(&packed), Arc::clone(&kernels.pool)))
            }
        };
        Ok((Self::Packed(packed), head))
    }

    /// Looks up the rows of `ids`: `[n_rows, n_embd]`, f32.
    pub(super) fn rows(&self, ids: Vec<u32>, device: &Device) -> Result<Tensor> {
        let n_rows = ids.len();
        match self {
            Self::Packed(table) => {
                let mut rows = vec![0.0; n_rows * table.cols()];
                for (id, row) in ids.iter().zip(rows.chunks_exact_mut(table.cols())) {
                    table.dequantize_row(*id as usize, row).map_err(Error::wrap)?;
                }
                Tensor::from_vec(rows, (n_rows, table.cols()), device)
            }
            Self::Stored(table) => table.embedding(&Tensor::from_vec(ids, n_rows, device)?),
        }
    }
}
