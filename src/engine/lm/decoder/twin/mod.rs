//! The f32 twin of a model: the same file, dequantized, as candle operations that keep gradients. What
//! stands before or inside the layers (an [`Adapter`](crate::lm::Adapter)) is trained on it, and used on
//! the model as it is stored.
//!
//! The other decoders cannot give gradients: quantized products, fused operations and the KV cache cut
//! them. The twin has no cache; it runs whole texts.

use std::path::Path;

use candle_core::{D, Device, Tensor};

use super::config::DecoderConfig;
use super::rope::{LayerRopes, RopeTables};
use super::weights::DecoderWeights;
use crate::lm::{AdapterShape, Error, Result};
use crate::model::gguf::{Gguf, Value};

mod layer;
mod weights;

use layer::{TwinMask, TwinRope, TwinStep};
use weights::{TwinForm, capped};

/// The f32 twin of a model. It has no mixtures of experts.
pub struct Twin {
    config: DecoderConfig,
    /// Number of tokens of the vocabulary; further rows of the output head are padding.
    n_tokens: usize,
    device: Device,
    weights: DecoderWeights<TwinForm>,
    ropes: LayerRopes<TwinRope>,
}

/// An [`Adapter`](crate::lm::Adapter) as tensors, which may depend on what is trained.
#[derive(Debug, Clone, Default)]
pub struct TwinAdapter {
    /// Soft tokens before the prompt, `[n_soft, n_embd]`.
    pub soft_tokens: Option<Tensor>,
    /// Products of each layer; empty, or one entry for each.
    pub layers: Vec<TwinLayerAdapter>,
}

/// Products that an adapter adds in one layer.
#[derive(Debug, Clone, Default)]
pub struct TwinLayerAdapter {
    /// Added to the queries.
    pub query: Option<TwinLowRank>,
    /// Added to the values.
    pub value: Option<TwinLowRank>,
}

/// A matrix of low rank.
#[derive(Debug, Clone)]
pub struct TwinLowRank {
    /// First factor, `[n_embd, rank]`.
    pub down: Tensor,
    /// Second factor, `[rank, n_out]`.
    pub up: Tensor,
}

impl Twin {
    /// Reads a GGUF file and dequantizes it: four bytes a weight.
    ///
    /// # Errors
    /// As [`load`](super::load); also if the model is a mixture of experts.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        Self::load(&Gguf::open(path)?, device)
    }

    pub(super) fn load(gguf: &Gguf, device: &Device) -> Result<Self> {
        let config = DecoderConfig::from_gguf(gguf)?;
        if config.experts.is_some() {
            let what = "adapters of mixtures of experts cannot be trained; take a dense model";
            return Err(Error::Config { path: gguf.path().to_owned(), what: what.to_owned() });
        }
        let n_tokens = match gguf.value("tokenizer.ggml.tokens") {
            Some(Value::Strings(tokens)) => tokens.len().min(config.n_vocab),
            _ => config.n_vocab,
        };
        let weights = DecoderWeights::load(gguf, &config, &TwinForm, device)?;
        let tables = RopeTables::new(&config.rope(), weights.rope_divisors.as_deref());
        let local = config.local_rope().map(|settings| RopeTables::new(&settings, None));
        let ropes = LayerRopes { global: TwinRope(tables), local: local.map(TwinRope) };
        Ok(Self { config, n_tokens, device: device.clone(), weights, ropes })
    }

    /// Sizes that its adapters have.
    #[must_use]
    pub fn adapter_shape(&self) -> AdapterShape {
        AdapterShape::of(&self.config)
    }

    /// Device of its tensors.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Root mean square of the values of the input embeddings. Soft tokens of another size than theirs are
    /// hardly learnt (Persona-Plug, arXiv 2409.11901, multiplies its own by a constant).
    ///
    /// # Errors
    /// A tensor operation fails.
    pub fn embedding_size(&self) -> Result<f64> {
        // Some thousand rows, from all over the table.
        let step = self.config.n_vocab.div_ceil(4096);
        let ids: Vec<u32> = (0..self.config.n_vocab as u32).step_by(step).collect();
        let rows = self.weights.embedding.tensor(&ids, &self.device)?;
        let mean = rows.sqr()?.mean_all()?.to_scalar::<f32>()?;
        Ok(f64::from(mean).sqrt() * f64::from(self.config.embedding_factor))
    }

    /// Losses of a text's tokens after a prompt: the negative natural logarithms of their probabilities,
    /// `[text.len()]`, with gradients for the tensors of the adapter.
    ///
    /// # Errors
    /// The prompt or the text is empty, they do not fit the context window, an id is not one of the
    /// vocabulary, the adapter has other sizes, or a tensor operation fails.
    pub fn losses(&self, prompt: &[u32], text: &[u32], adapter: &TwinAdapter) -> Result<Tensor> {
        let soft = adapter.soft_tokens.as_ref();
        let n_soft = soft.map_or(Ok(0), |soft| soft.dim(0))?;
        let Some((_, run)) = text.split_last() else { return Err(Error::EmptyPrompt) };
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let ids = [prompt, &text[..run.len()]].concat();
        let n_vocab = self.n_tokens;
        if let Some(id) = ids.iter().chain(text).find(|id| **id as usize >= n_vocab) {
            return Err(Error::Token { id: *id, n_vocab });
        }
        let (n, context) = (n_soft + ids.len(), self.config.context);
        if n > context {
            return Err(Error::TooLong {
                prompt: n_soft + prompt.len(),
                max_tokens: text.len(),
                context,
            });
        }
        let rows = self.weights.embedding.tensor(&ids, &self.device)?.detach();
        let rows = (rows * f64::from(self.config.embedding_factor))?;
        let mut x = match soft {
            Some(soft) => Tensor::cat(&[soft, &rows], 0)?,
            None => rows,
        };
        let step = TwinStep {
            config: &self.config,
            ropes: &self.ropes,
            open: TwinMask::new(n, None, &self.device)?,
            windowed: self
                .config
                .layers
                .iter()
                .find_map(|layer| layer.window)
                .map(|window| TwinMask::new(n, Some(window), &self.device))
                .transpose()?,
        };
        for (index, layer) in self.weights.layers.iter().enumerate() {
            x = step.run_layer(index, layer, &x, adapter.layers.get(index))?;
        }
        let x = x.narrow(0, n - text.len(), text.len())?;
        let logits = self.weights.head.forward(&self.weights.norm.forward(&x)?)?;
        let logits = logits.narrow(1, 0, self.n_tokens)?;
        let logits = (logits * f64::from(self.config.logit_factor))?;
        let logits = capped(logits, self.config.logit_cap)?;
        let wanted = Tensor::new(text, &self.device)?.unsqueeze(1)?;
        let chosen = logits.contiguous()?.gather(&wanted, 1)?.squeeze(1)?;
        // The largest logit cancels; its gradient is not needed.
        let largest = logits.max_keepdim(D::Minus1)?.detach();
        let total = logits.broadcast_sub(&largest)?.exp()?.sum(D::Minus1)?.log()?;
        Ok(((total + largest.squeeze(1)?)? - chosen)?)
    }
}

#[cfg(test)]
mod tests;
