//! CoS, context steering (arXiv 2405.01768, section 3): `score = lU + λ (lU − l0)`.

use super::Rule;
use idiolect_kernels::Isa;

pub(super) struct ContextSteering {
    pub(super) strength: f32,
}

impl Rule for ContextSteering {
    fn combine(&mut self, _written: &[u32], logprobs: &[&[f32]], combined: &mut [f32], _isa: Isa) {
        match logprobs {
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
