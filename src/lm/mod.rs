//! A language model that runs: decoder, cache, engine, sampling, scoring.

use std::path::PathBuf;

pub use crate::model::chat::{Chat, Message, Role};
use crate::model::{self, LmFiles};

mod sampling;

pub use sampling::Sampling;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the language model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The files are wrong.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A tensor operation failed.
    #[error("language model: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A prompt does not fit the window.
    #[error(
        "prompt of {prompt} tokens and {max_tokens} to write do not fit the window of {context}"
    )]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens asked for.
        max_tokens: usize,
        /// The model's window.
        context: usize,
    },
    /// A file that was needed is not where it was.
    #[error("{path} is gone", path = .0.display())]
    Gone(PathBuf),
    /// Stopped on request.
    #[error("stopped")]
    Stopped,
}

/// What the model is asked to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A conversation, rendered by the model's own template.
    Chat(Chat),
    /// Raw text, encoded as data behind the model's BOS.
    Text(String),
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
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended its turn.
    End,
    /// A stop text was met.
    Stop,
    /// `max_tokens` were written.
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
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Tokens of the continuation.
    pub tokens: Vec<u32>,
    /// Natural logarithm of each token's probability given all before it; as long as `tokens`.
    pub logprobs: Vec<f32>,
}

/// Handle of a running language model; cheap to clone, usable from many threads.
#[derive(Clone)]
pub struct Lm {}

/// How a model is loaded.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where it runs.
    pub device: candle_core::Device,
    /// Worker threads on the CPU; 0 means one a core.
    pub threads: usize,
    /// Longest sequence, prompt and completion together; `None` takes the model's own.
    pub context: Option<usize>,
}

#[allow(unused_variables, clippy::unused_async)]
impl Lm {
    /// Loads the weights and starts the engine.
    pub fn load(files: &LmFiles, options: &LoadOptions) -> Result<Self> {
        todo!()
    }
    /// Catalog name or file stem.
    #[must_use]
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Hash of weights, tokenizer and template: whatever makes the same request give other bytes.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        todo!()
    }
    /// Longest sequence in tokens.
    #[must_use]
    pub fn context(&self) -> usize {
        todo!()
    }
    /// Number of tokens of a prompt.
    pub fn count(&self, prompt: &Prompt) -> Result<usize> {
        todo!()
    }
    /// Number of tokens of a text as it would stand inside a prompt.
    pub fn count_text(&self, text: &str) -> Result<usize> {
        todo!()
    }
    /// Token ids of a text encoded as data.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        todo!()
    }
    /// Completes a prompt. Dropping the future cancels it.
    pub async fn complete(&self, request: Request) -> Result<Completion> {
        todo!()
    }
    /// As [`Lm::complete`]; `on_text` gets whole UTF-8 pieces as they come, on the engine's thread.
    pub async fn complete_streamed(
        &self,
        request: Request,
        on_text: impl FnMut(&str) + Send + 'static,
    ) -> Result<Completion> {
        todo!()
    }
    /// Log-probability of every token of `continuation` after `prompt`.
    pub async fn score(&self, prompt: Prompt, continuation: String) -> Result<Score> {
        todo!()
    }
}
