//! Requests to a language model and their answers.

use std::sync::Arc;

use super::{
    Adapter, Chat, CombineLogits, Constraint, Finish, MaskLogits, ObserveLogits, OnToken,
    ReusedTokens, Sampling, TokenLogprob,
};

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A conversation, rendered with the model's own chat template.
    Chat(Chat),
    /// Raw text, encoded as data, after the BOS token if the model's tokenizer adds one.
    Text(String),
    /// Raw text in which control tokens are recognized. Must not contain text of users or items.
    Raw(String),
    /// Token ids, used as they are.
    Tokens(Vec<u32>),
}

/// A generation request: one text after one or several prompts.
pub struct Request {
    /// The prompts, at least one. Each generated token is appended to all of them.
    pub prompts: Vec<Prompt>,
    /// Changes of the model for all prompts. Its soft tokens stand before each and count as tokens of it.
    pub adapter: Option<Arc<Adapter>>,
    /// Combines the distributions after the prompts; `None` uses the one after the first prompt.
    pub combine: Option<Box<dyn CombineLogits>>,
    /// Forbids tokens at each step.
    pub mask: Option<Box<dyn MaskLogits>>,
    /// Sampling settings. The penalties consider the first prompt.
    pub sampling: Sampling,
    /// Maximum number of tokens to generate.
    pub max_tokens: usize,
    /// Texts that end the completion; they are not part of it.
    pub stop: Vec<String>,
    /// Treatment of the model's end tokens.
    pub eos: Eos,
    /// Form that the text must have; cannot be combined with `stop` or ignored end tokens.
    pub constraint: Option<Constraint>,
    /// Receives each new piece of text on an engine thread, valid UTF-8; the pieces concatenated
    /// are the completion's text.
    pub on_text: Option<OnText>,
    /// Asks for the tokens of the text with their log-probabilities, each with this number of
    /// likeliest tokens; `None` leaves [`Completion::tokens`] empty.
    pub logprobs: Option<usize>,
    /// Receives each token on an engine thread, before its text, if `logprobs` asks for them.
    pub on_token: Option<OnToken>,
    /// Shows the distributions from which the tokens are chosen, and those after further prompts.
    pub observe: Option<Observe>,
    /// Counts the prompt tokens that are reused.
    pub reused: ReusedTokens,
    /// Requests of the same value have prompts that begin alike. A model on several servers answers
    /// them on the same one; the answer does not depend on it.
    pub affinity: u64,
}

/// Prompts whose distributions are only shown while a text is generated.
pub struct Observe {
    /// The prompts, any number. Each generated token is appended to them; they have no part in its
    /// choice, have no adapter, and are not counted in [`Completion::prompt_tokens`]. If they do not fit the context window, or the KV
    /// budget beside the request's own prompts, the text is generated without them and nothing is
    /// shown.
    pub prompts: Vec<Prompt>,
    /// Receives the distributions.
    pub receiver: Box<dyn ObserveLogits>,
}

/// Receiver of a text in pieces as it is generated.
pub type OnText = Box<dyn FnMut(&str) + Send>;

impl Request {
    /// A request for up to `max_tokens` of the most likely tokens after a prompt.
    #[must_use]
    pub fn new(prompt: Prompt, max_tokens: usize) -> Self {
        Self {
            prompts: vec![prompt],
            adapter: None,
            combine: None,
            mask: None,
            sampling: Sampling::default(),
            max_tokens,
            stop: Vec::new(),
            eos: Eos::Stop,
            constraint: None,
            on_text: None,
            logprobs: None,
            on_token: None,
            observe: None,
            reused: ReusedTokens::default(),
            affinity: 0,
        }
    }
}

/// A scoring request: a given text after one or several prompts.
pub struct ScoreRequest {
    /// The prompts, at least one; they are run once.
    pub prompts: Vec<Prompt>,
    /// As [`Request::adapter`].
    pub adapter: Option<Arc<Adapter>>,
    /// One score each. A combination of the distributions after the prompts; `None` is the
    /// distribution after the first prompt.
    pub combine: Vec<Option<Box<dyn CombineLogits>>>,
    /// The text. Prompt and text are tokenized separately.
    pub continuation: TextToScore,
    /// Asks for the likeliest tokens and the rank of each token of the text, with this number of
    /// likeliest tokens; `None` leaves [`Score::details`] empty.
    pub top: Option<usize>,
    /// Counts the prompt tokens that are reused.
    pub reused: ReusedTokens,
    /// As [`Request::affinity`].
    pub affinity: u64,
}

/// A text to score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextToScore {
    /// Text, encoded as data.
    Text(String),
    /// Token ids, used as they are.
    Tokens(Vec<u32>),
}

impl From<String> for TextToScore {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for TextToScore {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl ScoreRequest {
    /// A request for one score: of a text after a prompt.
    #[must_use]
    pub fn new(prompt: Prompt, continuation: impl Into<TextToScore>) -> Self {
        Self {
            prompts: vec![prompt],
            adapter: None,
            combine: vec![None],
            continuation: continuation.into(),
            top: None,
            reused: ReusedTokens::default(),
            affinity: 0,
        }
    }

    /// A request for the scores of all tokens but the first, and the number of scores that precede those of
    /// the text. The scores do not depend on where the prompt ends.
    #[must_use]
    pub fn from_first_token(prompt: &[u32], text: &[u32]) -> (Self, usize) {
        let (first, others) = prompt.split_at(prompt.len().min(1));
        let scored = TextToScore::Tokens([others, text].concat());
        (Self::new(Prompt::Tokens(first.to_vec()), scored), others.len())
    }
}

/// Treatment of the tokens by which a model ends its turn (EOS, end of turn).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eos {
    /// The first end token ends the completion.
    #[default]
    Stop,
    /// End tokens are never chosen, so that `max_tokens` tokens are generated unless a stop text
    /// occurs: for measurements with a fixed length.
    Ignore,
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
    /// The generated tokens, those of a stop text too, without the end token; empty unless
    /// [`Request::logprobs`] asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenLogprob>,
}

/// Log-probabilities of a given text.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Tokens of the continuation.
    pub tokens: Vec<u32>,
    /// Natural logarithm of each token's probability given all tokens before it; as long as
    /// `tokens`.
    pub logprobs: Vec<f32>,
    /// Each token with its rank and the likeliest tokens, as long as `tokens`; empty unless
    /// [`ScoreRequest::top`] asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<TokenLogprob>,
}

impl Score {
    /// The scores after the first `n` tokens.
    #[must_use]
    pub fn after(mut self, n: usize) -> Self {
        self.tokens.drain(..n.min(self.tokens.len()));
        self.logprobs.drain(..n.min(self.logprobs.len()));
        self.details.drain(..n.min(self.details.len()));
        self
    }

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
