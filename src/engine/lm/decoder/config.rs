//! Configuration of a decoder, read from the model file before the weights.

use super::rope::{RopeScaling, RopeSettings};
use crate::lm::{Error, Result};
use crate::model::gguf::{Gguf, Value};
use idiolect_kernels::attention::{KvPrecision, KvShape};
use idiolect_kernels::elementwise::RopePairs;

/// Architectures that [`DecoderConfig::from_gguf`] accepts, as in `general.architecture`.
const KNOWN: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// A family of decoders. The methods declare the differences between families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoderFamily {
    /// Llama, Mistral, SmolLM.
    Llama,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Qwen3 (dense).
    Qwen3,
}

/// Whether a family's projections carry a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BiasPlacement {
    /// Never.
    Absent,
    /// If the file has one.
    Optional,
    /// Always.
    Required,
}

/// Shapes and constants of a decoder. `n_` counts; dimensions are in elements.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// The family.
    pub family: DecoderFamily,
    /// Transformer layers.
    pub n_layers: usize,
    /// Width of the residual stream (hidden size).
    pub n_embd: usize,
    /// Hidden width of the feed-forward network.
    pub n_ff: usize,
    /// Number of query heads.
    pub n_heads: usize,
    /// Number of key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Elements of one head.
    pub head_dim: usize,
    /// Rows of the embedding and of the output head.
    pub n_vocab: usize,
    /// Context window, tokens.
    pub context: usize,
    /// Epsilon of every RMS norm.
    pub rms_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// Scaling of the rotary frequencies.
    pub rope_scaling: RopeScaling,
}

impl DecoderFamily {
    /// Whether the query, key and value projections have a bias.
    #[must_use]
    pub fn qkv_bias(self) -> BiasPlacement {
        match self {
            Self::Llama => BiasPlacement::Optional,
            Self::Qwen2 => BiasPlacement::Required,
            Self::Qwen3 => BiasPlacement::Absent,
        }
    }

    /// Whether each head's query and key are RMS-normed before the rotation.
    #[must_use]
    pub fn normalises_heads(self) -> bool {
        matches!(self, Self::Qwen3)
    }

    /// Pairing of elements for the rotation.
    #[must_use]
    pub fn rope_pairs(self) -> RopePairs {
        match self {
            Self::Llama => RopePairs::Neighbours,
            Self::Qwen2 | Self::Qwen3 => RopePairs::Halves,
        }
    }
}

impl DecoderConfig {
    /// Settings of the rotary embedding.
    pub(super) fn rope(&self) -> RopeSettings {
        RopeSettings {
            pairs: self.family.rope_pairs(),
            head_dim: self.head_dim,
            context: self.context,
            base: self.rope_base,
            scaling: self.rope_scaling,
        }
    }

    /// Replaces the context window by a smaller one, if one is given.
    ///
    /// # Errors
    /// It is 0 or larger than the model's.
    pub(super) fn with_context(self, context: Option<usize>) -> Result<Self> {
        let context = context.unwrap_or(self.context);
        if context == 0 || context > self.context {
            return Err(Error::Context { got: context, most: self.context });
        }
        Ok(Self { context, ..self })
    }

    /// Shape of the keys and values of one layer.
    pub(super) fn kv_shape(&self, precision: KvPrecision) -> KvShape {
        KvShape { n_kv_heads: self.n_kv_heads, head_dim: self.head_dim, precision }
    }

