//! CoS, context steering (arXiv 2405.01768, section 3): `score = lU + λ (lU − l0)`.

use idiolect_engine::lm::{CombineLogits, Distributions};

pub(super) struct ContextSteering {
    pub(super) strength: f32,
}

impl CombineLogits for ContextSteering {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        match step.logprobs {
            [user, nobody, ..] => {
                for ((score, u), z) in combined.iter_mut().zip(*user).zip(*nobody) {
                    *score = u + self.strength * (u - z);
                }
            }
            [user] => combined.copy_from_slice(user),
            [] => combined.fill(0.0),
        }
    }
}
