//! One decoder for the llama, qwen2 and qwen3 families: token ids and a cache in, logits out.
//!
//! The differences of the families are declared in [`config`]; the forward step is the same for
//! all.

use std::sync::Arc;

use candle_core::{Device, Storage, Tensor};

use super::{Error, Result};
use crate::model::gguf::Gguf;
use idiolect_kernels::attention::KvPrecision;
use idiolect_kernels::{Pool, Tier};

mod attention;
mod cache;
pub mod config;
mod layer;
mod packed;
mod projection;
pub mod rope;
mod run;
mod weights;

#[cfg(test)]
mod tests;

pub use cache::Cache;
pub(super) use cache::SharedRun;
pub use config::Config;
pub use projection::Precision;

use layer::Segment;
use packed::Packed;
use projection::Kernels;
use rope::Rope;
use weights::DecoderWeights;

/// A loaded model. It holds no state of a sequence; that is in the [`Cache`].
pub struct Decoder {
    config: Config,
    device: Device,
    weights: DecoderWeights,
    rope: Rope,
    /// The same weights for the kernels on the CPU; `None` if they are not used.
    packed: Option<Packed>,
    /// An empty cache; all others are made from it.
    cache: Cache,
}

/// Tokens of one sequence to run, and the cache of the tokens before them.
pub struct Rows<'a> {
    /// New tokens, in order; at least one.
    pub tokens: &'a [u32],
    /// The sequence's cache; the new tokens are appended.
    pub cache: &'a mut Cache,
}

/// Options for loading a decoder.
#[derive(Debug, Clone)]
pub struct Options {
    /// Device that it runs on.
    pub device: Device,
    /// Form in which its weights are kept in memory.
    pub precision: Precision,
    /// Context window, tokens; `None` uses the model's own.
    pub context: Option<usize>,
    /// Number of worker threads of the kernels on the CPU; 0 means one per core.
    pub threads: usize,
    /// Instruction set of the kernels on the CPU.
    pub tier: Tier,
    /// Precision of keys and values in the kernels on the CPU; on other devices they are f32.
    pub kv_precision: KvPrecision,
}

impl Decoder {
    /// Loads config and weights.
    ///
    /// # Errors
    /// The architecture is unknown, a tensor is missing or does not have the shape that the
    /// metadata give, or the requested context is 0 or larger than the model's.
    pub fn load(gguf: &Gguf, options: &Options) -> Result<Self> {
        let mut config = Config::from_gguf(gguf)?;
        if let Some(context) = options.context {
            if context == 0 || context > config.context {
                return Err(Error::Context { got: context, most: config.context });
            }
            config.context = context;
        }
        let device = options.device.clone();
        let packed = device.is_cpu() && options.precision == Precision::Packed;
        let kernels = packed.then(|| Kernels {
            tier: options.tier,
            kv_precision: options.kv_precision,
            pool: Arc::new(Pool::new(options.threads)),
        });
        let weights =
            DecoderWeights::load(gguf, &config, options.precision, kernels.as_ref(), &device)?;
        let rope = Rope::new(
            config.family.rope_kind(),
            config.head_dim,
            config.context,
            config.rope_base,
            config.rope_scaling,
            weights.rope_divisors.as_deref(),
            &device,
        )?;
        let packed = match &kernels {
            Some(kernels) => Packed::new(&weights, &config, &rope, kernels)?,
            None => None,
        };
        let cache = match &packed {
            Some(packed) => Cache::new(&config, packed.kv_shape(), run::Place::Packed),
            None => Cache::on_device(&config, &device),
        };
        Ok(Self { config, device, weights, rope, packed, cache })
    }

    /// Shapes and constants of the model.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Creates an empty cache for this model.
    #[must_use]
    pub fn cache(&self) -> Cache {
        self.cache.empty()
    }