    /// Reads the metadata. The vocabulary size is taken from the shape of `token_embd.weight`.
    ///
    /// # Errors
    /// The architecture is unknown, a key is missing, or the values contradict each other or are
    /// not supported.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let architecture = gguf.architecture()?;
        let family = match architecture {
            "llama" => DecoderFamily::Llama,
            "qwen2" => DecoderFamily::Qwen2,
            "qwen3" => DecoderFamily::Qwen3,
            other => {
                return Err(Error::Architecture { got: other.to_owned(), known: &KNOWN });
            }
        };
        let metadata = Metadata { gguf, architecture };
        let n_embd = metadata.count("embedding_length")?;
        let n_heads = metadata.count("attention.head_count")?;
        let head_dim = match metadata.optional_count("attention.key_length")? {
            Some(length) => length,
            None if n_embd.is_multiple_of(n_heads) => n_embd / n_heads,
            None => {
                return Err(metadata.contradiction(format!(
                    "embedding_length {n_embd} is no multiple of head_count {n_heads}, and there is \
                     no attention.key_length"
                )));
            }
        };
        let config = Self {
            family,
            n_layers: metadata.count("block_count")?,
            n_embd,
            n_ff: metadata.count("feed_forward_length")?,
            n_heads,
            n_kv_heads: metadata.optional_count("attention.head_count_kv")?.unwrap_or(n_heads),
            head_dim,
            n_vocab: vocabulary(gguf)?,
            context: metadata.count("context_length")?,
            rms_eps: metadata.float("attention.layer_norm_rms_epsilon")?,
            rope_base: metadata.optional_float("rope.freq_base")?.unwrap_or(10_000.0),
            rope_scaling: metadata.rope_scaling()?,
        };
        config.check(&metadata)?;
        Ok(config)
    }

    /// Bytes of one position in a cache of f32 tensors: keys and values of all layers.
    #[cfg(test)]
    pub(super) fn cache_bytes_per_token(&self) -> usize {
        2 * self.n_layers * self.n_kv_heads * self.head_dim * size_of::<f32>()
    }

    fn check(&self, metadata: &Metadata<'_>) -> Result<()> {
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            return Err(metadata.contradiction(format!(
                "head_count {} is no multiple of head_count_kv {}",
                self.n_heads, self.n_kv_heads
            )));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(metadata.contradiction(format!(
                "head length {} is odd; rotation pairs it",
                self.head_dim
            )));
        }
        if let Some(rotated) = metadata.optional_count("rope.dimension_count")?
            && rotated != self.head_dim
        {
            return Err(metadata.contradiction(format!(
                "rope.dimension_count is {rotated}; only the whole head of {} can be rotated",
                self.head_dim
            )));
        }
        if let Some(value) = metadata.optional_count("attention.value_length")?
            && value != self.head_dim
        {
            return Err(metadata.contradiction(format!(
                "attention.value_length is {value}, the key's {}; they must be equal",
                self.head_dim
            )));
        }
        if metadata.value("expert_count").and_then(Value::as_u64).is_some_and(|n| n > 0) {
            return Err(metadata.contradiction("a mixture of experts is not carried".to_owned()));
        }
        if self.context > MAX_CONTEXT {
            return Err(metadata.contradiction(format!(
                "context_length {} is above the {MAX_CONTEXT} that is carried",
                self.context
            )));
        }
        if !(self.rms_eps.is_finite() && self.rms_eps >= 0.0) {
            return Err(
                metadata.contradiction(format!("layer_norm_rms_epsilon is {}", self.rms_eps))
            );
        }
        if !(self.rope_base.is_finite() && self.rope_base > 1.0) {
            return Err(metadata.contradiction(format!("rope.freq_base is {}", self.rope_base)));
        }
        Ok(())
    }
}

/// Largest count accepted, so that a damaged file cannot cause unlimited allocations.
const MAX_COUNT: u64 = 1 << 24;
/// Largest context accepted; the rotary tables have a row for every position.
const MAX_CONTEXT: usize = 1 << 20;

struct Metadata<'a> {
    gguf: &'a Gguf,
    architecture: &'a str,
}

impl Metadata<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.gguf.value(&self.key(name))
    }

    fn contradiction(&self, what: String) -> Error {
        Error::Config { path: self.gguf.path().to_owned(), what }
    }

    fn count(&self, name: &str) -> Result<usize> {
        self.optional_count(name)?
            .ok_or_else(|| self.contradiction(format!("`{}` is missing", self.key(name))))
    }

    fn optional_count(&self, name: &str) -> Result<Option<usize>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.as_u64() {
            Some(n @ 1..=MAX_COUNT) => Ok(Some(n as usize)),
            _ => Err(self.contradiction(format!(
                "`{}` is {value:?}, expected a number from 1 to {MAX_COUNT}",
                self.key(name)
            ))),
        }
    }

    fn float(&self, name: &str) -> Result<f32> {
        self.optional_float(name)?
            .ok_or_else(|| self.contradiction(format!("`{}` is missing", self.key(name))))
    }

    fn optional_float(&self, name: &str) -> Result<Option<f32>> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => value.as_f32().map(Some).ok_or_else(|| {
                self.contradiction(format!(
                    "`{}` is {value:?}, expected a floating-point number",
                    self.key(name)
                ))
            }),
        }
    }

    fn rope_scaling(&self) -> Result<RopeScaling> {
        let kind = match self.value("rope.scaling.type") {
            None => "none",
            Some(Value::String(kind)) => kind.as_str(),
            Some(other) => {
                return Err(self.contradiction(format!("rope.scaling.type is {other:?}")));
            }
        };
        let factor = self.optional_float("rope.scaling.factor")?.unwrap_or(1.0);
        if !(factor.is_finite() && factor > 0.0) {
            return Err(self.contradiction(format!("rope.scaling.factor is {factor}")));
        }
        match kind {
            "none" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor }),
            "yarn" => Ok(RopeScaling::Yarn {
                factor,
                original_context: self.count("rope.scaling.original_context_length")?,
            }),
            other => Err(self.contradiction(format!(
                "rope.scaling.type is `{other}`, expected none, linear or yarn"
            ))),
        }
    }
}

fn vocabulary(gguf: &Gguf) -> Result<usize> {
    match gguf.tensor("token_embd.weight").map(|tensor| tensor.shape) {
        Some(shape) if shape.len() == 2 => Ok(shape[0]),
        Some(shape) => Err(Error::Shape {
            path: gguf.path().to_owned(),
            tensor: "token_embd.weight".to_owned(),
            got: shape,
            expected: "[n_vocab, n_embd]".to_owned(),
        }),
        None => Err(Error::MissingTensor {
            path: gguf.path().to_owned(),
            tensor: "token_embd.weight".to_owned(),
            expected: "[n_vocab, n_embd]".to_owned(),
        }),
    }
}
