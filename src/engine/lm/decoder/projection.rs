//! A matrix that activations are multiplied with: the seam between the decoder and whatever
//! computes `x · Wᵀ`.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Error, Module, Result, Tensor};

use idiolect_kernels::attention::KvPrecision;
use idiolect_kernels::op::LinearOp;
use idiolect_kernels::{PackedLinear, Pool, Tier};

/// In which form weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As precise as the file has them, in the layout of our own kernels; activations are
    /// quantized for the product. On devices other than the CPU the same as `Stored`.
    #[default]
    Packed,
    /// As the file has them, multiplied by candle.
    Stored,
    /// Dequantized to f32: slow, large, and the reference that the other is measured by.
    Dequantized,
}

/// What our own kernels run on.
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
    /// Takes the weights in the form asked for; `kernels` are there where they are to be packed.
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

    /// `[n_rows, n_in]` to `[n_rows, n_out]`, f32.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        match self {
            Self::Packed(linear) => linear.apply(&x),
            Self::Quantized(weights) => weights.forward(&x),
            Self::Dense(weights) => x.matmul(&weights.t()?),
        }
    }
}

/// The weights in the kernels' layout; `None` where there is no kernel for their format.
fn pack(weights: &QTensor, kernels: &Kernels) -> Result<Option<PackedLinear>> {
    let (rows, cols) = weights.shape().dims2()?;
    let Kernels { tier, pool, .. } = kernels;
    match PackedLinear::from_blocks(&weights.data()?, weights.dtype(), rows, cols, *tier, pool) {
        Ok(packed) => Ok(Some(packed)),
        Err(idiolect_kernels::Error::Format(_)) => Ok(None),
        Err(error) => Err(Error::wrap(error)),
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
pub(super) enum Embedding {
    /// In the kernels' layout; the same memory as the head's where the file has one matrix for both.
    Packed(Arc<PackedLinear>),
    /// As the file has it.
    Stored(QMatMul),
}

impl Embedding {
    /// Takes the table as the file has it, and the head: the same table if `head` is none.
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

    /// Ids to `[n_rows, n_embd]`, f32.
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
