//! Sampling settings.

use std::collections::BTreeMap;

use super::{Error, Result};

/// Settings of a sampler, applied in this order: bias, repetition penalty, frequency and presence
/// penalty, DRY, temperature, top-k, min-p, top-p. The defaults choose the most likely token and
/// change no logits.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Sampling temperature; 0 is greedy (ties go to the lowest id).
    pub temperature: f32,
    /// Keeps the k most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set whose probability reaches this; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens with at least this fraction of the largest probability; 0 keeps all.
    pub min_p: f32,
    /// Divides the positive and multiplies the negative logits of tokens that have occurred; 1 is
    /// off.
    pub repetition_penalty: f32,
    /// DRY (n-gram) penalty: `multiplier * base^(match length - allowed length)`; multiplier 0 is
    /// off.
    pub dry_multiplier: f32,
    /// See `dry_multiplier`.
    pub dry_base: f32,
    /// Minimum match length that is penalised, tokens: a token is penalised if at least this many
    /// tokens before it equal those before an earlier occurrence.
    pub dry_allowed_length: usize,
    /// Number of last tokens that the penalties consider, prompt and completion together; 0 means
    /// the whole sequence. Control tokens are never penalised: a conversation contains many of
    /// them, and a penalised end of turn would not be chosen.
    pub penalty_window: usize,
    /// Subtracted from the logit of a token for each time that it occurs in the text generated so
    /// far, -2 to 2; 0 is off. Control tokens are never penalised. (OpenAI's `frequency_penalty`.)
    #[serde(skip_serializing_if = "is_zero")]
    pub frequency_penalty: f32,
    /// Subtracted once from the logit of each token that occurs in the text generated so far, -2 to
    /// 2; 0 is off. Control tokens are never penalised. (OpenAI's `presence_penalty`.)
    #[serde(skip_serializing_if = "is_zero")]
    pub presence_penalty: f32,
    /// Added to the logits of these tokens, -100 to 100. A token that a constraint or a mask forbids
    /// stays forbidden.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub logit_bias: BTreeMap<u32, f32>,
    /// Seed of the random generator.
    pub seed: u64,
}

/// Whether a setting has its default of 0. It is then left out of keys, so that those of earlier
/// versions stay valid.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference.
fn is_zero(setting: &f32) -> bool {
    *setting == 0.0
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            penalty_window: 0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: BTreeMap::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// Checks that every setting is within its range.
    ///
    /// # Errors
    /// The first setting out of its range, with its value and its limits.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("temperature", self.temperature, 0.0, f32::MAX),
            ("top_p", self.top_p, 0.0, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            ("repetition_penalty", self.repetition_penalty, f32::MIN_POSITIVE, f32::MAX),
            ("dry_multiplier", self.dry_multiplier, 0.0, f32::MAX),
            ("dry_base", self.dry_base, 1.0, f32::MAX),
            ("frequency_penalty", self.frequency_penalty, -2.0, 2.0),
            ("presence_penalty", self.presence_penalty, -2.0, 2.0),
        ];
        let biases = self.logit_bias.values().map(|bias| ("logit_bias", *bias, -100.0, 100.0));
        for (setting, got, least, most) in ranges.into_iter().chain(biases) {
            // NaN is outside of every range.
            if !(least..=most).contains(&got) {
                return Err(Error::Sampling { setting, got, least, most });
            }
        }
        Ok(())
    }
}
