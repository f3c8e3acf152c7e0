//! Weights of a decoder: their structure, and their packing for our own kernels.

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Tensor};

use super::interface::DecoderOptions;
use idiolect_kernels::{Isa, PackedLinear, Pool};

/// Form in which a decoder keeps its weights.
pub(super) trait WeightForm {
    /// A matrix `[n_out, n_in]` and its bias `[n_out]`, if it has one.
    type Linear;
    /// A root-mean-square norm (arXiv 1910.07467).
    type Norm;
    /// The output head, `[n_vocab, n_embd]`.
    type Head;

    fn linear(
        &self,
        weights: Arc<QTensor>,
        bias: Option<Tensor>,
    ) -> candle_core::Result<Self::Linear>;

    fn norm(&self, weight: Tensor, eps: f32) -> candle_core::Result<Self::Norm>;

    /// Converts the embedding table and the output head; if `head` is `None`, the head uses
    /// `table`.
    fn embedding_and_head(
        &self,
        table: Arc<QTensor>,
        head: Option<Arc<QTensor>>,
    ) -> candle_core::Result<(TokenEmbedding, Self::Head)>;
}

/// All weights of a decoder.
pub(super) struct DecoderWeights<F: WeightForm> {
    pub(super) embedding: TokenEmbedding,
    pub(super) layers: Vec<LayerWeights<F>>,
    pub(super) norm: F::Norm,
    /// Output head; the embedding itself if the file has no `output.weight`.
    pub(super) head: F::Head,
    /// Divisors of the rotary frequencies, `[rotated_dim / 2]`.
    pub(super) rope_divisors: Option<Vec<f32>>,
}

/// Weights of one transformer layer: attention and feed-forward, each with norms before it, after it
/// or both.
pub(super) struct LayerWeights<F: WeightForm> {
    pub(super) attention_norm: Option<F::Norm>,
    pub(super) query: F::Linear,
    pub(super) key: F::Linear,
    pub(super) value: F::Linear,
    pub(super) output: F::Linear,
    /// Norms before the rotation, of each head or of all heads together.
    pub(super) query_norm: Option<F::Norm>,
    pub(super) key_norm: Option<F::Norm>,
    pub(super) attention_post_norm: Option<F::Norm>,
    pub(super) feed_forward_norm: Option<F::Norm>,
    pub(super) feed_forward: FeedForward<F>,
    pub(super) feed_forward_post_norm: Option<F::Norm>,
}

/// The feed-forward network of a layer.
pub(super) enum FeedForward<F: WeightForm> {
    Dense(GatedWeights<F>),
    Experts(ExpertWeights<F>),
}

/// Weights of a gated feed-forward network (arXiv 2002.05202).
pub(super) struct GatedWeights<F: WeightForm> {
    pub(super) gate: F::Linear,
    pub(super) up: F::Linear,
    pub(super) down: F::Linear,
}

/// Weights of a mixture of experts (arXiv 1701.06538, section 2).
pub(super) struct ExpertWeights<F: WeightForm> {
    /// Scores of the experts, `[n_experts, n_embd]`.
    pub(super) router: F::Linear,
    pub(super) experts: Vec<GatedWeights<F>>,
}

/// Token embedding table, `[n_vocab, n_embd]`; only the requested rows are dequantized.
#[derive(Debug, Clone)]
pub(super) enum TokenEmbedding {
    /// In the kernels' layout; shares the head's memory if the file has one matrix for both.
    Packed(Arc<PackedLinear>),
    /// As stored in the file.
    Stored(QMatMul),
}

impl TokenEmbedding {
    /// Looks up the rows of `ids` in the CPU's memory: `[ids.len()][n_embd]`.
    pub(super) fn rows(&self, ids: &[u32]) -> candle_core::Result<Vec<f32>> {
        let table = match self {
            Self::Packed(table) => table,
            Self::Stored(_) => return self.tensor(ids, &Device::Cpu)?.flatten_all()?.to_vec1(),
        };
        let mut rows = vec![0.0; ids.len() * table.cols()];
        for (id, row) in ids.iter().zip(rows.chunks_exact_mut(table.cols())) {
            table.dequantize_row(*id as usize, row).map_err(candle_core::Error::wrap)?;
        }
        Ok(rows)
    }

    /// Looks up the rows of `ids`: `[ids.len(), n_embd]`, f32, on `device`.
    pub(super) fn tensor(&self, ids: &[u32], device: &Device) -> candle_core::Result<Tensor> {
        match self {
            Self::Packed(table) => {
                Tensor::from_vec(self.rows(ids)?, (ids.len(), table.cols()), device)
            }
            Self::Stored(table) => table.embedding(&Tensor::new(ids, device)?),
        }
    }
}

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
    pub(super) fn pack(&self, weights: &QTensor) -> candle_core::Result<PackedLinear> {
        let (rows, cols) = weights.shape().dims2()?;
        let (isa, pool) = (self.isa, &self.pool);
        PackedLinear::from_blocks(&weights.data()?, weights.dtype(), rows, cols, isa, pool)
            .map_err(candle_core::Error::wrap)
    }

    /// Packs a matrix; `None` if no kernel supports its format.
    pub(super) fn try_pack(&self, weights: &QTensor) -> candle_core::Result<Option<PackedLinear>> {
        match PackedLinear::supports(weights.dtype()) {
            true => self.pack(weights).map(Some),
            false => Ok(None),
        }
    }
}
