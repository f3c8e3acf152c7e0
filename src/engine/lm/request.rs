//! Requests to a language model and their answers.

use super::steering::Rule;
use super::{Chat, Constraint, CopyGuard, Ending, Sampling};

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A conversation, rendered with the model's own chat template.
    Chat(Chat),
    /// Raw text, encoded as data, after the BOS token if the model's tokenizer adds one.
    Text(String),
    /// Raw text in which control tokens are recognized. Must not contain text of users or items.
    Markup(String),
    /// Token ids, used as they are.
    Tokens(Vec<u32>),
}

/// A completion request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The prompt.
    pub prompt: Prompt,
    /// Sampling settings.
    pub sampling: Sampling,
    /// Maximum number of tokens to generate.
    pub max_tokens: usize,
    /// Texts that end the completion; they are not part of it.
    pub stop: Vec<String>,
    /// Treatment of the model's end tokens.
    pub end_token: EndToken,
    /// Form that the text must have; cannot be combined with `stop` or masked end tokens.
    pub constraint: Option<Constraint>,
}

/// Treatment of the tokens by which a model ends its turn (EOS, end of turn).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EndToken {
    /// The first end token ends the completion.
    #[default]
    Ends,
    /// End tokens are never chosen, so that `max_tokens` tokens are generated unless a stop text
    /// occurs: for measurements with a fixed length.
    Masked,
}

/// A request for one text from several prompts, whose distributions a rule combines.
pub struct SteeredRequest {
    /// The prompts; at least one.
    pub prompts: Vec<Prompt>,
    /// Rule that combines the prompts' log-probabilities, in the order of the prompts.
    pub rule: Box<dyn Rule>,
    /// Sampling settings, applied to the rule's scores. The penalties consider the first prompt.
    pub sampling: Sampling,
    /// Maximum number of tokens to generate.
    pub max_tokens: usize,
    /// Texts that end the completion; they are not part of it.
    pub stop: Vec<String>,
    /// Form that the text must have; cannot be combined with `stop`.
    pub constraint: Option<Constraint>,
    /// Blocklist of texts that the completion must not copy.
    pub guard: Option<CopyGuard>,
    /// Length prior.
    pub ending: Option<Ending>,
}

/// Reason why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended its turn, or the constraint allows no further token.
    End,
    /// A stop text occurred.
    Stop,
    /// `max_tokens` tokens were generated. A constrained text was forced to an end within them and
    /// satisfies its constraint.
    Length,
}

/// Answer to a completion request.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Completion {
    /// The text, without the stop text.
    pub text: String,
    /// Number of prompt tokens, of all prompts together.
    pub prompt_tokens: usize,
    /// Number of generated tokens, without the end token.
    pub completion_tokens: usize,
    /// Reason why it ended.
    pub finish: Finish,
}

/// Log-probabilities of a given text.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Tokens of the continuation.
    pub tokens: Vec<u32>,
    /// Natural logarithm of each token's probability given all tokens before it; as long as
    /// `tokens`.
    pub logprobs: Vec<f32>,
}

impl Score {
    /// Natural logarithm of the whole text's probability.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.logprobs.iter().map(|logprob| f64::from(*logprob)).sum()
    }

    /// Mean number of bits per token; `None` for an empty text.
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
