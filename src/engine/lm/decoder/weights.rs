//! Weights of a decoder: their structure, their packing for our own kernels, and reading from a GGUF
//! file, with each tensor checked against the shape that the config gives.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Tensor};

use super::config::{BiasPlacement, DecoderConfig};
use super::interface::DecoderOptions;
use crate::lm::{Error, Result};
use crate::model::gguf::Gguf;
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
    /// Llama 3's divisors of the rotary frequencies, `[head_dim / 2]`.
    pub(super) rope_divisors: Option<Vec<f32>>,
}

/// Weights of one transformer layer: attention and gated feed-forward, each with a norm before it.
pub(super) struct LayerWeights<F: WeightForm> {
    pub(super) attention_norm: F::Norm,
    pub(super) query: F::Linear,
    pub(super) key: F::Linear,
    pub(super) value: F::Linear,
    pub(super) output: F::Linear,
    /// Norm of each head before the rotation (Qwen3 only).
    pub(super) query_norm: Option<F::Norm>,
    pub(super) key_norm: Option<F::Norm>,
    pub(super) feed_forward_norm: F::Norm,
    pub(super) gate: F::Linear,
    pub(super) up: F::Linear,
    pub(super) down: F::Linear,
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

impl<F: WeightForm> DecoderWeights<F> {
    /// Reads all weights.
    ///
    /// # Errors
    /// A tensor is missing, does not have its shape, holds numbers that are not finite, or is not
    /// one of this decoder's; or the form does not support its format.
    pub(super) fn load(
        gguf: &Gguf,
        config: &DecoderConfig,
        form: &F,
        device: &Device,
    ) -> Result<Self> {
        let read = RefCell::new(HashSet::new());
        let reader = WeightReader { gguf, config, form, device, read };
        let embedding = reader.blocks("token_embd.weight", &[config.n_vocab, config.n_embd])?;
        let head = match reader.has("output.weight") {
            true => Some(reader.blocks("output.weight", &[config.n_vocab, config.n_embd])?),
            false => None,
        };
        let (embedding, head) = form.embedding_and_head(embedding, head)?;
        let rope_divisors = match reader.has("rope_freqs.weight") {
            true => Some(reader.rope_divisors()?),
            false => None,
        };
        let weights = Self {
            embedding,
            layers: (0..config.n_layers).map(|i| reader.layer(i)).collect::<Result<_>>()?,
            norm: reader.norm("output_norm.weight", config.n_embd)?,
            head,
            rope_divisors,
        };
        reader.refuse_leftovers()?;
        Ok(weights)
    }
}

struct WeightReader<'a, F> {
    gguf: &'a Gguf,
    config: &'a DecoderConfig,
    form: &'a F,
    device: &'a Device,
    /// Names of the tensors read so far.
    read: RefCell<HashSet<String>>,
}

