use std::path::PathBuf;

use crate::model;

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
    /// The decoder does not know this architecture.
    #[error("unknown architecture `{got}`; known are {}", known.join(", "))]
    Architecture {
        /// `general.architecture` of the file.
        got: String,
        /// What is known.
        known: &'static [&'static str],
    },
    /// The metadata contradict each other, or ask for what is not carried.
    #[error("{path}: {what}", path = path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was got and what was expected.
        what: String,
    },
    /// A tensor is not in the file.
    #[error("{path}: tensor `{tensor}` is missing; expected shape {expected}", path = path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape it should have, `[rows, columns]`.
        expected: String,
    },
    /// A tensor has another shape than the metadata promise.
    #[error("{path}: tensor `{tensor}` has shape {got:?}, expected {expected}", path = path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape, `[rows, columns]`.
        got: Vec<usize>,
        /// The shape it should have.
        expected: String,
    },
    /// The window that was asked for cannot be had.
    #[error("a context of {got} tokens was asked for; this model takes from 1 to {most}")]
    Context {
        /// What was asked for.
        got: usize,
        /// The model's own.
        most: usize,
    },
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
    /// A request needs more memory than its engine may take.
    #[error(
        "{tokens} tokens need {needed} bytes of KV cache, the budget is {budget}; shorten the \
         prompt or raise the budget with --kv-budget"
    )]
    Budget {
        /// Tokens of all prompts and of what is to be written.
        tokens: usize,
        /// Bytes that they need.
        needed: usize,
        /// Bytes there may be.
        budget: usize,
    },
    /// There is nothing to go on from.
    #[error("the prompt is empty, and the model names no token to begin with; give it some text")]
    EmptyPrompt,
    /// Nothing says how several distributions become one.
    #[error("no rule was given to score the text under; give at least one")]
    NoRules,
    /// A stand-in for a language model has one verb less.
    #[error("`{model}` cannot combine what several prompts say")]
    NotSteered {
        /// Its fingerprint.
        model: String,
    },
    /// A token id is not one of the model's.
    #[error("token id {id} is not one of the model's {n_vocab}")]
    Token {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        n_vocab: usize,
    },
    /// A sampling setting is out of its range.
    #[error("sampling: {setting} is {got}, expected {least} to {most}")]
    Sampling {
        /// Name of the setting.
        setting: &'static str,
        /// What it is.
        got: f32,
        /// Least it may be.
        least: f32,
        /// Most it may be.
        most: f32,
    },
    /// A constraint is wrong, or no text that it allows can be written.
    #[error("constraint: {0}")]
    Constraint(String),
    /// The model computed something that is no distribution.
    #[error(
        "the model gave logits that are no distribution ({what}); its weights are damaged: run \
         `idiolect models verify`"
    )]
    Logits {
        /// What is wrong with them.
        what: String,
    },
    /// Recorded requests cannot be written or read.
    #[error("{operation} recorded requests {path}: {what}", path = path.display())]
    Record {
        /// `read` or `write`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        what: String,
    },
    /// A file that was needed is not where it was.
    #[error("{path} is gone", path = .0.display())]
    Gone(PathBuf),
    /// The engine's thread is not there any more, or could not be started.
    #[error("language model: the engine {0}")]
    Engine(String),
    /// Stopped on request.
    #[error("stopped")]
    Stopped,
}
