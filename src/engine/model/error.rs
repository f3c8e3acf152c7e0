use std::path::PathBuf;

use super::ModelKind;

/// Error of finding, fetching or reading a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{operation} {path}: {source}", path = path.display())]
    Io {
        /// The operation, e.g. "read".
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A model file violates its format.
    #[error("{path}: {what}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The value found and the expected one.
        what: String,
    },
    /// The tokenizer cannot be built, or failed on a text.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The chat template cannot be rendered.
    #[error("chat template: {0}")]
    Chat(String),
    /// The model has no chat template: it is a base model.
    #[error("chat template: {0}")]
    NoTemplate(String),
    /// A catalog entry is not valid.
    #[error("catalog entry {origin}: {what}")]
    Entry {
        /// The entry's file.
        origin: String,
        /// The problem.
        what: String,
    },
    /// The catalog has no model of this name, and there is no such file.
    #[error(
        "no model is named `{name}`{near}; `idiolect models list` shows all, and a path names any other"
    )]
    Unknown {
        /// The requested name.
        name: String,
        /// For example ", did you mean `x` or `y`"; empty if no name is similar.
        near: String,
    },
    /// The model of this name is of another kind.
    #[error("`{name}` is {got}, expected {expected}")]
    WrongKind {
        /// The requested name.
        name: String,
        /// Kind of the model in the catalog.
        got: ModelKind,
        /// Required kind.
        expected: ModelKind,
    },
    /// The model's files are not on this machine.
    #[error("`{name}` is not on this machine: run `idiolect models fetch {name}`{size}{instead}")]
    NotFetched {
        /// The model.
        name: String,
        /// For example " (1118 MB)"; empty if the size is not known.
        size: String,
        /// An alternative, like ", or ..."; empty if there is none.
        instead: String,
    },
    /// The hash of a file differs from that in the catalog or of the first fetch.
    #[error("{path}: wrong SHA-256: {what}", path = path.display())]
    WrongHash {
        /// The file, or the path it was to be written to.
        path: PathBuf,
        /// The hash found, the expected hash and what to do.
        what: String,
    },
    /// A source of a model failed. The next source is tried.
    #[error("{0}")]
    Source(String),
    /// No source of a model provided its files.
    #[error("`{name}` could not be fetched:{}", list(reasons))]
    Fetch {
        /// The model.
        name: String,
        /// Each source, with the reason it failed.
        reasons: Vec<String>,
    },
    /// The device cannot be used.
    #[error("device `{name}`: {what}")]
    Device {
        /// The requested device.
        name: String,
        /// The reason, and what to do.
        what: String,
    },
    /// The operation was stopped on request.
    #[error("stopped")]
    Stopped,
}

impl Error {
    /// Creates the error for a file whose hash differs from that in the catalog or the record.
    pub(crate) fn wrong_hash(path: PathBuf, got: &str, expected: &str, remedy: &str) -> Self {
        Self::WrongHash { path, what: format!("got {got}, expected {expected}; {remedy}") }
    }
}

fn list(reasons: &[String]) -> String {
    reasons.iter().map(|reason| format!("\n  {reason}")).collect()
}
