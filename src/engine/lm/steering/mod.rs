//! Rules that combine what the model says after several prompts into one distribution.
//!
//! A [`Steering`] says in words that can be stored which rule it is and with which strengths; its
//! [`rule`](Steering::rule) does it. The prompts come in a fixed order: first the one with the user's
//! texts (U), then the one with nobody's (0), then those with peers' texts on the same items (P).

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
use phrases::Mixed;
use plausible::PlausibleContrast;
use top_k::TopKReward;

/// Combines log-probabilities after several prompts that are advanced together.
pub trait Rule: Send {
    /// `written`: tokens of the text before this one. `logprobs`: natural
    /// log-probabilities of the vocabulary after each prompt, `[n_prompts][n_vocab]`. Writes scores
    /// to `combined`, `[n_vocab]`: finite, or minus infinity for a token that must not come. Their
    /// softmax is the distribution.
    fn combine(&mut self, written: &[u32], logprobs: &[&[f32]], combined: &mut [f32]);
}

/// `Σ wᵢ · log pᵢ`, one weight a prompt. A prompt without a weight counts nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedSum(pub Vec<f32>);

impl Rule for WeightedSum {
    fn combine(&mut self, _written: &[u32], logprobs: &[&[f32]], combined: &mut [f32]) {
        combined.fill(0.0);
        for (logprobs, weight) in logprobs.iter().zip(&self.0) {
            // 0 times minus infinity is no number.
            if *weight != 0.0 {
                combined.iter_mut().zip(*logprobs).for_each(|(sum, x)| *sum += weight * x);
            }
        }
    }
}

/// How prompts are combined.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Contrast {
    /// The user's prompt alone.
    #[default]
    None,
    /// CoS: `lU + strength (lU − l0)`.
    ContextSteering {
        /// 0 is ordinary prompting, −1 leaves the user out.
        strength: f32,
    },
    /// CoPe: `lU − strength l0`, on tokens plausible after U.
    Plausible {
        /// What is taken off.
        strength: f32,
        /// Least share of the likeliest token's probability, 0 to 1.
        plausible: f32,
        /// What other tokens lose, nats; `None` forbids them.
        outside: Option<f32>,
    },
    /// PAD with the same model as reward: `l0 + weight (lU − l0)` among the likeliest after 0.
    TopK {
        /// How many are likeliest.
        k: usize,
        /// Weight of the reward.
        weight: f32,
        /// What other tokens lose, nats; `None` forbids them.
        outside: Option<f32>,
    },
    /// Contrast with peers on the same items.
    Peers(PeerContrast),
}

/// `l0 + a (lU − l0) + b·gate·(lU − mean lP)`, the last on tokens plausible after U.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerContrast {
    /// Strength of the user's texts against none; 1 is ordinary prompting.
    pub a: f32,
    /// Strength of the user's texts against the peers'.
    pub b: f32,
    /// Least share of the likeliest token's probability after U, 0 to 1; 0 takes all tokens.
    pub plausible: f32,
    /// Jensen-Shannon divergence of U and P, nats, from which the gate is open; below, it opens in
    /// proportion. 0 leaves it open.
    pub divergence: f32,
    /// Tokens after which the contrast is whole; before, it rises in proportion. 0 has it whole
    /// from the first.
    pub ramp: usize,
}

/// A rule and its strengths.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steering {
    /// How prompts are combined.
    pub contrast: Contrast,
    /// What is added to each token's score: `strength · bias`.
    pub lexical: Option<(f32, Bias)>,
    /// How the user goes on, and its share of the mixture, 0 to 1.
    pub phrases: Option<(f32, Phrases)>,
}

/// Which prompts a steering reads beside the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// The one with nobody's texts.
    pub nobody: bool,
    /// Those with peers' texts.
    pub peers: bool,
}

impl Steering {
    /// Which prompts it reads; those of peers come with that of nobody.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        match self.contrast {
            Contrast::None => Lanes { nobody: false, peers: false },
            Contrast::Peers(_) => Lanes { nobody: true, peers: true },
            _ => Lanes { nobody: true, peers: false },
        }
    }

    /// The rule. It reads as many prompts as it is given: without peers' prompts there is no
    /// contrast with them, without nobody's the user's stands alone.
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

    /// What makes the same prompts give another text: rule, strengths and hashes of what is counted.
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

/// Another rule's scores and a fixed one for each token.
struct Biased {
    rule: Box<dyn Rule>,
    strength: f32,
    bias: Arc<[f32]>,
}

impl Rule for Biased {
    fn combine(&mut self, written: &[u32], logprobs: &[&[f32]], combined: &mut [f32]) {
        self.rule.combine(written, logprobs, combined);
        combined.iter_mut().zip(&*self.bias).for_each(|(sum, x)| *sum += self.strength * x);
    }
}

/// `l − penalty`, where `None` forbids.
fn outside(logprob: f32, penalty: Option<f32>) -> f32 {
    penalty.map_or(f32::NEG_INFINITY, |penalty| logprob - penalty)
}

#[cfg(test)]
mod tests;
