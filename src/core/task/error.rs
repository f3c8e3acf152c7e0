use std::ops::Range;
use std::path::PathBuf;

use idiolect_engine::lm;

/// Byte range, field and message of a mistake in a task file.
pub(super) type Mistake = (Range<usize>, String, String);

/// Errors of task files and prompts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is neither a built-in task nor a readable file or folder.
    #[error(
        "task `{name}` is neither built in ({known}) nor a file or folder that can be read: \
         {source}",
        known = .known.join(", ")
    )]
    Unknown {
        /// The requested name.
        name: String,
        /// The built-in tasks.
        known: Vec<&'static str>,
        /// The reason why the file cannot be read.
        source: std::io::Error,
    },
    /// The file has an invalid value.
    #[error("task file {file}, line {line}, {field}: {message}", file = .file.display())]
    Wrong {
        /// The file, or the name of a built-in task.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Path of the field, e.g. `stages.summary.user`.
        field: String,
        /// The value found and the expected one.
        message: String,
    },
    /// The file has no prompt for a stage that a method needs.
    #[error(
        "task `{task}` has no prompt for stage `{stage}`; add `{stage}.toml` to its folder or \
         `[stages.{stage}]` to its file, or use another method"
    )]
    NoStage {
        /// The task.
        task: String,
        /// The stage.
        stage: &'static str,
    },
    /// The standard does not have a dimension to be left out.
    #[error(
        "the standard of task `{task}` has no dimension `{key}`; it has {known}",
        known = .known.join(", ")
    )]
    NoDimension {
        /// The task.
        task: String,
        /// The requested key.
        key: String,
        /// Keys of the standard.
        known: Vec<String>,
    },
    /// No dimension would remain.
    #[error(
        "all dimensions of task `{task}` ({known}) are to be left out, but differences need at \
         least one; to do without differences ask for that",
        known = .known.join(", ")
    )]
    EmptyStandard {
        /// The task.
        task: String,
        /// Keys of the standard.
        known: Vec<String>,
    },
    /// A prompt template failed when rendered.
    #[error("task `{task}`, prompt of stage `{stage}`: {message}")]
    Render {
        /// The task.
        task: String,
        /// The stage.
        stage: &'static str,
        /// Message of the template engine.
        message: String,
    },
    /// A statement template failed when rendered.
    #[error("task `{task}`, statement `{measure:?}`: {message}")]
    Statement {
        /// The task.
        task: String,
        /// The measure of the statement.
        measure: super::Measure,
        /// Message of the template engine.
        message: String,
    },
    /// The prompt is too long even after all cuts that the task allows.
    #[error(
        "prompt of stage `{stage}` has {prompt} tokens after every cut that the task allows; with \
         {max_tokens} to write it exceeds the window of {context}; use a model with a longer \
         window, or ask for fewer tokens or fewer past texts"
    )]
    TooSmall {
        /// The stage.
        stage: &'static str,
        /// Number of tokens of the shortest prompt.
        prompt: usize,
        /// Number of tokens to generate.
        max_tokens: usize,
        /// The model's window, in tokens.
        context: usize,
    },
    /// The prompt is a conversation, and the model has no chat template.
    #[error(
        "the prompt of stage `{stage}` is a conversation: {source}. A base model can continue a \
         document of past texts: methods scp and idiolect with `--form completion`"
    )]
    NoTemplate {
        /// The stage.
        stage: &'static str,
        /// The error of the model.
        source: Box<lm::Error>,
    },
    /// The language model could not count tokens.
    #[error(transparent)]
    Lm(#[from] lm::Error),
}
