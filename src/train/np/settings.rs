//! Settings of a reward head.

use serde::{Deserialize, Serialize};

use super::PeerLength;
use crate::{TrainingBudget, TrainingSettings};

/// Settings of a reward head and of its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NpSettings {
    /// Peers' texts in the pairs.
    pub peers: PeerLength,
    /// Whether the length of a text counts.
    pub length: bool,
    /// Whether each user gets random texts instead of their own. A control: a head that is trained so
    /// must be right half of the time.
    pub shuffled: bool,
    /// Seed of the users of validation, of the first values and of all draws.
    pub seed: u64,
    /// Share of hidden values that are left out in each step, 0 to 1.
    pub dropout: f32,
    /// Settings of the steps.
    pub training: TrainingSettings,
}

impl Default for NpSettings {
    /// The authors' sizes, and the learning rate and number of steps that a minute of a laptop allows.
    fn default() -> Self {
        Self {
            peers: PeerLength::Any,
            length: true,
            shuffled: false,
            seed: 42,
            dropout: 0.1,
            training: TrainingSettings {
                budget: TrainingBudget::Steps(1500),
                learning_rate: 3e-4,
                warm_up: 50,
                weight_decay: 0.01,
                validate_every: 50,
                patience: 8,
            },
        }
    }
}
