//! One transformer layer over a whole text, as operations that keep gradients.

use candle_core::{D, Device, Result, Tensor};

use super::weights::{TwinForm, TwinLinear, TwinNorm, capped};
use super::{TwinLayerAdapter, TwinLowRank};
use crate::lm::decoder::config::DecoderConfig;
use crate::lm::decoder::family::GateActivation;
use crate::lm::decoder::rope::{LayerRopes, RopeTables};
use crate::lm::decoder::weights::{FeedForward, GatedWeights, LayerWeights};
use idiolect_kernels::elementwise::RopePairs;

/// Settings and masks that all layers of one text use.
pub(super) struct TwinStep<'a> {
    pub(super) config: &'a DecoderConfig,
    pub(super) ropes: &'a LayerRopes<TwinRope>,
    pub(super) open: TwinMask,
    /// `None` if no layer has a window.
    pub(super) windowed: Option<TwinMask>,
}

/// A causal mask, `[n, n]`: 0 or minus infinity.
pub(super) struct TwinMask(Tensor);

/// Rotation of queries and keys.
pub(super) struct TwinRope(pub(super) RopeTables);

impl TwinMask {
    pub(super) fn new(n: usize, window: Option<usize>, device: &Device) -> Result<Self> {
        let window = window.unwrap_or(usize::MAX);
        let sees = |i: usize, j: usize| j <= i && i - j < window;
        let row = |i| (0..n).map(move |j| if sees(i, j) { 0.0 } else { f32::NEG_INFINITY });
        let mask: Vec<f32> = (0..n).flat_map(row).collect();
        Ok(Self(Tensor::from_vec(mask, (n, n), device)?))
    }
}

impl TwinRope {
    /// Rotates the first elements of each head of `x`, `[n_heads, n, head_dim]`, from position 0 on.
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (n_heads, n, head_dim) = x.dims3()?;
        let half = self.0.half();
        let (mut cos, mut sin) = (Vec::with_capacity(n * half), Vec::with_capacity(n * half));
        for position in 0..n {
            let (cosines, sines) = self.0.at(position);
            cos.extend_from_slice(cosines);
            sin.extend_from_slice(sines);
        }
        let table = |values| Tensor::from_vec(values, (n, half), x.device());
        let (cos, sin) = (table(cos)?, table(sin)?);
        let turn = |a: &Tensor, b: &Tensor| {
            let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
            let second = (a.broadcast_mul(&sin)? + b.broadcast_mul(&cos)?)?;
            Result::Ok([first, second])
        };
        let rotated = x.narrow(2, 0, 2 * half)?;
        let rotated = match self.0.pairs {
            RopePairs::Halves => {
                let [first, second] =
                    turn(&rotated.narrow(2, 0, half)?, &rotated.narrow(2, half, half)?)?;
                Tensor::cat(&[first, second], 2)?
            }
            RopePairs::Neighbours => {
                let pairs = rotated.contiguous()?.reshape((n_heads, n, half, 2))?;
                let element = |i| pairs.narrow(3, i, 1)?.squeeze(3);
                let [first, second] = turn(&element(0)?, &element(1)?)?;
                Tensor::stack(&[first, second], 3)?.reshape((n_heads, n, 2 * half))?
            }
        };
        match 2 * half < head_dim {
            true => Tensor::cat(&[&rotated, &x.narrow(2, 2 * half, head_dim - 2 * half)?], 2),
            false => Ok(rotated),
        }
    }
}