impl<F: WeightForm> WeightReader<'_, F> {
    fn layer(&self, index: usize) -> Result<LayerWeights<F>> {
        let config = self.config;
        let name = |part: &str| format!("blk.{index}.{part}");
        let n_queries = config.n_heads * config.head_dim;
        let n_keys = config.n_kv_heads * config.head_dim;
        let head_norm = |part: &str| match config.family.normalises_heads() {
            true => self.norm(&name(part), config.head_dim).map(Some),
            false => Ok(None),
        };
        let qkv = config.family.qkv_bias();
        // llama.cpp also accepts biases of the output and feed-forward projections in llama files.
        let output = match config.family.qkv_bias() {
            BiasPlacement::Optional => BiasPlacement::Optional,
            BiasPlacement::Absent | BiasPlacement::Required => BiasPlacement::Absent,
        };
        Ok(LayerWeights {
            attention_norm: self.norm(&name("attn_norm.weight"), config.n_embd)?,
            query: self.linear(&name("attn_q"), [n_queries, config.n_embd], qkv)?,
            key: self.linear(&name("attn_k"), [n_keys, config.n_embd], qkv)?,
            value: self.linear(&name("attn_v"), [n_keys, config.n_embd], qkv)?,
            output: self.linear(&name("attn_output"), [config.n_embd, n_queries], output)?,
            query_norm: head_norm("attn_q_norm.weight")?,
            key_norm: head_norm("attn_k_norm.weight")?,
            feed_forward_norm: self.norm(&name("ffn_norm.weight"), config.n_embd)?,
            gate: self.linear(&name("ffn_gate"), [config.n_ff, config.n_embd], output)?,
            up: self.linear(&name("ffn_up"), [config.n_ff, config.n_embd], output)?,
            down: self.linear(&name("ffn_down"), [config.n_embd, config.n_ff], output)?,
        })
    }

    /// Reads a matrix `[n_out, n_in]` and its bias.
    fn linear(&self, name: &str, shape: [usize; 2], bias: BiasPlacement) -> Result<F::Linear> {
        let weights = self.blocks(&format!("{name}.weight"), &shape)?;
        let bias_name = format!("{name}.bias");
        let bias = match bias {
            BiasPlacement::Absent => None,
            BiasPlacement::Optional if !self.has(&bias_name) => None,
            BiasPlacement::Optional | BiasPlacement::Required => {
                Some(self.vector(&bias_name, shape[0])?)
            }
        };
        Ok(self.form.linear(weights, bias)?)
    }

    fn norm(&self, name: &str, length: usize) -> Result<F::Norm> {
        Ok(self.form.norm(self.vector(name, length)?, self.config.rms_eps)?)
    }

    fn rope_divisors(&self) -> Result<Vec<f32>> {
        let name = "rope_freqs.weight";
        let divisors: Vec<f32> = self.vector(name, self.config.head_dim / 2)?.to_vec1()?;
        match divisors.iter().find(|d| **d <= 0.0) {
            Some(divisor) => Err(self.bad_value(name, *divisor, "numbers above 0")),
            None => Ok(divisors),
        }
    }

    fn vector(&self, name: &str, length: usize) -> Result<Tensor> {
        let tensor = self.blocks(name, &[length])?.dequantize(self.device)?;
        let values: Vec<f32> = tensor.to_vec1()?;
        match values.iter().find(|x| !x.is_finite()) {
            Some(value) => Err(self.bad_value(name, *value, "finite numbers")),
            None => Ok(tensor),
        }
    }

    fn blocks(&self, name: &str, shape: &[usize]) -> Result<Arc<QTensor>> {
        let Some(view) = self.gguf.tensor(name) else {
            return Err(Error::MissingTensor {
                path: self.gguf.path().to_owned(),
                tensor: name.to_owned(),
                expected: format!("{shape:?}"),
            });
        };
        if view.shape != shape {
            return Err(Error::Shape {
                path: self.gguf.path().to_owned(),
                tensor: name.to_owned(),
                got: view.shape,
                expected: format!("{shape:?}"),
            });
        }
        self.read.borrow_mut().insert(name.to_owned());
        Ok(Arc::new(self.gguf.qtensor(name, self.device)?))
    }

    fn has(&self, name: &str) -> bool {
        self.gguf.tensor(name).is_some()
    }

    fn bad_value(&self, name: &str, value: f32, expected: &str) -> Error {
        Error::Config {
            path: self.gguf.path().to_owned(),
            what: format!(
                "tensor `{name}` holds {value}, expected {expected}; fetch the file again"
            ),
        }
    }

    /// Error if the file has tensors that were not read: it is then a model that this decoder would
    /// compute wrongly.
    fn refuse_leftovers(&self) -> Result<()> {
        let read = self.read.borrow();
        let leftovers: Vec<&str> = self
            .gguf
            .tensor_names()
            .filter(|name| !read.contains(*name) && !name.ends_with("attn_rot_embd"))
            .collect();
        if leftovers.is_empty() {
            return Ok(());
        }
        let shown = leftovers.iter().take(4).copied().collect::<Vec<_>>().join(", ");
        Err(Error::Config {
            path: self.gguf.path().to_owned(),
            what: format!(
                "{} tensors that a {:?} decoder does not have, among them {shown}",
                leftovers.len(),
                self.config.family
            ),
        })
    }
}
