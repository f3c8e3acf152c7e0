//! CoPe's contrast with its plausibility mask (arXiv 2506.12109): `score = lU − α l0` on tokens
//! with `pU ≥ β max pU`. In the paper, U is a model fine-tuned on the user and 0 its base model;
//! here, they are the same model after two prompts.

use super::{Rule, outside};
use idiolect_kernels::Isa;

pub(super) struct PlausibleContrast {
    pub(super) strength: f32,
    pub(super) plausible: f32,
    pub(super) outside: Option<f32>,
}

impl Rule for PlausibleContrast {
    fn combine(&mut self, _written: &[u32], logprobs: &[&[f32]], combined: &mut [f32], _isa: Isa) {
        let [user, rest @ ..] = logprobs else { return combined.fill(0.0) };
        let nobody = rest.first().copied().unwrap_or(user);
        let least = least_plausible(user, self.plausible);
        for ((score, &u), z) in combined.iter_mut().zip(*user).zip(nobody) {
            let contrasted = u - self.strength * z;
            *score = if u >= least { contrasted } else { outside(contrasted, self.outside) };
        }
    }
}

/// Smallest log-probability of a plausible token: `share` times the largest probability.
pub(super) fn least_plausible(logprobs: &[f32], share: f32) -> f32 {
    logprobs.iter().copied().fold(f32::NEG_INFINITY, f32::max) + share.ln()
}
