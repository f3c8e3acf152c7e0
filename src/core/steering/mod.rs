//! Rules that combine the model's distributions after several prompts into one.
//!
//! A [`Steering`] is the configuration, which can be stored: the rule and its strengths.
//! [`rule`](Steering::rule) builds the rule. The prompts have a fixed order: first the one with the
//! user's texts (U), then further ones with other texts of the user, then the non-personalized one (0),
//! then those with peers' texts about the same items (P). `lU`, `l0` and `lP` are the log-probabilities
//! after them; with further prompts of the user `lU` is that of the weighted mean of their distributions.

mod context_steering;
mod expected;
mod length_prior;
mod mixed_prompts;
mod ngram_blocklist;
mod ngram_cache;
mod observed;
mod peer_contrast;
mod plausible;
mod tier;
mod token_reward;
mod top_k;
mod unigrams;
mod vocabulary;

pub use expected::{
    AuthorWords, ExpectationRecorder, ExpectedCounts, ExpectedScore, ExpectedSums, TokenEvidence,
    expected_bias, expected_score,
};
pub(crate) use length_prior::WithLengthPrior;
pub use length_prior::{LengthBackground, LengthPrior};
pub use ngram_blocklist::NgramBlocklist;
pub use ngram_cache::{CACHE_PRIOR, NgramCache};
pub use observed::{DistributionRecorder, ObservedPosition, ObservedPositions, POWERS};
pub(crate) use token_reward::likeliest;
pub use token_reward::{RewardWeight, TokenReward};
pub use unigrams::{LogitBias, SparseBias, UnigramCounts, bias_of_counts};
pub use vocabulary::{Vocabulary, vocabulary_hash};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use context_steering::ContextSteering;
use idiolect_engine::lm::{CombineLogits, Distributions, WeightedSum};
use mixed_prompts::{MixedPrompts, weights_key};
use ngram_cache::Mixed;
use peer_contrast::PeerContrastRule;
use plausible::PlausibleContrast;
use tier::TierContrast;
use token_reward::TokenRewarded;
use top_k::TopKReward;

/// Greatest weight of an n-gram cache in a mixture that [`Steering::scaled`] raises.
const MAX_SHARE: f32 = 0.9;

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
    /// `lU + b (lU − l0)` on tokens plausible after U, where the prompt 0 lacks the user's tier (method
    /// `tiers`) or the user's texts.
    Tier {
        /// 0 is ordinary prompting on the plausible tokens.
        b: f32,
        /// Smallest plausible probability, as a fraction of the largest one, 0 to 1.
        plausible: f32,
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
    /// Number of further prompts with texts of the user. The mean distribution of all of them, weighted by
    /// how likely each makes the text so far, is taken as the user's.
    pub further: usize,
    /// Weight and trained reward of tokens; a weight of 0 is none.
    pub reward: Option<(RewardWeight, TokenReward)>,
    /// Power of the combined probabilities, above 0: below 1 it flattens the distribution. `None`
    /// leaves it as it is.
    pub power: Option<f32>,
    /// Strength and bias: `strength · bias` is added to each token's score.
    pub lexical: Option<(f32, LogitBias)>,
    /// Strength and bias of tokens that the user, or all users, write more or less often than the model
    /// expects.
    pub expected: Option<(f32, LogitBias)>,
    /// Strength and bias of the choice of words in others' texts on the item.
    pub item: Option<(f32, LogitBias)>,
    /// Interpolation weight, 0 to 1, and the user's n-gram cache.
    pub phrases: Option<(f32, NgramCache)>,
    /// Interpolation weight, 0 to 1, and the n-gram cache of others' texts on the item.
    pub item_phrases: Option<(f32, NgramCache)>,
}

/// The prompts that a steering reads in addition to the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NeededPrompts {
    /// The unconditional prompt, without any user's texts.
    pub unconditional: bool,
    /// The prompts with peers' texts.
    pub peers: bool,
    /// Number of further prompts with texts of the user.
    pub further: usize,
}

