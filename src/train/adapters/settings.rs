//! Settings of adapters.

use serde::{Deserialize, Serialize};

use crate::{TrainingBudget, TrainingSettings};

/// Kind of changes that a net makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterNetKind {
    /// Soft tokens before the prompt (`pplug`).
    Pplug,
    /// Mixtures of low-rank products beside queries and values (`reclora`).
    Reclora,
}

/// Settings of an adapter and of its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterSettings {
    /// Kind of changes.
    pub kind: AdapterNetKind,
    /// Most texts that it is trained on.
    pub texts: usize,
    /// Most past texts that a user's vectors are made of, the newest.
    pub n_past: usize,
    /// Tokens of a text that count, from its first.
    pub tokens: usize,
    /// Most tokens of a prompt; texts with a longer one are left out.
    pub prompt_tokens: usize,
    /// Soft tokens of a user (`pplug`).
    pub n_soft: usize,
    /// Products that are mixed (`reclora`).
    pub n_products: usize,
    /// Rank of a product (`reclora`).
    pub rank: usize,
    /// Weight of the margin between the right and another user's adapter; 0 trains on the loss alone, at half
    /// the cost.
    pub margin: f64,
    /// Whether every text gets the vectors of users drawn at random. A control: such an adapter must not tell
    /// users apart.
    pub shuffled: bool,
    /// Seed of the texts, the users of validation, the first values and all draws.
    pub seed: u64,
    /// Settings of the steps.
    pub training: TrainingSettings,
}

impl AdapterSettings {
    /// Defaults of a kind. A step reads two texts of up to 144 tokens with two adapters each.
    #[must_use]
    pub fn of(kind: AdapterNetKind) -> Self {
        Self {
            kind,
            texts: 1200,
            n_past: 8,
            tokens: 144,
            prompt_tokens: 256,
            n_soft: 4,
            n_products: 4,
            rank: 4,
            margin: 0.5,
            shuffled: false,
            seed: 42,
            training: TrainingSettings {
                budget: TrainingBudget::Steps(300),
                learning_rate: 1e-3,
                warm_up: 15,
                weight_decay: 0.0,
                validate_every: 50,
                patience: 4,
            },
        }
    }
}
