use std::path::PathBuf;

use super::catalog::Kind;

/// What can go wrong between a model's name and its weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, e.g. "read".
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A model file is not what its format promises.
    #[error("{path}: {what}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was got and what was expected.
        what: String,
    },
    /// The tokenizer cannot be built or refused a text.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The chat template cannot be rendered.
    #[error("chat template: {0}")]
    Chat(String),
    /// A catalog entry is not valid.
    #[error("catalog entry {origin}: {what}")]
    Entry {
        /// The entry's file.
        origin: String,
        /// What is wrong with it.
        what: String,
    },
    /// The catalog has no model of this name, and no file has it.
    #[error(
        "no model is named `{name}`{near}; `idiolect models list` shows all, and a path names any other"
    )]
    Unknown {
        /// The name asked for.
        name: String,
        /// Like ", did you mean `x` or `y`"; empty when nothing is near.
        near: String,
    },
    /// The name is that of another kind of model.
    #[error("`{name}` is {got}, expected {expected}")]
    WrongKind {
        /// The name asked for.
        name: String,
        /// What the catalog says it is.
        got: Kind,
        /// What was needed.
        expected: Kind,
    },
    /// The model's files are not on this machine.
    #[error("`{name}` is not on this machine: run `idiolect models fetch {name}`{size}{instead}")]
    NotFetched {
        /// The model.
        name: String,
        /// Like " (1118 MB)"; empty if the size is not known.
        size: String,
        /// Like ", or ..."; empty if there is no other way.
        instead: String,
    },
    /// A file is not the one the catalog, or the first fetch, names.
    #[error("{path}: wrong SHA-256: {what}", path = path.display())]
    WrongHash {
        /// The file, or what it would have become.
        path: PathBuf,
        /// What was got, what was expected, and what to do.
        what: String,
    },
    /// A source of a model failed; the next one is tried.
    #[error("{0}")]
    Source(String),
    /// No source of a model could give its files.
    #[error("`{name}` could not be fetched:{}", list(reasons))]
    Fetch {
        /// The model.
        name: String,
        /// Each source with its reason.
        reasons: Vec<String>,
    },
    /// The device cannot be used.
    #[error("device `{name}`: {what}")]
    Device {
        /// The device asked for.
        name: String,
        /// Why not, and what to do.
        what: String,
    },
    /// Stopped on request.
    #[error("stopped")]
    Stopped,
}

impl Error {
    /// A file with another hash than the catalog or the record says.
    pub(crate) fn wrong_hash(path: PathBuf, got: &str, expected: &str, remedy: &str) -> Self {
        Self::WrongHash { path, what: format!("got {got}, expected {expected}; {remedy}") }
    }
}

fn list(reasons: &[String]) -> String {
    reasons.iter().map(|reason| format!("\n  {reason}")).collect()
}
