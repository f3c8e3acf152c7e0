//! Interface to what judges drafts for a user, such as a trained reward head.

use crate::corpus::View;
use crate::steering::TokenReward;

/// Error of a [`TextReward`].
pub type RewardError = Box<dyn std::error::Error + Send + Sync>;

/// Scores texts by how much they are a user's own. The crate `idiolect-train` implements it with
/// heads that are trained on texts of other users.
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
}
