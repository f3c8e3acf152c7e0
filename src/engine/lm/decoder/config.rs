//! Configuration of a decoder, read from the model file before the weights.

use super::family::{DecoderFamily, WindowedLayers};
use super::metadata::Metadata;
use super::rope::{LayerRotation, RopeScaling, RopeSettings};
use super::unsupported;
use crate::lm::{Error, Result};
use crate::model::gguf::{Gguf, Value};
use idiolect_kernels::attention::{AttentionSettings, KvPrecision, KvShape};

/// Shapes and constants of a decoder. `n_` counts; dimensions are in elements.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// The family.
    pub family: DecoderFamily,
    /// Transformer layers.
    pub n_layers: usize,
    /// Width of the residual stream (hidden size).
    pub n_embd: usize,
    /// Hidden width of the feed-forward network, or of one expert.
    pub n_ff: usize,
    /// Number of query heads.
    pub n_heads: usize,
    /// Number of key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Elements of one head.
    pub head_dim: usize,
    /// Elements of one head that are rotated: the first ones.
    pub rotated_dim: usize,
    /// Rows of the embedding and of the output head.
    pub n_vocab: usize,
    /// Context window, tokens.
    pub context: usize,
    /// Context length of the training, before its rotary frequencies were scaled, tokens.
    pub original_context: usize,
    /// Epsilon of every RMS norm.
    pub rms_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// Scaling of the rotary frequencies.
    pub rope_scaling: RopeScaling,
    /// Factor of the rotated queries and keys, besides that of the scaling.
    pub rope_magnitude: f32,
    /// Base of the rotary frequencies of layers with [`LayerRotation::Local`].
    pub local_rope_base: f32,
    /// Window and rotation of each layer.
    pub layers: Vec<LayerAttention>,
    /// Factor of the attention scores.
    pub attention_scale: f32,
    /// Soft cap of the attention scores.
    pub attention_cap: Option<f32>,
    /// Growth of the queries with their position.
    pub query_growth: Option<QueryGrowth>,
    /// Factor of the embeddings.
    pub embedding_factor: f32,
    /// Factor of what each part of a layer adds to the residual stream.
    pub residual_factor: f32,
    /// Factor of the logits.
    pub logit_factor: f32,
    /// Soft cap of the logits.
    pub logit_cap: Option<f32>,
    /// Experts of each feed-forward network, if it is a mixture.
    pub experts: Option<ExpertCounts>,
}

/// Window and rotation of one layer's attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerAttention {
    /// Number of positions that a row sees, its own included; `None` for all.
    pub window: Option<usize>,
    /// Rotation of queries and keys.
    pub rotation: LayerRotation,
}

/// Growth of the queries with their position (Llama 4's temperature tuning): the factor at position
/// `p` is `1 + scale · ln(1 + floor(p / period))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryGrowth {
    /// Factor of the logarithm.
    pub scale: f32,
    /// Positions between two steps.
    pub period: usize,
}

/// Numbers of experts of a feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertCounts {
    /// All experts.
    pub n_experts: usize,
    /// Experts that compute a row.
    pub n_used: usize,
}

impl QueryGrowth {
    /// Factor of the query at a position.
    #[must_use]
    pub fn factor(self, position: usize) -> f32 {
        1.0 + self.scale * ((position / self.period + 1) as f32).ln()
    }
}

/// Largest context accepted; the rotary tables have a row for every position.
const MAX_CONTEXT: usize = 1 << 20;
/// Largest head accepted, in elements; the largest in use have 512. A row of the rotary tables has as many.
const MAX_HEAD: usize = 1 << 12;

impl DecoderConfig {
    /// Settings of the rotary embedding.
    pub(super) fn rope(&self) -> RopeSettings {
        RopeSettings {
            pairs: self.family.rope_pairs(),
            rotated_dim: self.rotated_dim,
            context: self.context,
            base: self.rope_base,
            scaling: self.rope_scaling,
            magnitude: self.rope_magnitude,
        }
    }

    /// Settings of the rotary embedding of layers with [`LayerRotation::Local`], if there are any.
    pub(super) fn local_rope(&self) -> Option<RopeSettings> {
        let is_local = |layer: &LayerAttention| layer.rotation == LayerRotation::Local;
        self.layers.iter().any(is_local).then(|| RopeSettings {
            base: self.local_rope_base,
            scaling: RopeScaling::None,
            magnitude: 1.0,
            ..self.rope()
        })
    }