impl Steering {
    /// Returns the prompts that it reads; the peers' prompts require the non-personalized one.
    #[must_use]
    pub fn needs(&self) -> NeededPrompts {
        let (unconditional, peers) = match self.contrast {
            Contrast::None => (false, false),
            Contrast::Peers(_) => (true, true),
            _ => (true, false),
        };
        NeededPrompts { unconditional, peers, further: self.further }
    }

    /// The steering with its effect multiplied by `strength`, from 0: at 0 the distribution is that
    /// after the user's prompt, at 1 the steering is unchanged. Weights of mixtures stay below 1.
    #[must_use]
    pub fn scaled(&self, strength: f32) -> Self {
        if strength == 1.0 {
            return self.clone();
        }
        // Ordinary prompting has the value 1 in these.
        let from_one = |value: f32| 1.0 + (value - 1.0) * strength;
        let contrast = match self.contrast {
            Contrast::None => Contrast::None,
            Contrast::ContextSteering { strength: given } => {
                Contrast::ContextSteering { strength: given * strength }
            }
            Contrast::Plausible { .. } | Contrast::TopK { .. } | Contrast::Tier { .. }
                if strength == 0.0 =>
            {
                Contrast::None
            }
            Contrast::Tier { b, plausible, outside } => {
                Contrast::Tier { b: b * strength, plausible, outside }
            }
            Contrast::Plausible { strength: given, plausible, outside } => {
                Contrast::Plausible { strength: given * strength, plausible, outside }
            }
            Contrast::TopK { k, weight, outside } => {
                Contrast::TopK { k, weight: from_one(weight), outside }
            }
            Contrast::Peers(peers) => Contrast::Peers(PeerContrast {
                a: from_one(peers.a),
                b: peers.b * strength,
                ..peers
            }),
        };
        let bias = |part: &Option<(f32, LogitBias)>| {
            part.as_ref().map(|(given, bias)| (given * strength, bias.clone()))
        };
        let mixed = |part: &Option<(f32, NgramCache)>| {
            let share = |given: f32| (given * strength).min(given.max(MAX_SHARE));
            part.as_ref().map(|(given, cache)| (share(*given), cache.clone()))
        };
        let reward = self.reward.as_ref().filter(|_| strength > 0.0).map(|(given, reward)| {
            let weight = given.weight * strength;
            (RewardWeight { weight, ..*given }, reward.clone())
        });
        Self {
            contrast,
            further: if strength > 0.0 { self.further } else { 0 },
            reward,
            // A power of 0 or below would turn the distribution round.
            power: self.power.map(|power| from_one(power).max(0.05)),
            lexical: bias(&self.lexical),
            expected: bias(&self.expected),
            item: bias(&self.item),
            phrases: mixed(&self.phrases),
            item_phrases: mixed(&self.item_phrases),
        }
    }

    /// Builds the rule. It accepts fewer prompts: without peers' prompts the contrast with peers is
    /// omitted, without the non-personalized prompt the user's prompt is used alone.
    #[must_use]
    pub fn rule(&self) -> Box<dyn CombineLogits> {
        let rule: Box<dyn CombineLogits> = match self.contrast {
            Contrast::None => Box::new(WeightedSum(vec![1.0])),
            Contrast::ContextSteering { strength } => Box::new(ContextSteering { strength }),
            Contrast::Plausible { strength, plausible, outside } => {
                Box::new(PlausibleContrast { strength, plausible, outside })
            }
            Contrast::TopK { k, weight, outside } => Box::new(TopKReward { k, weight, outside }),
            Contrast::Tier { b, plausible, outside } => {
                Box::new(TierContrast { b, plausible, outside })
            }
            Contrast::Peers(contrast) => Box::new(PeerContrastRule::new(contrast)),
        };
        let rule = match &self.reward {
            Some((settings, reward)) if settings.weight != 0.0 => {
                Box::new(TokenRewarded { rule, settings: *settings, reward: reward.clone() })
            }
            _ => rule,
        };
        let rule = match self.power {
            Some(power) => Box::new(Powered { rule, power }),
            None => rule,
        };
        let biases = [&self.lexical, &self.expected, &self.item];
        let rule = biases.into_iter().flatten().fold(rule, biased);
        let caches = [&self.phrases, &self.item_phrases];
        let rule = caches.into_iter().flatten().fold(rule, mixed);
        of_mean(rule, self.further)
    }

