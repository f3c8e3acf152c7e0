//! Reading of a decoder's weights from a GGUF file, with each tensor checked against the shape that
//! the config gives.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

use super::config::{DecoderConfig, ExpertCounts};
use super::family::{BiasPlacement, NormPlacement, QueryKeyNorm};
use super::weights::{DecoderWeights, ExpertWeights, FeedForward, GatedWeights};
use super::weights::{LayerWeights, WeightForm};
use crate::lm::{Error, Result};
use crate::model::gguf::Gguf;

impl<F: WeightForm> DecoderWeights<F> {
    /// Reads all weights.
    ///
    /// # Errors
    /// A tensor is missing, does not have its shape, holds numbers that are not finite, or is not
    /// one of this decoder's; the form does not support its format; or the file was changed meanwhile.
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
        let weights = Self {
            embedding,
            layers: (0..config.n_layers).map(|i| reader.layer(i)).collect::<Result<_>>()?,
            norm: reader.norm("output_norm.weight", config.n_embd)?,
            head,
            rope_divisors: reader.rope_divisors()?,
        };
        reader.refuse_leftovers()?;
        gguf.check_unchanged()?;
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
        let [query, key, value] = self.query_key_value(index, n_queries, n_keys)?;
        let (n_query_norm, n_key_norm) = match config.family.query_key_norm() {
            QueryKeyNorm::Absent => (None, None),
            QueryKeyNorm::EachHead => (Some(config.head_dim), Some(config.head_dim)),
            QueryKeyNorm::AllHeads => (Some(n_queries), Some(n_keys)),
        };
        let norm = |part: &str, length: Option<usize>| {
            length.map(|length| self.norm(&name(part), length)).transpose()
        };
        let placement = config.family.norms();
        let before = (placement != NormPlacement::After).then_some(config.n_embd);
        let after = (placement != NormPlacement::Before).then_some(config.n_embd);
        let output = [config.n_embd, n_queries];
        Ok(LayerWeights {
            attention_norm: norm("attn_norm.weight", before)?,
            query,
            key,
            value,
            output: self.linear(&name("attn_output"), output, self.other_bias())?,
            query_norm: norm("attn_q_norm.weight", n_query_norm)?,
            key_norm: norm("attn_k_norm.weight", n_key_norm)?,
            attention_post_norm: norm("post_attention_norm.weight", after)?,
            feed_forward_norm: norm("ffn_norm.weight", before)?,
            feed_forward: match config.experts {
                None => FeedForward::Dense(self.gated(index)?),
                Some(counts) => FeedForward::Experts(self.experts(index, counts)?),
            },
            feed_forward_post_norm: norm("post_ffw_norm.weight", after)?,
        })
    }

    /// Reads the projections to queries, keys and values, which may be one tensor.
    fn query_key_value(
        &self,
        index: usize,
        n_queries: usize,
        n_keys: usize,
    ) -> Result<[F::Linear; 3]> {
        let (n_embd, bias) = (self.config.n_embd, self.config.family.qkv_bias());
        let parts = [("attn_q", n_queries), ("attn_k", n_keys), ("attn_v", n_keys)];
        if !self.config.family.fuses_projections() {
            let [query, key, value] = parts.map(|(part, n_out)| {
                self.linear(&format!("blk.{index}.{part}"), [n_out, n_embd], bias)
            });
            return Ok([query?, key?, value?]);
        }
        let name = format!("blk.{index}.attn_qkv.weight");
        let shape = [n_queries + 2 * n_keys, n_embd];
        Ok([
            self.linear_rows(&name, &shape, 0..n_queries)?,
            self.linear_rows(&name, &shape, n_queries..n_queries + n_keys)?,
            self.linear_rows(&name, &shape, n_queries + n_keys..shape[0])?,
        ])
    }

    /// Reads a gated feed-forward network, whose gate may be in one tensor with `up`.
    fn gated(&self, index: usize) -> Result<GatedWeights<F>> {
        let DecoderConfig { n_embd, n_ff, .. } = *self.config;
        let name = |part: &str| format!("blk.{index}.{part}");
        let bias = self.other_bias();
        let down = || self.linear(&name("ffn_down"), [n_embd, n_ff], bias);
        if !self.config.family.fuses_projections() {
            let gate = self.linear(&name("ffn_gate"), [n_ff, n_embd], bias)?;
            let up = self.linear(&name("ffn_up"), [n_ff, n_embd], bias)?;
            return Ok(GatedWeights { gate, up, down: down()? });
        }
        let (fused, shape) = (name("ffn_up.weight"), [2 * n_ff, n_embd]);
        let gate = self.linear_rows(&fused, &shape, 0..n_ff)?;
        let up = self.linear_rows(&fused, &shape, n_ff..2 * n_ff)?;
        Ok(GatedWeights { gate, up, down: down()? })
    }

    /// Reads a mixture of experts: three tensors `[n_experts, n_out, n_in]`.
    fn experts(&self, index: usize, counts: ExpertCounts) -> Result<ExpertWeights<F>> {
        let DecoderConfig { n_embd, n_ff, .. } = *self.config;
        let n_experts = counts.n_experts;
        let name = |part: &str| format!("blk.{index}.{part}");
        let expert = |part: &str, expert: usize, [n_out, n_in]: [usize; 2]| {
            let rows = expert * n_out..(expert + 1) * n_out;
            self.linear_rows(&name(part), &[n_experts, n_out, n_in], rows)
        };
        let router =
            self.linear(&name("ffn_gate_inp"), [n_experts, n_embd], BiasPlacement::Absent)?;
        let experts = (0..n_experts)
            .map(|number| {
                Ok(GatedWeights {
                    gate: expert("ffn_gate_exps.weight", number, [n_ff, n_embd])?,
                    up: expert("ffn_up_exps.weight", number, [n_ff, n_embd])?,
                    down: expert("ffn_down_exps.weight", number, [n_embd, n_ff])?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(ExpertWeights { router, experts })
    }

    /// Biases of the output and feed-forward projections: llama.cpp accepts them in the families
    /// that may have some in the others.
    fn other_bias(&self) -> BiasPlacement {
        match self.config.family.qkv_bias() {
            BiasPlacement::Optional => BiasPlacement::Optional,
            BiasPlacement::Absent | BiasPlacement::Required => BiasPlacement::Absent,
        }
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

    /// Reads rows of a tensor, counted over all its outer dimensions, as a matrix without bias.
    fn linear_rows(&self, name: &str, shape: &[usize], rows: Range<usize>) -> Result<F::Linear> {
        self.check(name, shape)?;
        let weights = self.gguf.qtensor_rows(name, rows, self.device)?;
        Ok(self.form.linear(Arc::new(weights), None)?)
    }

    fn norm(&self, name: &str, length: usize) -> Result<F::Norm> {
        Ok(self.form.norm(self.vector(name, length)?, self.config.rms_eps)?)
    }

    /// Reads the divisors of the rotary frequencies, if the file has some. Of two sets, the window
    /// decides: the long ones serve a window that is longer than that of the training.
    fn rope_divisors(&self) -> Result<Option<Vec<f32>>> {
        const LONG: &str = "rope_factors_long.weight";
        const SHORT: &str = "rope_factors_short.weight";
        let is_long = self.config.context > self.config.original_context;
        let name = match self.has(LONG) || self.has(SHORT) {
            true => {
                // Both are this decoder's, whichever it needs.
                self.read.borrow_mut().extend([LONG, SHORT].map(str::to_owned));
                if is_long { LONG } else { SHORT }
            }
            false => "rope_freqs.weight",
        };
        if name == "rope_freqs.weight" && !self.has(name) {
            return Ok(None);
        }
        let divisors: Vec<f32> = self.vector(name, self.config.rotated_dim / 2)?.to_vec1()?;
        match divisors.iter().find(|d| **d <= 0.0) {
            Some(divisor) => Err(self.bad_value(name, *divisor, "numbers above 0")),
            None => Ok(Some(divisors)),
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
        self.check(name, shape)?;
        Ok(Arc::new(self.gguf.qtensor(name, self.device)?))
    }

    /// Checks that a tensor exists and has its shape, and marks it as read.
    fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
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
        Ok(())
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
