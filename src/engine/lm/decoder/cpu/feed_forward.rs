//! Feed-forward networks on our own kernels: gated ones, and mixtures of them.

use candle_core::{Error, Result};

use super::weights::{CpuForm, project};
use crate::lm::decoder::config::ExpertCounts;
use crate::lm::decoder::experts::{ChosenExperts, choose};
use crate::lm::decoder::family::GateActivation;
use crate::lm::decoder::weights::{ExpertWeights, GatedWeights};
use idiolect_kernels::elementwise::{add_scaled, gelu_times, silu_times};
use idiolect_kernels::linear::ProductRows;
use idiolect_kernels::{Isa, Pool};

/// Kernels and activation of feed-forward networks.
#[derive(Clone, Copy)]
pub(super) struct GatedKernels<'a> {
    pub(super) activation: GateActivation,
    pub(super) isa: Isa,
    pub(super) pool: &'a Pool,
}

/// Intermediate results of a mixture of experts.
#[derive(Default)]
pub(super) struct ExpertBuffers {
    /// `[n_rows, n_experts]`.
    scores: Vec<f32>,
    /// Inputs and outputs of the rows of one expert.
    input: Vec<f32>,
    output: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// Outputs of all experts, `[n_rows, n_used, n_embd]`.
    outputs: Vec<f32>,
}

impl GatedKernels<'_> {
    /// `gate = activation(gate(x)) * up(x)`, `[n_rows, n_ff]`.
    pub(super) fn gate(
        self,
        weights: &GatedWeights<CpuForm>,
        x: &[f32],
        rows: ProductRows,
        gate: &mut Vec<f32>,
        up: &mut Vec<f32>,
    ) -> Result<()> {
        let mut outputs = [(&weights.gate, &mut *gate), (&weights.up, &mut *up)];
        project(&mut outputs, x, rows, self.pool)?;
        let times = match self.activation {
            GateActivation::Silu => silu_times,
            GateActivation::Gelu => gelu_times,
        };
        times(gate, up, self.isa, self.pool).map_err(Error::wrap)
    }

    /// Writes the weighted sum of the chosen experts' outputs to `out`, `[n_rows, n_embd]`. Each
    /// row's sum runs from its best expert to its last, whatever the other rows chose.
    pub(super) fn mix(
        self,
        weights: &ExpertWeights<CpuForm>,
        counts: ExpertCounts,
        (x, all_rows): (&[f32], ProductRows),
        out: &mut [f32],
        buffers: &mut ExpertBuffers,
    ) -> Result<()> {
        let ExpertBuffers { scores, input, output, gate, up, outputs } = buffers;
        let n_used = counts.n_used;
        let width = weights.router.n_in();
        project(&mut [(&weights.router, &mut *scores)], x, all_rows, self.pool)?;
        let ChosenExperts { rows, weights: shares } = choose(scores, counts);
        outputs.resize(all_rows.n * n_used * width, 0.0);
        for (expert, rows) in weights.experts.iter().zip(&rows) {
            if rows.is_empty() {
                continue;
            }
            input.clear();
            rows.iter().for_each(|(row, _)| input.extend_from_slice(&x[row * width..][..width]));
            let n_prompt = rows.iter().take_while(|(row, _)| *row < all_rows.n_prompt).count();
            let of_expert = ProductRows { n: rows.len(), n_prompt };
            self.gate(expert, input, of_expert, gate, up)?;
            project(&mut [(&expert.down, &mut *output)], gate, of_expert, self.pool)?;
            for ((row, rank), output) in rows.iter().zip(output.chunks_exact(width)) {
                outputs[(row * n_used + rank) * width..][..width].copy_from_slice(output);
            }
        }
        out.fill(0.0);
        let each = outputs.chunks_exact(n_used * width).zip(shares.chunks_exact(n_used));
        for (out, (outputs, shares)) in out.chunks_exact_mut(width).zip(each) {
            for (output, share) in outputs.chunks_exact(width).zip(shares) {
                add_scaled(out, output, *share).map_err(Error::wrap)?;
            }
        }
        Ok(())
    }
}
