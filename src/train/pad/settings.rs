//! Settings of a token reward.

use serde::{Deserialize, Serialize};

use crate::{TrainingBudget, TrainingSettings};

/// Settings of a token reward and of its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PadSettings {
    /// Most pairs of texts that it is trained on.
    pub pairs: usize,
    /// Past texts in a prompt.
    pub n_past: usize,
    /// Tokens of each text that count, from its first.
    pub tokens: usize,
    /// Likeliest tokens that are kept at each of them.
    pub kept: usize,
    /// Rank of the map.
    pub rank: usize,
    /// Strength of the loss for a given difference of log-probabilities.
    pub beta: f64,
    /// Whether what the reward head `np` knows of a user gates the map.
    pub gated: bool,
    /// Whether it is random which text of a pair is the own one. A control: a map that is trained so
    /// must be right half of the time.
    pub shuffled: bool,
    /// Seed of the pairs, the users of validation, the first values and all draws.
    pub seed: u64,
    /// Settings of the steps.
    pub training: TrainingSettings,
}

impl Default for PadSettings {
    /// 600 pairs, whose traces take some minutes of a laptop with a model of 135 million weights.
    fn default() -> Self {
        Self {
            pairs: 600,
            n_past: 4,
            tokens: 96,
            kept: 64,
            rank: 16,
            beta: 0.1,
            gated: false,
            shuffled: false,
            seed: 42,
            training: TrainingSettings {
                budget: TrainingBudget::Steps(300),
                learning_rate: 1e-3,
                warm_up: 20,
                weight_decay: 0.01,
                validate_every: 20,
                patience: 5,
            },
        }
    }
}
