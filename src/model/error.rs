use std::path::PathBuf;

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
}
