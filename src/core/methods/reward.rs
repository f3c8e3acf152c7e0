//! Interface to what was trained for methods: a judge of drafts, a reward of tokens, adapters.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::corpus::{Target, View};
use crate::steering::TokenReward;
use idiolect_engine::lm::Adapter;

/// Error of a [`TextReward`].
pub type RewardError = Box<dyn std::error::Error + Send + Sync>;

/// Trained parts of methods: scores of texts by how much they are a user's own, rewards of tokens,
/// adapters. The crate `idiolect-train` implements it with nets that are trained on texts of other users.
pub trait TextReward: Send + Sync {
    /// One score for each text; the higher, the more it is like the user's. Only differences between
    /// scores of one call mean something. What is known of the user is read through `view`.
    ///
    /// # Errors
    /// The store cannot be read, or what was trained does not fit the texts.
    fn rewards(&self, view: &View<'_>, user: &str, texts: &[&str])
    -> Result<Vec<f32>, RewardError>;

    /// Reward of tokens for a user, which the method `pad` writes with; `None` if nothing of the kind was
    /// trained.
    ///
    /// # Errors
    /// As [`TextReward::rewards`].
    fn token_reward(
        &self,
        view: &View<'_>,
        user: &str,
    ) -> Result<Option<TokenReward>, RewardError> {
        let _ = (view, user);
        Ok(None)
    }

    /// Changes of the language model for a user and a target; `None` if nothing of the kind was trained.
    /// The user's texts are read through `view`.
    ///
    /// # Errors
    /// As [`TextReward::rewards`].
    fn adapter(
        &self,
        kind: AdapterKind,
        view: &View<'_>,
        user: &str,
        target: Option<&Target>,
    ) -> Result<Option<Arc<Adapter>>, RewardError> {
        let _ = (kind, view, user, target);
        Ok(None)
    }
}

/// Kind of trained changes of the language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterKind {
    /// Soft tokens before the prompt, as the method `pplug` has them.
    Pplug,
    /// Products of low rank, mixed for the user, as the method `reclora` has them.
    Reclora,
    /// The products of `reclora` mixed alike for everybody: a control.
    RecloraUniform,
}
