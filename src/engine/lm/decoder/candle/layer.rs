//! One transformer layer as candle operations: attention and feed-forward, each with a norm before
//! it and a residual connection.

use candle_core::{Result, Tensor};

use super::attention::{Mask, attend};
use super::kv::{CandleKv, KvView, write};
use super::rope::CandleRope;
use super::weights::{CandleForm, CandleLinear, CandleNorm};
use crate::lm::decoder::config::DecoderConfig;
use crate::lm::decoder::interface::Segment;
use crate::lm::decoder::weights::LayerWeights;

/// A forward step: what all its layers use.
pub(super) struct CandleStep<'a> {
    pub(super) config: &'a DecoderConfig,
    pub(super) rope: &'a CandleRope,
    pub(super) segments: Vec<Segment<'a, CandleKv>>,
    /// The mask of each segment.
    pub(super) masks: Vec<Mask>,
}

impl CandleStep<'_> {
    /// Runs layer number `index`. `x`: `[n_rows, n_embd]`, the rows of all segments in order;
    /// returns the same shape.
    pub(super) fn run_layer(
        &mut self,
        index: usize,
        layer: &LayerWeights<CandleForm>,
        x: &Tensor,
    ) -> Result<Tensor> {
        let h = layer.attention_norm.forward(x)?;
        let x = (x + self.attention(index, layer, &h)?)?;
        let h = layer.feed_forward_norm.forward(&x)?;
        &x + feed_forward(layer, &h)?
    }

    fn attention(
        &mut self,
        index: usize,
        layer: &LayerWeights<CandleForm>,
        x: &Tensor,
    ) -> Result<Tensor> {
        let DecoderConfig { n_heads, n_kv_heads, head_dim, .. } = *self.config;
        let n_rows = x.dim(0)?;
        let heads = |linear: &CandleLinear, n_heads: usize, norm: &Option<CandleNorm>| {
            let y = linear.forward(x)?.reshape((n_rows, n_heads, head_dim))?;
            match norm {
                Some(norm) => norm.forward(&y),
                None => Ok(y),
            }
        };
        let query = heads(&layer.query, n_heads, &layer.query_norm)?;
        let key = heads(&layer.key, n_kv_heads, &layer.key_norm)?;
        let value = heads(&layer.value, n_kv_heads, &None)?;

        let mut attended = Vec::with_capacity(self.segments.len());
        for (segment, mask) in self.segments.iter_mut().zip(&self.masks) {
            // `[n_heads, n_tokens, head_dim]`, as rotation, cache and attention require.
            let rows = |y: &Tensor| y.narrow(0, segment.first_row, segment.n_rows)?.transpose(0, 1);
            let query = self.rope.apply(&rows(&query)?, segment.start)?;
            let key = self.rope.apply(&rows(&key)?, segment.start)?;
            let value = rows(&value)?.contiguous()?;
            write(segment.cache, index, &key, &value)?;
            let mixed = attend(&query, &KvView::new(segment.cache, index, segment.n_rows), mask)?;
            attended.push(mixed.transpose(0, 1)?.reshape((segment.n_rows, n_heads * head_dim))?);
        }
        let attended = match attended.len() {
            1 => attended.remove(0),
            _ => Tensor::cat(&attended, 0)?,
        };
        layer.output.forward(&attended)
    }
}

/// Gated feed-forward, `down(silu(gate(x)) * up(x))` (arXiv 2002.05202).
fn feed_forward(layer: &LayerWeights<CandleForm>, x: &Tensor) -> Result<Tensor> {
    let gate = candle_nn::ops::silu(&layer.gate.forward(x)?)?;
    layer.down.forward(&(gate * layer.up.forward(x)?)?)
}