    /// Cache key: the rule, its strengths and the hashes of the counts, which together determine
    /// the text for the same prompts.
    #[must_use]
    pub fn key(&self) -> String {
        let mut contrast = serde_json::to_string(&self.contrast).unwrap_or_default();
        if let Some((settings, reward)) = &self.reward
            && settings.weight != 0.0
        {
            let settings = serde_json::to_string(settings).unwrap_or_default();
            contrast.push_str(&format!(" reward {settings} {}", reward.hash()));
        }
        if self.further > 0 {
            contrast.push_str(&format!(" further {} {}", self.further, weights_key()));
        }
        let bias = |part: &Option<(f32, LogitBias)>| {
            part.as_ref().map(|(strength, bias)| (*strength, bias.hash().to_owned()))
        };
        let cache = |part: &Option<(f32, NgramCache)>| {
            part.as_ref().map(|(share, cache)| (*share, cache.hash().to_owned()))
        };
        let named = [
            ("power ", self.power.map(|power| (power, String::new()))),
            ("", bias(&self.lexical)),
            ("expected ", bias(&self.expected)),
            ("item ", bias(&self.item)),
            ("phrases ", cache(&self.phrases)),
            ("item phrases ", cache(&self.item_phrases)),
        ];
        named.iter().fold(contrast, |key, (name, part)| match part {
            Some((strength, hash)) => format!("{key} {name}{strength} {hash}"),
            None => key,
        })
    }
}

/// A rule that reads the mean distribution of the user's prompt and `further` ones as the user's.
pub(crate) fn of_mean(rule: Box<dyn CombineLogits>, further: usize) -> Box<dyn CombineLogits> {
    match further {
        0 => rule,
        further => Box::new(MixedPrompts::new(rule, 1 + further)),
    }
}

/// A rule with a bias added, unless its strength is 0.
fn biased(rule: Box<dyn CombineLogits>, bias: &(f32, LogitBias)) -> Box<dyn CombineLogits> {
    let (strength, bias) = bias;
    match *strength != 0.0 {
        true => Box::new(Biased { rule, strength: *strength, bias: bias.values() }),
        false => rule,
    }
}

/// A rule interpolated with a cache, unless its weight is 0.
fn mixed(rule: Box<dyn CombineLogits>, cache: &(f32, NgramCache)) -> Box<dyn CombineLogits> {
    let (share, phrases) = cache;
    match *share > 0.0 {
        true => Box::new(Mixed { rule, share: *share, phrases: phrases.clone() }),
        false => rule,
    }
}

/// Another rule's scores multiplied by a power of the probabilities.
struct Powered {
    rule: Box<dyn CombineLogits>,
    power: f32,
}

impl CombineLogits for Powered {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        self.rule.combine(step, combined);
        combined.iter_mut().for_each(|score| *score *= self.power);
    }

    fn reads_hidden(&self) -> bool {
        self.rule.reads_hidden()
    }
}

/// Another rule's scores plus a fixed bias for each token.
struct Biased {
    rule: Box<dyn CombineLogits>,
    strength: f32,
    bias: Arc<[f32]>,
}

impl CombineLogits for Biased {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        self.rule.combine(step, combined);
        combined.iter_mut().zip(&*self.bias).for_each(|(sum, x)| *sum += self.strength * x);
    }

    fn reads_hidden(&self) -> bool {
        self.rule.reads_hidden()
    }

    fn fixed_bias(&self) -> Option<Vec<f32>> {
        let mut sums = self.rule.fixed_bias()?;
        sums.resize(self.bias.len().max(sums.len()), 0.0);
        sums.iter_mut().zip(&*self.bias).for_each(|(sum, x)| *sum += self.strength * x);
        Some(sums)
    }
}

/// `logprob − penalty`; minus infinity if the penalty is `None`.
fn outside(logprob: f32, penalty: Option<f32>) -> f32 {
    penalty.map_or(f32::NEG_INFINITY, |penalty| logprob - penalty)
}

#[cfg(test)]
mod tests;
