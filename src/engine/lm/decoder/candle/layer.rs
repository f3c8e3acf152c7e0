//! One transformer layer as candle operations: attention and feed-forward, each with its norms and a
//! residual connection.

use candle_core::{Result, Tensor};

use super::attention::{Mask, attend};
use super::feed_forward::feed_forward;
use super::kv::{CandleKv, KvView, write};
use super::rope::CandleRope;
use super::weights::{CandleForm, CandleNorm};
use crate::lm::decoder::config::DecoderConfig;
use crate::lm::decoder::interface::Segment;
use crate::lm::decoder::rope::LayerRopes;
use crate::lm::decoder::weights::LayerWeights;
use crate::lm::{LayerAdapter, LowRank};

/// A forward step: what all its layers use.
pub(super) struct CandleStep<'a> {
    pub(super) config: &'a DecoderConfig,
    pub(super) ropes: &'a LayerRopes<CandleRope>,
    pub(super) segments: Vec<Segment<'a, CandleKv>>,
    /// The masks of each segment.
    pub(super) masks: Vec<LayerMasks>,
}

/// Masks of one segment, for layers without and with a window.
pub(super) struct LayerMasks {
    pub(super) open: Mask,
    /// `None` if no layer has a window.
    pub(super) windowed: Option<Mask>,
}

impl LayerMasks {
    fn of(&self, window: Option<usize>) -> &Mask {
        match window {
            Some(_) => self.windowed.as_ref().unwrap_or(&self.open),
            None => &self.open,
        }
    }
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
        let h = normed(layer.attention_norm.as_ref(), x)?;
        let h = self.attention(index, layer, &h)?;
        let x = self.added(x, layer.attention_post_norm.as_ref(), h)?;
        let h = normed(layer.feed_forward_norm.as_ref(), &x)?;
        let h = feed_forward(&layer.feed_forward, self.config, &h)?;
        self.added(&x, layer.feed_forward_post_norm.as_ref(), h)
    }

    /// `x + factor * norm(part)`.
    fn added(&self, x: &Tensor, norm: Option<&CandleNorm>, part: Tensor) -> Result<Tensor> {
        let part = normed(norm, &part)?;
        match self.config.residual_factor {
            1.0 => x + part,
            factor => x + (part * f64::from(factor))?,
        }
    }

    fn attention(
        &mut self,
        index: usize,
        layer: &LayerWeights<CandleForm>,
        x: &Tensor,
    ) -> Result<Tensor> {
        let config = self.config;
        let DecoderConfig { n_heads, n_kv_heads, head_dim, .. } = *config;
        let n_rows = x.dim(0)?;
        let adapted = |y: Tensor, of: fn(&LayerAdapter) -> &Option<LowRank>| {
            self.segments.iter().try_fold(y, |y, segment| {
                let added = segment.adapter.and_then(|adapter| adapter.layer(index));
                match added.and_then(|added| of(added).as_ref()) {
                    Some(product) => with_product(y, x, segment, product),
                    None => Ok(y),
                }
            })
        };
        let heads = |y: Tensor, n_heads: usize, norm: &Option<CandleNorm>| {
            // The norm is over one head or over all, as its weight is long.
            let y = match norm {
                Some(norm) => norm.forward(&y.reshape(((), norm.width()?))?)?,
                None => y,
            };
            y.reshape((n_rows, n_heads, head_dim))
        };
        let query = adapted(layer.query.forward(x)?, |added| &added.query)?;
        let value = adapted(layer.value.forward(x)?, |added| &added.value)?;
        let query = heads(query, n_heads, &layer.query_norm)?;
        let key = heads(layer.key.forward(x)?, n_kv_heads, &layer.key_norm)?;
        let value = heads(value, n_kv_heads, &None)?;
        let (settings, rope) =
            (config.attention(index), self.ropes.of(config.layers[index].rotation));

        let mut attended = Vec::with_capacity(self.segments.len());
        for (segment, masks) in self.segments.iter_mut().zip(&self.masks) {
            // `[n_heads, n_tokens, head_dim]`, as rotation, cache and attention require.
            let rows = |y: &Tensor| y.narrow(0, segment.first_row, segment.n_rows)?.transpose(0, 1);
            let rotated = |y: &Tensor| match rope {
                Some(rope) => rope.apply(&rows(y)?, segment.start),
                None => rows(y)?.contiguous(),
            };
            let query = grown(rotated(&query)?, config, segment.start)?;
            let key = rotated(&key)?;
            let value = rows(&value)?.contiguous()?;
            write(segment.cache, index, &key, &value)?;
            let view = KvView::new(segment.cache, index, segment.n_rows);
            let mixed = attend(&query, &view, masks.of(settings.window), &settings)?;
            attended.push(mixed.transpose(0, 1)?.reshape((segment.n_rows, n_heads * head_dim))?);
        }
        let attended = match attended.len() {
            1 => attended.remove(0),
            _ => Tensor::cat(&attended, 0)?,
        };
        layer.output.forward(&attended)
    }
}

/// Adds the product of a segment's rows of `x` to its rows of `y`.
fn with_product(
    y: Tensor,
    x: &Tensor,
    segment: &Segment<'_, CandleKv>,
    product: &LowRank,
) -> Result<Tensor> {
    let (first, n) = (segment.first_row, segment.n_rows);
    let factor =
        |values: &[f32], shape: (usize, usize)| Tensor::from_slice(values, shape, x.device());
    let down = factor(product.down(), (product.n_in(), product.rank()))?;
    let up = factor(product.up(), (product.rank(), product.n_out()))?;
    let added = x.narrow(0, first, n)?.contiguous()?.matmul(&down)?.matmul(&up)?;
    y.slice_scatter0(&(y.narrow(0, first, n)? + added)?, first)
}

fn normed(norm: Option<&CandleNorm>, x: &Tensor) -> Result<Tensor> {
    match norm {
        Some(norm) => norm.forward(x),
        None => Ok(x.clone()),
    }
}

/// Multiplies the queries by the factors of their positions, if the model has some. `query`:
/// `[n_heads, n_tokens, head_dim]`, whose first token is at position `start`.
fn grown(query: Tensor, config: &DecoderConfig, start: usize) -> Result<Tensor> {
    let Some(growth) = config.query_growth else { return Ok(query) };
    let n = query.dim(1)?;
    let factors: Vec<f32> = (start..start + n).map(|position| growth.factor(position)).collect();
    query.broadcast_mul(&Tensor::from_vec(factors, (1, n, 1), query.device())?)
}
