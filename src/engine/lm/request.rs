//! What is asked of a language model, and what it answers.

use super::steering::Rule;
use super::{Chat, Constraint, CopyGuard, Ending, Sampling};

/// What the model is asked to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A conversation, rendered by the model's own template.
    Chat(Chat),
    /// Raw text, encoded as data behind the model's BOS.
    Text(String),
    /// Raw text in which control tokens are control tokens. Never for text of users and items.
    Markup(String),
    /// Token ids, taken as they are.
    Tokens(Vec<u32>),
}

/// A request for text.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to go on from.
    pub prompt: Prompt,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens to write.
    pub max_tokens: usize,
    /// Texts that end the completion; they are not part of it.
    pub stop: Vec<String>,
    /// Whether the model may end the completion.
    pub end_token: EndToken,
    /// What the text must be; cannot be combined with `stop` or a masked end.
    pub constraint: Option<Constraint>,
}

/// What becomes of the tokens by which a model ends its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EndToken {
    /// The first of them ends the completion.
    #[default]
    Ends,
    /// They are never chosen, so that `max_tokens` are written unless a stop text comes: for
    /// measurements of a given length.
    Masked,
}

/// A request for a text that several prompts agree on by a rule.
pub struct SteeredRequest {
    /// What to go on from; at least one.
    pub prompts: Vec<Prompt>,
    /// Combines what the model says after each prompt, in their order.
    pub rule: Box<dyn Rule>,
    /// How tokens are chosen from what the rule gives. Penalties read the first prompt.
    pub sampling: Sampling,
    /// Most tokens to write.
    pub max_tokens: usize,
    /// Texts that end the completion; they are not part of it.
    pub stop: Vec<String>,
    /// What the text must be; cannot be combined with `stop`.
    pub constraint: Option<Constraint>,
    /// Texts that it must not copy from.
    pub guard: Option<CopyGuard>,
    /// How long it shall be.
    pub ending: Option<Ending>,
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended its turn, or wrote all that the constraint allows.
    End,
    /// A stop text was met.
    Stop,
    /// `max_tokens` were written. A constrained text was brought to an end in time, by force, and
    /// satisfies its constraint all the same.
    Length,
}

/// A completed request.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Completion {
    /// The text, without the stop text.
    pub text: String,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens written, the end token not counted.
    pub completion_tokens: usize,
    /// Why it ended.
    pub finish: Finish,
}

/// Log-probabilities of a given text.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Tokens of the continuation.
    pub tokens: Vec<u32>,
    /// Natural logarithm of each token's probability given all before it; as long as `tokens`.
    pub logprobs: Vec<f32>,
}

impl Score {
    /// Natural logarithm of the whole text's probability.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.logprobs.iter().map(|logprob| f64::from(*logprob)).sum()
    }

    /// Mean number of bits a token takes; `None` for an empty text.
    #[must_use]
    pub fn bits_per_token(&self) -> Option<f64> {
        match self.logprobs.len() {
            0 => None,
            n => Some(-self.total() / n as f64 / std::f64::consts::LN_2),
        }
    }

    /// Perplexity: 2 to the power of the bits per token; `None` for an empty text.
    #[must_use]
    pub fn perplexity(&self) -> Option<f64> {
        self.bits_per_token().map(f64::exp2)
    }
}
