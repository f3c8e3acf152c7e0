//! How the next token is chosen.

/// Settings of a sampler. Applied in this order: repetition penalty, DRY, temperature, top-k,
/// min-p, top-p.
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
    /// Longest repeated run that is not penalised, tokens.
    pub dry_allowed_length: usize,
    /// How many of the last tokens the penalties look at; 0 means the whole sequence.
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
