use std::path::PathBuf;

use crate::model;

/// Error of the language model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model files are invalid.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A tensor operation failed.
    #[error("language model: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The decoder does not know this architecture.
    #[error("architecture `{got}` has no decoder; those that have are {}{advice}", known.join(", "))]
    Architecture {
        /// `general.architecture` of the file.
        got: String,
        /// Known architectures.
        known: Vec<&'static str>,
        /// Why it is not supported, if that is known, and what to fetch instead.
        advice: String,
    },
    /// The metadata contradict each other, or need a feature that is not supported.
    #[error("{path}: {what}", path = path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The contradiction or the unsupported value.
        what: String,
    },
    /// A tensor is missing in the file.
    #[error("{path}: tensor `{tensor}` is missing; expected shape {expected}", path = path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape it should have, `[rows, columns]`.
        expected: String,
    },
    /// A tensor's shape differs from the one that the metadata give.
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
    /// The requested context window is not supported.
    #[error("a context of {got} tokens was asked for; this model takes from 1 to {most}")]
    Context {
        /// Requested window, tokens.
        got: usize,
        /// Window of the model, tokens.
        most: usize,
    },
    /// Prompt and `max_tokens` do not fit the context window.
    #[error(
        "prompt of {prompt} tokens and {max_tokens} to write do not fit the window of {context}"
    )]
    TooLong {
        /// Number of prompt tokens.
        prompt: usize,
        /// Number of tokens to add: to generate, to score or, in the decoder, to run.
        max_tokens: usize,
        /// The context window, tokens.
        context: usize,
    },
    /// A request needs more KV cache than the budget of the engine.
    #[error(
        "{tokens} tokens need {needed} bytes of KV cache, the budget is {budget}; shorten the \
         prompt or raise the budget with --kv-budget"
    )]
    Budget {
        /// Number of tokens of all prompts and of the text.
        tokens: usize,
        /// Bytes of KV cache that they need.
        needed: usize,
        /// The budget, bytes.
        budget: usize,
    },
    /// There is no prompt, or it is empty and the model has no BOS or EOS token to start with.
    #[error("the prompt is empty, and the model names no token to begin with; give it some text")]
    EmptyPrompt,
    /// A scoring request asks for no score.
    #[error("the request names no distribution to score the text under; give at least one")]
    NoCombination,
    /// The language model has no vocabulary that steering could use: it is remote or a stand-in.
    #[error("`{model}` does not give its vocabulary, which steering needs")]
    NoVocabulary {
        /// Its fingerprint.
        model: String,
    },
    /// A token id is outside of the model's vocabulary.
    #[error("token id {id} is not one of the model's {n_vocab}")]
    Token {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// An adapter was made for a model of other sizes.
    #[error(
        "the adapter has {got} {what}, this model takes {expected}; it was trained for another one"
    )]
    Adapter {
        /// The part that differs.
        what: &'static str,
        /// Number of these.
        got: usize,
        /// Number that the model takes.
        expected: usize,
    },
    /// An adapter holds NaN or an infinite number.
    #[error("the adapter holds a number that is not finite; train it again")]
    AdapterValue,
    /// The language model cannot run adapters: it is remote or a stand-in.
    #[error("`{model}` takes no adapter; use a model in this process")]
    NoAdapters {
        /// Its fingerprint.
        model: String,
    },
    /// A sampling setting is out of its range.
    #[error("sampling: {setting} is {got}, expected {least} to {most}")]
    Sampling {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        got: f32,
        /// Minimum.
        least: f32,
        /// Maximum.
        most: f32,
    },
    /// A constraint is invalid, or no text that satisfies it can be generated.
    #[error("constraint: {0}")]
    Constraint(String),
    /// The model's logits are no distribution.
    #[error(
        "the model gave logits that are no distribution ({what}); its weights are damaged: run \
         `idiolect models verify`"
    )]
    Logits {
        /// The invalid logit.
        what: String,
    },
    /// Recorded requests cannot be written or read.
    #[error("{operation} recorded requests {path}: {what}", path = path.display())]
    Record {
        /// `read` or `write`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        what: String,
    },
    /// A required file no longer exists.
    #[error("{path} is gone", path = .0.display())]
    Gone(PathBuf),
    /// The engine failed, its thread has ended, or it could not be started.
    #[error("language model: the engine {0}")]
    Engine(String),
    /// A language model on a server failed, or cannot do what was asked for.
    #[error("language model at {server}: {what}")]
    Remote {
        /// Address of the server.
        server: String,
        /// The cause, and what to do.
        what: String,
    },
    /// Stopped on request.
    #[error("stopped")]
    Stopped,
}
