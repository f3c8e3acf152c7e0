//! One transformer layer: attention and feed-forward, each with a norm before it and a residual
//! connection.

use candle_core::{Result, Tensor};

use super::attention::{self, Mask};
use super::cache::Cache;
use super::config::Config;
use super::projection::Linear;
use super::rope::Rope;

/// Root-mean-square norm (arXiv 1910.07467) over the last dimension.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    pub(super) weight: Tensor,
    pub(super) eps: f32,
}

#[derive(Debug)]
pub(super) struct Attention {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Linear,
    /// Norm of each head before the rotation (Qwen3 only).
    pub(super) query_norm: Option<Norm>,
    pub(super) key_norm: Option<Norm>,
}

/// Gated feed-forward, `down(silu(gate(x)) * up(x))` (arXiv 2002.05202).
#[derive(Debug)]
pub(super) struct FeedForward {
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) down: Linear,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Norm,
    pub(super) attention: Attention,
    pub(super) feed_forward_norm: Norm,
    pub(super) feed_forward: FeedForward,
}

/// One sequence's rows within a batch, and the cache that they read and extend.
pub(super) struct Segment<'a> {
    /// First row of this sequence in the batch.
    pub(super) first_row: usize,
    pub(super) n_rows: usize,
    /// Position of the first row in the sequence.
    pub(super) start: usize,
    pub(super) cache: &'a mut Cache,
    pub(super) mask: Mask,
}

impl Layer {
    /// Runs the layer. `x`: `[n_rows, n_embd]`, the rows of all segments in order; returns the same
    /// shape.
    pub(super) fn forward(
        &self,
        index: usize,
        config: &Config,
        rope: &Rope,
        x: &Tensor,
        segments: &mut [Segment<'_>],
    ) -> Result<Tensor> {
        let h = self.attention_norm.forward(x)?;
        let x = (x + self.attention.forward(index, config, rope, &h, segments)?)?;
        let h = self.feed_forward_norm.forward(&x)?;
        &x + self.feed_forward.forward(&h)?
    }
}

impl Norm {
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(&x.contiguous()?, &self.weight, self.eps)
    }
}

impl FeedForward {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let gate = candle_nn::ops::silu(&self.gate.forward(x)?)?;
        self.down.forward(&(gate * self.up.forward(x)?)?)
    }
}

impl Attention {
    fn forward(
        &self,
        layer: usize,
        config: &Config,
        rope: &Rope,
        x: &Tensor,
        segments: &mut [Segment<'_>],
    ) -> Result<Tensor> {
        let n_rows = x.dim(0)?;
        let heads = |linear: &Linear, n_heads: usize, norm: &Option<Norm>| {
            let y = linear.forward(x)?.reshape((n_rows, n_heads, config.head_dim))?;
            match norm {
                Some(norm) => norm.forward(&y),
                None => Ok(y),
            }
        };
        let query = heads(&self.query, config.n_heads, &self.query_norm)?;
        let key = heads(&self.key, config.n_kv_heads, &self.key_norm)?;
        let value = heads(&self.value, config.n_kv_heads, &None)?;

        let mut attended = Vec::with_capacity(segments.len());
        for segment in segments {
            // `[n_heads, n_tokens, head_dim]`, as rotation, cache and attention require.
            let rows = |y: &Tensor| y.narrow(0, segment.first_row, segment.n_rows)?.transpose(0, 1);
            let query = rope.apply(&rows(&query)?, segment.start)?;
            let key = rope.apply(&rows(&key)?, segment.start)?;
            let value = rows(&value)?.contiguous()?;
            segment.cache.write(layer, &key, &value)?;
            let mixed = attention::attend(
                &query,
                &segment.cache.layer(layer, segment.n_rows),
                &segment.mask,
            )?;
            attended.push(
                mixed
                    .transpose(0, 1)?
                    .reshape((segment.n_rows, config.n_heads * config.head_dim))?,
            );
        }
        let attended = match attended.len() {
            1 => attended.remove(0),
            _ => Tensor::cat(&attended, 0)?,
        };
        self.output.forward(&attended)
    }
}
