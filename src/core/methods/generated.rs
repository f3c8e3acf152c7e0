//! Result of a method: a generated text.

use serde::Serialize;

use super::Method;
use crate::client::Usage;
use crate::corpus::ReviewId;
use crate::difference::Profile;
use crate::difference::statements::StatementProfile;
use crate::task::Cut;
use idiolect_engine::lm::Finish;

/// A generated text and its cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generated {
    /// The text, without the task's label.
    pub text: String,
    /// The method.
    pub method: Method,
    /// Parts left out of prompts, in the order in which the prompts were made.
    pub cut: Vec<Cut>,
    /// Number of prompt tokens of all computed answers.
    pub prompt_tokens: usize,
    /// Number of tokens of all computed answers.
    pub completion_tokens: usize,
    /// Number of answers (differences, summary, text) taken from the store.
    pub reused: usize,
    /// Number of computed answers.
    pub computed: usize,
    /// Prompt and completion tokens that the stored answers cost when they were computed.
    pub saved_tokens: usize,
    /// Prompt tokens among `saved_tokens`.
    pub saved_prompt_tokens: usize,
    /// Reason why the text ended.
    pub finish: Finish,
    /// The user's past reviews that the prompt was given, as the prompt orders them.
    pub past: Vec<ReviewId>,
    /// The profile, for methods that make one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The profile in statements, for the method that makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated: Option<StatementProfile>,
}

impl Generated {
    /// Calls and tokens spent.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            computed: self.computed,
            reused: self.reused,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            saved_tokens: self.saved_tokens,
            saved_prompt_tokens: self.saved_prompt_tokens,
        }
    }

    /// Returns the same text with another cost.
    pub(super) fn costing(self, usage: Usage) -> Self {
        Self {
            computed: usage.computed,
            reused: usage.reused,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            saved_tokens: usage.saved_tokens,
            saved_prompt_tokens: usage.saved_prompt_tokens,
            ..self
        }
    }
}
