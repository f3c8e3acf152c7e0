//! Loading of a decoder's tensors, each checked against the shape that the config gives.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

use super::config::{Bias, Config};
use super::layer::{Attention, FeedForward, Layer, Norm};
use super::projection::{Embedding, Kernels, Linear, Precision, Projection};
use crate::lm::{Error, Result};
use crate::model::gguf::Gguf;

/// All weights of a decoder.
pub(super) struct DecoderWeights {
    pub(super) embedding: Embedding,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    /// Output head; the embedding itself if the file has no `output.weight`.
    pub(super) head: Projection,
    /// Llama 3's divisors of the rotary frequencies, `[head_dim / 2]`.
    pub(super) rope_divisors: Option<Vec<f32>>,
}

impl DecoderWeights {
    pub(super) fn load(
        gguf: &Gguf,
        config: &Config,
        precision: Precision,
        kernels: Option<&Kernels>,
        device: &Device,
    ) -> Result<Self> {
        let taken = RefCell::new(HashSet::new());
        let loader = Loader { gguf, config, precision, kernels, device, taken };
        let embedding = loader.blocks("token_embd.weight", &[config.n_vocab, config.n_embd])?;
        let head = match loader.has("output.weight") {
            true => Some(loader.blocks("output.weight", &[config.n_vocab, config.n_embd])?),
            false => None,
        };
        let (embedding, head) = Embedding::with_head(embedding, head, precision, kernels)?;
        let rope_divisors = match loader.has("rope_freqs.weight") {
            true => Some(loader.rope_divisors()?),
            false => None,
        };
        let weights = Self {
            embedding,
            layers: (0..config.n_layers).map(|i| loader.layer(i)).collect::<Result<_>>()?,
            norm: loader.norm("output_norm.weight", config.n_embd)?,
            head,
            rope_divisors,
        };
        loader.refuse_leftovers()?;
        Ok(weights)
    }
}

struct Loader<'a> {
    gguf: &'a Gguf,
    config: &'a Config,
    precision: Precision,
    kernels: Option<&'a Kernels>,
    device: &'a Device,
    taken: RefCell<HashSet<String>>,
}

impl Loader<'_> {
    fn layer(&self, index: usize) -> Result<Layer> {
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
            Bias::Optional => Bias::Optional,
            Bias::Absent | Bias::Required => Bias::Absent,
        };
        Ok(Layer {
            attention_norm: self.norm(&name("attn_norm.weight"), config.n_embd)?,
            attention: Attention {
                query: self.linear(&name("attn_q"), n_queries, config.n_embd, qkv)?,
                key: self.linear(&name("attn_k"), n_keys, config.n_embd, qkv)?,
                value: self.linear(&name("attn_v"), n_keys, config.n_embd, qkv)?,
                output: self.linear(&name("attn_output"), config.n_embd, n_queries, output)?,
                query_norm: head_norm("attn_q_norm.weight")?,
                key_norm: head_norm("attn_k_norm.weight")?,
            },
            feed_forward_norm: self.norm(&name("ffn_norm.weight"), config.n_embd)?,
            feed_forward: FeedForward {
                gate: self.linear(&name("ffn_gate"), config.n_ff, config.n_embd, output)?,
                up: self.linear(&name("ffn_up"), config.n_ff, config.n_embd, output)?,
                down: self.linear(&name("ffn_down"), config.n_embd, config.n_ff, output)?,
            },
        })
    }

    fn linear(&self, name: &str, n_out: usize, n_in: usize, bias: Bias) -> Result<Linear> {
        let weights = self.blocks(&format!("{name}.weight"), &[n_out, n_in])?;
        let bias_name = format!("{name}.bias");
        let bias = match bias {
            Bias::Absent => None,
            Bias::Optional if !self.has(&bias_name) => None,
            Bias::Optional | Bias::Required => Some(self.vector(&bias_name, n_out)?),
        };
        Ok(Linear { projection: Projection::new(weights, self.precision, self.kernels)?, bias })
    }

    fn norm(&self, name: &str, length: usize) -> Result<Norm> {
        Ok(Norm { weight: self.vector(name, length)?, eps: self.config.rms_eps })
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
        self.taken.borrow_mut().insert(name.to_owned());
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
        let taken = self.taken.borrow();
        let leftovers: Vec<&str> = self
            .gguf
            .tensor_names()
            .filter(|name| !taken.contains(*name) && !name.ends_with("attn_rot_embd"))
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
