//! Feed-forward networks as candle operations: gated ones, and mixtures of them.

use candle_core::{Result, Tensor};

use super::weights::CandleForm;
use crate::lm::decoder::config::{DecoderConfig, ExpertCounts};
use crate::lm::decoder::experts::{ChosenExperts, choose};
use crate::lm::decoder::family::GateActivation;
use crate::lm::decoder::weights::{ExpertWeights, FeedForward, GatedWeights};

/// The feed-forward network of a layer, `[n_rows, n_embd]` to the same shape.
pub(super) fn feed_forward(
    weights: &FeedForward<CandleForm>,
    config: &DecoderConfig,
    x: &Tensor,
) -> Result<Tensor> {
    let activation = config.family.gate_activation();
    match (weights, config.experts) {
        (FeedForward::Dense(weights), _) => gated(weights, activation, x),
        (FeedForward::Experts(weights), Some(counts)) => mixture(weights, counts, activation, x),
        (FeedForward::Experts(_), None) => {
            candle_core::bail!("a mixture of experts without their number")
        }
    }
}

/// Gated feed-forward, `down(activation(gate(x)) * up(x))` (arXiv 2002.05202).
fn gated(
    weights: &GatedWeights<CandleForm>,
    activation: GateActivation,
    x: &Tensor,
) -> Result<Tensor> {
    let gate = weights.gate.forward(x)?;
    let gate = match activation {
        GateActivation::Silu => candle_nn::ops::silu(&gate)?,
        // candle's `gelu` is the approximation by a hyperbolic tangent.
        GateActivation::Gelu => gate.gelu()?,
    };
    weights.down.forward(&(gate * weights.up.forward(x)?)?)
}

/// Weighted sum of the chosen experts' outputs. The choice is made in the CPU's memory.
fn mixture(
    weights: &ExpertWeights<CandleForm>,
    counts: ExpertCounts,
    activation: GateActivation,
    x: &Tensor,
) -> Result<Tensor> {
    let device = x.device();
    let scores: Vec<f32> = weights.router.forward(x)?.flatten_all()?.to_vec1()?;
    let ChosenExperts { rows, weights: shares } = choose(&scores, counts);
    let mut sum = x.zeros_like()?;
    for (expert, rows) in weights.experts.iter().zip(&rows) {
        if rows.is_empty() {
            continue;
        }
        let indices: Vec<u32> = rows.iter().map(|(row, _)| *row as u32).collect();
        let shares: Vec<f32> =
            rows.iter().map(|(row, rank)| shares[row * counts.n_used + rank]).collect();
        let indices = Tensor::from_vec(indices, rows.len(), device)?;
        let shares = Tensor::from_vec(shares, (rows.len(), 1), device)?;
        let output = gated(expert, activation, &x.index_select(&indices, 0)?)?;
        sum = sum.index_add(&indices, &output.broadcast_mul(&shares)?, 0)?;
    }
    Ok(sum)
}
