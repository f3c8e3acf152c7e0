use std::path::PathBuf;

use idiolect_engine::lm;

/// What can go wrong with a task file and its prompts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a built-in task nor a file.
    #[error(
        "task `{name}` is neither built in ({known}) nor a file that can be read: {source}",
        known = .known.join(", ")
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The built-in tasks.
        known: Vec<&'static str>,
        /// Why the file cannot be read.
        source: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error("task file {file}, line {line}, {field}: {message}", file = .file.display())]
    Wrong {
        /// The file, or the name of a built-in task.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Path of the field, e.g. `stages.summary.user`.
        field: String,
        /// What was found and what is expected.
        message: String,
    },
    /// The file has no prompt for a stage that a method needs.
    #[error(
        "task `{task}` has no prompt for stage `{stage}`; add `[stages.{stage}]` to its file, or \
         use another method"
    )]
    NoStage {
        /// The task.
        task: String,
        /// The stage.
        stage: &'static str,
    },
    /// A dimension to leave out that the standard does not have.
    #[error(
        "the standard of task `{task}` has no dimension `{key}`; it has {known}",
        known = .known.join(", ")
    )]
    NoDimension {
        /// The task.
        task: String,
        /// What was asked for.
        key: String,
        /// The keys there are.
        known: Vec<String>,
    },
    /// Every dimension was to be left out.
    #[error(
        "all dimensions of task `{task}` ({known}) are to be left out, but differences need at \
         least one; to do without differences ask for that",
        known = .known.join(", ")
    )]
    EmptyStandard {
        /// The task.
        task: String,
        /// The keys there are.
        known: Vec<String>,
    },
    /// A template failed on real fields.
    #[error("task `{task}`, prompt of stage `{stage}`: {message}")]
    Render {
        /// The task.
        task: String,
        /// The stage.
        stage: &'static str,
        /// What the template engine says.
        message: String,
    },
    /// A template of a statement failed on real figures.
    #[error("task `{task}`, statement `{measure:?}`: {message}")]
    Statement {
        /// The task.
        task: String,
        /// What was measured.
        measure: super::Measure,
        /// What the template engine says.
        message: String,
    },
    /// Even with everything cut that may be cut, the prompt is too long.
    #[error(
        "prompt of stage `{stage}` has {prompt} tokens after every cut that the task allows; with \
         {max_tokens} to write it exceeds the window of {context}; use a model with a longer \
         window, or ask for fewer tokens or fewer past texts"
    )]
    TooSmall {
        /// The stage.
        stage: &'static str,
        /// Tokens of the shortest prompt.
        prompt: usize,
        /// Tokens to write.
        max_tokens: usize,
        /// The model's window.
        context: usize,
    },
    /// The language model could not count tokens.
    #[error(transparent)]
    Lm(#[from] lm::Error),
}