    /// Settings of the attention of layer number `index`.
    pub(super) fn attention(&self, index: usize) -> AttentionSettings {
        AttentionSettings {
            n_heads: self.n_heads,
            scale: self.attention_scale,
            window: self.layers[index].window,
            soft_cap: self.attention_cap,
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
        let Some(family) = DecoderFamily::of_architecture(architecture) else {
            return Err(Error::Architecture {
                got: architecture.to_owned(),
                known: DecoderFamily::ALL.map(DecoderFamily::architecture).to_vec(),
                advice: unsupported::advice(architecture),
            });
        };
        let metadata = Metadata { gguf, architecture };
        let n_layers = metadata.count("block_count")?;
        // Each layer has tensors of its own, so a count above theirs is not worth memory for its settings.
        let n_tensors = gguf.tensor_names().count();
        if n_layers > n_tensors {
            return Err(metadata.contradiction(format!(
                "block_count is {n_layers}, and the file has {n_tensors} tensors in all"
            )));
        }
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
        let context = metadata.count("context_length")?;
        let rope_base = metadata.optional_float("rope.freq_base")?.unwrap_or(10_000.0);
        let n_ff = match family.has_experts() {
            true => metadata.count("expert_feed_forward_length")?,
            false => metadata.count("feed_forward_length")?,
        };
        let original_context = metadata.optional_count("rope.scaling.original_context_length")?;
        let config = Self {
            family,
            n_layers,
            n_embd,
            n_ff,
            n_heads,
            n_kv_heads: metadata.optional_count("attention.head_count_kv")?.unwrap_or(n_heads),
            head_dim,
            rotated_dim: metadata.optional_count("rope.dimension_count")?.unwrap_or(head_dim),
            n_vocab: metadata.vocabulary()?,
            context,
            original_context: original_context.unwrap_or(context),
            rms_eps: metadata.float("attention.layer_norm_rms_epsilon")?,
            rope_base,
            rope_scaling: metadata.rope_scaling()?,
            rope_magnitude: metadata.factor("rope.scaling.attn_factor", 1.0)?,
            local_rope_base: local_rope_base(family, rope_base, &metadata)?,
            layers: layers(family, n_layers, context, &metadata)?,
            attention_scale: attention_scale(
                family,
                [n_layers, n_embd, n_heads, head_dim],
                &metadata,
            )?,
            attention_cap: attention_cap(family, &metadata)?,
            query_growth: query_growth(family, &metadata)?,
            embedding_factor: match family.scales_embeddings_by_width() {
                true => (n_embd as f32).sqrt(),
                false => granite_factor(family, "embedding_scale", &metadata)?,
            },
            residual_factor: granite_factor(family, "residual_scale", &metadata)?,
            logit_factor: 1.0 / granite_factor(family, "logit_scale", &metadata)?,
            logit_cap: logit_cap(family, &metadata)?,
            experts: experts(family, &metadata)?,
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
        if self.head_dim > MAX_HEAD {
            return Err(metadata.contradiction(format!(
                "a head has {} elements, above the {MAX_HEAD} that is carried",
                self.head_dim
            )));
        }
        if !self.rotated_dim.is_multiple_of(2) {
            return Err(metadata.contradiction(format!(
                "{} elements of a head are rotated, an odd number; rotation pairs them",
                self.rotated_dim
            )));
        }
        let in_part = self.family.rotates_part() && self.rotated_dim <= self.head_dim;
        if self.rotated_dim != self.head_dim && !in_part {
            return Err(metadata.contradiction(format!(
                "rope.dimension_count is {}; of {} models only the whole head of {} can be rotated",
                self.rotated_dim, metadata.architecture, self.head_dim
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
        for (name, base) in [("freq_base", self.rope_base), ("freq_base_swa", self.local_rope_base)]
        {
            if !(base.is_finite() && base > 1.0) {
                return Err(metadata.contradiction(format!("rope.{name} is {base}")));
            }
        }
        Ok(())
    }
}

/// Reads window and rotation of each layer.
fn layers(
    family: DecoderFamily,
    n_layers: usize,
    context: usize,
    metadata: &Metadata<'_>,
) -> Result<Vec<LayerAttention>> {
    const PATTERN: &str = "attention.sliding_window_pattern";
    // Gemma 2's first files do not state its window.
    let default = (family == DecoderFamily::Gemma2).then_some(4096);
    let window = match family.windowed_layers() {
        WindowedLayers::Never => None,
        _ => metadata.count_or_zero("attention.sliding_window")?.or(default),
    };
    let window = window.filter(|window| (1..context).contains(window));
    let is_windowed: Vec<bool> = match (family.windowed_layers(), metadata.value(PATTERN)) {
        _ if window.is_none() => vec![false; n_layers],
        (WindowedLayers::AllButLastOf(_), Some(Value::Integers(pattern))) => {
            if pattern.len() != n_layers {
                return Err(metadata.contradiction(format!(
                    "{PATTERN} has {} entries, expected one for each of the {n_layers} layers",
                    pattern.len()
                )));
            }
            pattern.iter().map(|windowed| *windowed != 0).collect()
        }
        (WindowedLayers::AllButLastOf(period), _) => {
            let period = metadata.optional_count(PATTERN)?.unwrap_or(period);
            (1..=n_layers).map(|number| !number.is_multiple_of(period)).collect()
        }
        (WindowedLayers::Every, _) => vec![true; n_layers],
        (WindowedLayers::Never, _) => vec![false; n_layers],
    };
    // Granite files without rotation say so by this key.
    let rotates = family != DecoderFamily::Granite
        || metadata.value("rope.scaling.finetuned").and_then(Value::as_bool).unwrap_or(true);
    let rotation = |number: usize, windowed: bool| match family.unrotated_period() {
        _ if !rotates => LayerRotation::Absent,
        Some(period) if number.is_multiple_of(period) => LayerRotation::Absent,
        _ if windowed && family.has_local_rope() => LayerRotation::Local,
        _ => LayerRotation::Global,
    };
    Ok((1..)
        .zip(is_windowed)
        .map(|(number, windowed)| LayerAttention {
            window: window.filter(|_| windowed),
            rotation: rotation(number, windowed),
        })
        .collect())
}

fn local_rope_base(family: DecoderFamily, base: f32, metadata: &Metadata<'_>) -> Result<f32> {
    let default = if family == DecoderFamily::Gemma3 { 10_000.0 } else { base };
    match family.has_local_rope() {
        true => Ok(metadata.optional_float("rope.freq_base_swa")?.unwrap_or(default)),
        false => Ok(base),
    }
}

/// The factor of the attention scores. The largest models of Gemma 2 and 3 scale by the width that
/// a head would have without a head length of its own.
fn attention_scale(
    family: DecoderFamily,
    [n_layers, n_embd, n_heads, head_dim]: [usize; 4],
    metadata: &Metadata<'_>,
) -> Result<f32> {
    let width = match (family, n_layers) {
        (DecoderFamily::Gemma2, 46) | (DecoderFamily::Gemma3, 62) => n_embd / n_heads,
        _ => head_dim,
    };
    let scale = 1.0 / (width as f32).sqrt();
    match family {
        DecoderFamily::Granite => metadata.factor("attention.scale", scale),
        _ => Ok(scale),
    }
}

fn attention_cap(family: DecoderFamily, metadata: &Metadata<'_>) -> Result<Option<f32>> {
    match family {
        DecoderFamily::Gemma2 => metadata.factor("attn_logit_softcapping", 50.0).map(Some),
        _ => Ok(None),
    }
}

fn logit_cap(family: DecoderFamily, metadata: &Metadata<'_>) -> Result<Option<f32>> {
    match family {
        DecoderFamily::Gemma2 => metadata.factor("final_logit_softcapping", 30.0).map(Some),
        DecoderFamily::Gemma3 => {
            let cap = metadata.factor("final_logit_softcapping", f32::INFINITY)?;
            Ok(Some(cap).filter(|cap| cap.is_finite()))
        }
        _ => Ok(None),
    }
}

fn query_growth(family: DecoderFamily, metadata: &Metadata<'_>) -> Result<Option<QueryGrowth>> {
    if family != DecoderFamily::Mistral3 {
        return Ok(None);
    }
    let scale = metadata.factor("attention.temperature_scale", 0.0)?;
    if scale == 0.0 {
        return Ok(None);
    }
    let period = metadata.count("rope.scaling.original_context_length")?;
    Ok(Some(QueryGrowth { scale, period }))
}

/// Reads a factor that only Granite files have.
fn granite_factor(family: DecoderFamily, name: &str, metadata: &Metadata<'_>) -> Result<f32> {
    match family {
        DecoderFamily::Granite => metadata.factor(name, 1.0),
        _ => Ok(1.0),
    }
}

fn experts(family: DecoderFamily, metadata: &Metadata<'_>) -> Result<Option<ExpertCounts>> {
    if !family.has_experts() {
        return match metadata.count_or_zero("expert_count")? {
            None | Some(0) => Ok(None),
            Some(n) => Err(metadata.contradiction(format!(
                "a mixture of {n} experts, which is not supported in {} models. Hint: take a dense \
                 model, or one of qwen3moe",
                metadata.architecture
            ))),
        };
    }
    let n_experts = metadata.count("expert_count")?;
    let n_used = metadata.count("expert_used_count")?;
    if n_used > n_experts {
        return Err(metadata.contradiction(format!(
            "expert_used_count is {n_used}, expected at most expert_count, {n_experts}"
        )));
    }
    // 1 is the softmax.
    let gating = metadata.count_or_zero("expert_gating_func")?.unwrap_or(1);
    let scale = metadata.factor("expert_weights_scale", 1.0)?;
    let shared = metadata.count_or_zero("expert_shared_count")?.unwrap_or(0);
    if !(gating <= 1 && scale == 1.0 && shared == 0) {
        return Err(metadata.contradiction(format!(
            "expert_gating_func is {gating}, expert_weights_scale {scale}, expert_shared_count \
             {shared}; only softmax gating (1) without scale and shared experts is supported"
        )));
    }
    Ok(Some(ExpertCounts { n_experts, n_used }))
}
