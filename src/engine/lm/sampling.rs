//! How the next token is chosen: the settings.

use super::{Error, Result};

/// Settings of a sampler. Applied in this order: repetition penalty, DRY, temperature, top-k,
/// min-p, top-p. The defaults choose the likeliest token and change nothing.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// 0 is greedy (ties go to the lowest id).
    pub temperature: f32,
    /// Keep the k likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set whose probability reaches this; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens seen; 1 is off.
    pub repetition_penalty: f32,
    /// DRY (n-gram) penalty: `multiplier * base^(match length - allowed length)`; multiplier 0 is off.
    pub dry_multiplier: f32,
    /// See `dry_multiplier`.
    pub dry_base: f32,
    /// Length from which on a repeated run is penalised, tokens: what goes before a token must have
    /// stood at least this long before it earlier.
    pub dry_allowed_length: usize,
    /// How many of the last tokens the penalties look at, prompt and completion together; 0 means
    /// the whole sequence. Control tokens are never penalised, whatever the window holds: a
    /// conversation is full of them, and a penalised end of turn would not come.
    pub penalty_window: usize,
    /// Seed of the generator.
    pub seed: u64,
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
            seed: 0,
        }
    }
}

impl Sampling {
    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// Names the first setting that is not, what it is, and what it may be.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("temperature", self.temperature, 0.0, f32::MAX),
            ("top_p", self.top_p, 0.0, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            ("repetition_penalty", self.repetition_penalty, f32::MIN_POSITIVE, f32::MAX),
            ("dry_multiplier", self.dry_multiplier, 0.0, f32::MAX),
            ("dry_base", self.dry_base, 1.0, f32::MAX),
        ];
        for (setting, got, least, most) in ranges {
            // NaN is within no range.
            if !(least..=most).contains(&got) {
                return Err(Error::Sampling { setting, got, least, most });
            }
        }
        Ok(())
    }
}
