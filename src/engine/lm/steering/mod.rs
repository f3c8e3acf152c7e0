//! Rules that combine the model's distributions after several prompts into one.
//!
//! A [`Steering`] is the configuration, which can be stored: the rule and its strengths.
//! [`rule`](Steering::rule) builds the rule. The prompts have a fixed order: first the one with the
//! user's texts (U), then the non-personalized one (0), then those with peers' texts about the same
//! items (P). `lU`, `l0` and `lP` are the log-probabilities after them.

mod context;
mod contrast;
mod ending;
mod lexicon;
mod phrases;
mod plausible;
mod top_k;

pub use ending::Ending;
pub(super) use ending::EndingRule;
pub use lexicon::{Bias, Lexicon};
pub use phrases::Phrases;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use context::ContextSteering;
use contrast::PeerContrastRule;
use idiolect_kernels::Isa;
use phrases::Mixed;
use plausible::PlausibleContrast;
use top_k::TopKReward;

/// Combines the log-probabilities after several prompts that are continued with the same text.
pub trait Rule: Send {
    /// Computes the scores of the next token. `written`: the completion's tokens so far.
    /// `logprobs`: natural log-probabilities of the vocabulary after each prompt,
    /// `[n_prompts][n_vocab]`. Writes the scores to `combined`, `[n_vocab]`: finite, or minus
    /// infinity for a forbidden token. Their softmax is the distribution. `isa`: instruction set
    /// for kernels.
    fn combine(&mut self, written: &[u32], logprobs: &[&[f32]], combined: &mut [f32], isa: Isa);
}

/// `Σ wᵢ · log pᵢ`, one weight per prompt. A prompt without a weight is ignored.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedSum(pub Vec<f32>);

impl Rule for WeightedSum {
    fn combine(&mut self, _written: &[u32], logprobs: &[&[f32]], combined: &mut [f32], _isa: Isa) {
        combined.fill(0.0);
        for (logprobs, weight) in logprobs.iter().zip(&self.0) {
            // 0 times minus infinity is NaN.
            if *weight != 0.0 {
                combined.iter_mut().zip(*logprobs).for_each(|(sum, x)| *sum += weight * x);
            }
        }
    }
}

/// The formula by which prompts are combined.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Contrast {
    /// The user's prompt alone.
    #[default]
    None,
    /// CoS: `lU + strength (lU − l0)`.
    ContextSteering {
        /// 0 is ordinary prompting, −1 uses the non-personalized prompt only.
        strength: f32,
    },
    /// CoPe: `lU − strength l0`, on tokens plausible after U.
    Plausible {
        /// Weight of `l0`, which is subtracted.
        strength: f32,
        /// Smallest plausible probability, as a fraction of the largest one, 0 to 1.
        plausible: f32,
        /// Penalty of other tokens, nats; `None` forbids them.
        outside: Option<f32>,
    },
    /// PAD with the same model as reward: `l0 + weight (lU − l0)` on the k most likely tokens after
    /// 0, the difference normalised over the k.
    TopK {
        /// Number of most likely tokens.
        k: usize,
        /// Weight of the reward.
        weight: f32,
        /// Penalty of other tokens, nats; `None` forbids them.
        outside: Option<f32>,
    },
    /// Contrast with peers on the same items.
    Peers(PeerContrast),
}

/// `l0 + a (lU − l0) + b·gate·(lU − mean lP)`, the last term only on tokens plausible after U.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerContrast {
    /// Strength of the user's prompt against the non-personalized one; 1 is ordinary prompting.
    pub a: f32,
    /// Strength of the user's prompt against the peers'.
    pub b: f32,
    /// Smallest plausible probability after U, as a fraction of the largest one, 0 to 1; 0 accepts
    /// all tokens.
    pub plausible: f32,
    /// Jensen-Shannon divergence of U and P, nats, from which the gate is 1; below, the gate is
    /// proportional to the divergence. 0 keeps the gate at 1.
    pub divergence: f32,
    /// Number of tokens over which the contrast rises linearly to its full strength. 0 applies the
    /// full strength from the first token.
    pub ramp: usize,
}

/// A rule and its strengths.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steering {
    /// The formula by which prompts are combined.
    pub contrast: Contrast,
    /// Strength and bias: `strength · bias` is added to each token's score.
    pub lexical: Option<(f32, Bias)>,
    /// Interpolation weight, 0 to 1, and the user's n-gram cache.
    pub phrases: Option<(f32, Phrases)>,
}

/// The prompts that a steering reads in addition to the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// The non-personalized prompt.
    pub nobody: bool,
    /// The prompts with peers' texts.
    pub peers: bool,
}

impl Steering {
    /// Returns the prompts that it reads; the peers' prompts require the non-personalized one.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        match self.contrast {
            Contrast::None => Lanes { nobody: false, peers: false },
            Contrast::Peers(_) => Lanes { nobody: true, peers: true },
            _ => Lanes { nobody: true, peers: false },
        }
    }

    /// Builds the rule. It accepts fewer prompts: without peers' prompts the contrast with peers is
    /// omitted, without the non-personalized prompt the user's prompt is used alone.
    #[must_use]
    pub fn rule(&self) -> Box<dyn Rule> {
        let rule: Box<dyn Rule> = match self.contrast {
            Contrast::None => Box::new(WeightedSum(vec![1.0])),
            Contrast::ContextSteering { strength } => Box::new(ContextSteering { strength }),
            Contrast::Plausible { strength, plausible, outside } => {
                Box::new(PlausibleContrast { strength, plausible, outside })
            }
            Contrast::TopK { k, weight, outside } => Box::new(TopKReward { k, weight, outside }),
            Contrast::Peers(contrast) => Box::new(PeerContrastRule::new(contrast)),
        };
        let rule = match &self.lexical {
            Some((strength, bias)) if *strength != 0.0 => {
                Box::new(Biased { rule, strength: *strength, bias: bias.values() })
            }
            _ => rule,
        };
        match &self.phrases {
            Some((share, phrases)) if *share > 0.0 => {
                Box::new(Mixed { rule, share: *share, phrases: phrases.clone() })
            }
            _ => rule,
        }
    }

    /// Cache key: the rule, its strengths and the hashes of the counts, which together determine
    /// the text for the same prompts.
    #[must_use]
    pub fn key(&self) -> String {
        let contrast = serde_json::to_string(&self.contrast).unwrap_or_default();
        let lexical = self.lexical.as_ref().map(|(strength, bias)| (strength, bias.hash()));
        let phrases = self.phrases.as_ref().map(|(share, phrases)| (share, phrases.hash()));
        let named = [("", lexical), ("phrases ", phrases)];
        named.iter().fold(contrast, |key, (name, part)| match part {
            Some((strength, hash)) => format!("{key} {name}{strength} {hash}"),
            None => key,
        })
    }
}

/// Another rule's scores plus a fixed bias for each token.
struct Biased {
    rule: Box<dyn Rule>,
    strength: f32,
    bias: Arc<[f32]>,
}

impl Rule for Biased {
    fn combine(&mut self, written: &[u32], logprobs: &[&[f32]], combined: &mut [f32], isa: Isa) {
        self.rule.combine(written, logprobs, combined, isa);
        combined.iter_mut().zip(&*self.bias).for_each(|(sum, x)| *sum += self.strength * x);
    }
}

/// `logprob − penalty`; minus infinity if the penalty is `None`.
fn outside(logprob: f32, penalty: Option<f32>) -> f32 {
    penalty.map_or(f32::NEG_INFINITY, |penalty| logprob - penalty)
}

#[cfg(test)]
mod tests;
