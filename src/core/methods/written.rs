//! What comes of a method.

use serde::Serialize;

use super::Method;
use crate::corpus::ReviewId;
use crate::difference::stated::StatedProfile;
use crate::difference::{Profile, Tally};
use crate::task::Cut;
use idiolect_engine::lm::Finish;

/// A text written as a user would, and what it took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    /// The text, without the task's label.
    pub text: String,
    /// The method.
    pub method: Method,
    /// What prompts left out, in the order in which they were made.
    pub cut: Vec<Cut>,
    /// Tokens of the prompts of all answers that were computed.
    pub prompt_tokens: usize,
    /// Tokens of all answers that were computed.
    pub completion_tokens: usize,
    /// Answers (differences, summary, text) taken from the store.
    pub reused: usize,
    /// Answers computed.
    pub computed: usize,
    /// Tokens that the answers from the store had cost.
    pub saved_tokens: usize,
    /// Those of them that were prompts.
    pub saved_prompt_tokens: usize,
    /// Why the text ended.
    pub finish: Finish,
    /// The user's past reviews that the prompt was given, as the prompt orders them.
    pub past: Vec<ReviewId>,
    /// The profile, for methods that make one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The profile in statements, for the method that makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated: Option<StatedProfile>,
}

impl Written {
    /// What the answers have cost.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            computed: self.computed,
            reused: self.reused,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            saved_tokens: self.saved_tokens,
            saved_prompt_tokens: self.saved_prompt_tokens,
        }
    }

    /// The same text at another cost.
    pub(super) fn costing(self, tally: Tally) -> Self {
        Self {
            computed: tally.computed,
            reused: tally.reused,
            prompt_tokens: tally.prompt_tokens,
            completion_tokens: tally.completion_tokens,
            saved_tokens: tally.saved_tokens,
            saved_prompt_tokens: tally.saved_prompt_tokens,
            ..self
        }
    }
}