    /// Runs new tokens of any number of sequences through all layers and appends them to their
    /// caches. Returns the last layer's output, `[n_rows, n_embd]`, the rows of all sequences in
    /// order; [`Decoder::logits_of`] computes the logits of selected rows.
    ///
    /// On an error the caches keep their content.
    ///
    /// # Errors
    /// A sequence is empty or exceeds the context window, a token id is outside of the vocabulary,
    /// or a tensor operation fails.
    pub fn forward(&self, batch: &mut [Rows<'_>]) -> Result<Tensor> {
        let mut ids = Vec::new();
        let mut segments = Vec::with_capacity(batch.len());
        for rows in batch.iter_mut() {
            let n_rows = rows.tokens.len();
            self.check(rows)?;
            rows.cache.reserve(n_rows)?;
            segments.push(Segment {
                first_row: ids.len(),
                n_rows,
                start: rows.cache.len(),
                mask: match self.packed {
                    Some(_) => attention::Mask::none(),
                    None => attention::Mask::causal(n_rows, &self.device)?,
                },
                cache: rows.cache,
            });
            ids.extend_from_slice(rows.tokens);
        }
        if ids.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let mut x = self.weights.embedding.rows(ids, &self.device)?;
        if let Some(packed) = &self.packed {
            let shape = x.dims2()?;
            let mut rows: Vec<f32> = x.flatten_all()?.to_vec1()?;
            packed.forward(&mut rows, &mut segments)?;
            x = Tensor::from_vec(rows, shape, &self.device)?;
        } else {
            for (index, layer) in self.weights.layers.iter().enumerate() {
                x = layer.forward(index, &self.config, &self.rope, &x, &mut segments)?;
            }
        }
        for segment in &mut segments {
            segment.cache.advance(segment.n_rows);
        }
        Ok(x)
    }

    /// Whether a row's result depends on its own sequence only, bit for bit, regardless of the rest
    /// of the batch and of how the sequence was split into chunks.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.packed.is_some()
    }

    /// Bytes of the KV blocks of all existing caches; each block is counted once.
    #[must_use]
    pub fn cache_bytes(&self) -> usize {
        self.cache.living_bytes()
    }

    /// Logits of the token after each row: `[n_rows, n_embd]` to `[n_rows, n_vocab]`, f32.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let n_rows = hidden.dim(0)?;
        let rows: Vec<u32> = (0..n_rows as u32).collect();
        let mut logits = Vec::new();
        self.logits_of(hidden, &rows, &mut logits)?;
        Ok(Tensor::from_vec(logits, (n_rows, self.config.n_vocab), &Device::Cpu)?)
    }

    /// Replaces the content of `logits` with the logits of the token after each of the given rows
    /// of `hidden` `[n, n_embd]`: `[rows.len()][n_vocab]`.
    pub fn logits_of(&self, hidden: &Tensor, rows: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        if let Some(packed) = &self.packed {
            let (storage, layout) = hidden.storage_and_layout();
            let (Storage::Cpu(storage), Some((start, end))) =
                (&*storage, layout.contiguous_offsets())
            else {
                return Err(Error::Engine("was given hidden states that are not its own".into()));
            };
            return Ok(packed.logits(&storage.as_slice()?[start..end], rows, logits)?);
        }
        let wanted = Tensor::new(rows, hidden.device())?;
        let hidden = self.weights.norm.forward(&hidden.index_select(&wanted, 0)?)?;
        *logits = self.weights.head.forward(&hidden)?.flatten_all()?.to_vec1()?;
        Ok(())
    }

    /// Worker threads of the kernels on the CPU; `None` if they are not used.
    pub(super) fn pool(&self) -> Option<&Pool> {
        self.packed.as_ref().map(Packed::pool)
    }

    fn check(&self, rows: &Rows<'_>) -> Result<()> {
        let len = rows.cache.len();
        if rows.tokens.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        if len + rows.tokens.len() > self.config.context {
            return Err(Error::TooLong {
                prompt: len,
                max_tokens: rows.tokens.len(),
                context: self.config.context,
            });
        }
        match rows.tokens.iter().find(|id| **id as usize >= self.config.n_vocab) {
            Some(id) => Err(Error::Token { id: *id, n_vocab: self.config.n_vocab }),
            None => Ok(()),
        }
    }
}
