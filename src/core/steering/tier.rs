//! Contrast of tiers: `score = lU + b (lU − l0)` on tokens plausible after U, where U has the user's
//! tier and 0 has not. The formula is that of context steering (arXiv 2405.01768, section 3), the
//! constraint that of contrastive decoding (arXiv 2210.15097, section 3.2).

use super::outside;
use idiolect_engine::lm::{CombineLogits, Distributions};

pub(super) struct TierContrast {
    pub(super) b: f32,
    pub(super) plausible: f32,
    pub(super) outside: Option<f32>,
}

impl CombineLogits for TierContrast {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        let [user, rest @ ..] = step.logprobs else { return combined.fill(0.0) };
        let Some(without) = rest.first() else { return combined.copy_from_slice(user) };
        let largest = user.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let least = largest + self.plausible.ln();
        for ((score, u), z) in combined.iter_mut().zip(*user).zip(*without) {
            *score = match *u >= least {
                true => u + self.b * (u - z),
                false => outside(*u, self.outside),
            };
        }
    }
}