impl TwinStep<'_> {
    /// Runs layer number `index`, `[n, n_embd]` to the same shape.
    pub(super) fn run_layer(
        &self,
        index: usize,
        layer: &LayerWeights<TwinForm>,
        x: &Tensor,
        adapter: Option<&TwinLayerAdapter>,
    ) -> Result<Tensor> {
        let h = normed(layer.attention_norm.as_ref(), x)?;
        let h = self.attention(index, layer, &h, adapter)?;
        let x = self.added(x, layer.attention_post_norm.as_ref(), &h)?;
        let h = normed(layer.feed_forward_norm.as_ref(), &x)?;
        let FeedForward::Dense(weights) = &layer.feed_forward else {
            candle_core::bail!("a mixture of experts")
        };
        let h = gated(weights, self.config.family.gate_activation(), &h)?;
        self.added(&x, layer.feed_forward_post_norm.as_ref(), &h)
    }

    /// `x + factor * norm(part)`.
    fn added(&self, x: &Tensor, norm: Option<&TwinNorm>, part: &Tensor) -> Result<Tensor> {
        let part = normed(norm, part)?;
        match self.config.residual_factor {
            1.0 => x + part,
            factor => x + (part * f64::from(factor))?,
        }
    }

    fn attention(
        &self,
        index: usize,
        layer: &LayerWeights<TwinForm>,
        x: &Tensor,
        adapter: Option<&TwinLayerAdapter>,
    ) -> Result<Tensor> {
        let config = self.config;
        let DecoderConfig { n_heads, n_kv_heads, head_dim, .. } = *config;
        let n = x.dim(0)?;
        let settings = config.attention(index);
        let rope = self.ropes.of(config.layers[index].rotation);
        // `[n_heads, n, head_dim]`.
        let heads = |y: Tensor, n_heads: usize, norm: &Option<TwinNorm>| {
            let y = match norm {
                Some(norm) => norm.forward(&y.reshape(((), norm.width()?))?)?,
                None => y,
            };
            y.reshape((n, n_heads, head_dim))?.transpose(0, 1)?.contiguous()
        };
        let rotated = |y: Tensor| match rope {
            Some(rope) => rope.apply(&y),
            None => Ok(y),
        };
        let added = |linear: &TwinLinear, product: Option<&TwinLowRank>| {
            let y = linear.forward(x)?;
            match product {
                Some(product) => y + x.matmul(&product.down)?.matmul(&product.up)?,
                None => Ok(y),
            }
        };
        let query = added(&layer.query, adapter.and_then(|adapter| adapter.query.as_ref()))?;
        let value = added(&layer.value, adapter.and_then(|adapter| adapter.value.as_ref()))?;
        let mut query = rotated(heads(query, n_heads, &layer.query_norm)?)?;
        let key = rotated(heads(layer.key.forward(x)?, n_kv_heads, &layer.key_norm)?)?;
        let value = heads(value, n_kv_heads, &None)?;
        if let Some(growth) = config.query_growth {
            let factors: Vec<f32> = (0..n).map(|position| growth.factor(position)).collect();
            query = query.broadcast_mul(&Tensor::from_vec(factors, (1, n, 1), x.device())?)?;
        }
        let group = n_heads / n_kv_heads;
        let query = (query.contiguous()? * f64::from(settings.scale))?;
        let query = query.reshape((n_kv_heads, group * n, head_dim))?;
        let scores = query.matmul(&key.transpose(1, 2)?.contiguous()?)?;
        let scores = capped(scores.reshape((n_heads, n, n))?, settings.soft_cap)?;
        let mask = match settings.window {
            Some(_) => self.windowed.as_ref().unwrap_or(&self.open),
            None => &self.open,
        };
        let weights = softmax(&scores.broadcast_add(&mask.0)?)?;
        let mixed = weights.reshape((n_kv_heads, group * n, n))?.matmul(&value)?;
        let mixed = mixed.reshape((n_heads, n, head_dim))?.transpose(0, 1)?;
        layer.output.forward(&mixed.reshape((n, n_heads * head_dim))?)
    }
}

fn normed(norm: Option<&TwinNorm>, x: &Tensor) -> Result<Tensor> {
    match norm {
        Some(norm) => norm.forward(x),
        None => Ok(x.clone()),
    }
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    // The largest score cancels; its gradient is not needed.
    let largest = scores.max_keepdim(D::Minus1)?.detach();
    let exponentials = scores.broadcast_sub(&largest)?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}

/// Gated feed-forward network (arXiv 2002.05202).
fn gated(
    weights: &GatedWeights<TwinForm>,
    activation: GateActivation,
    x: &Tensor,
) -> Result<Tensor> {
    let gate = weights.gate.forward(x)?;
    let gate = match activation {
        GateActivation::Silu => gate.silu()?,
        // candle's `gelu` is the approximation by a hyperbolic tangent.
        GateActivation::Gelu => gate.gelu()?,
    };
    weights.down.forward(&(gate * weights.up.forward(x)?)?)
}
