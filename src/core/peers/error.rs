use std::path::PathBuf;

use crate::corpus;
use idiolect_engine::encoder;

/// What can go wrong among peers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] encoder::Error),
    /// Stopped on request; what was done is kept.
    #[error("stopped; what was done is kept")]
    Stopped,
    /// Too many reviews have no vector for it to be made in passing.
    #[error(
        "{missing} reviews have no vector of the encoder `{encoder}` yet; make them with \
         `idiolect index`"
    )]
    NotEmbedded {
        /// Reviews without a vector.
        missing: usize,
        /// The encoder.
        encoder: String,
    },
    /// There is no index.
    #[error("there is no index at {path}; make one with `idiolect index`", path = path.display())]
    NoIndex {
        /// Where it would be.
        path: PathBuf,
    },
    /// The index was made from something else than what is there now.
    #[error(
        "index {path}: its {what} is {got}, expected {expected}; bring it up to date with \
         `idiolect index`",
        path = path.display()
    )]
    IndexMismatch {
        /// Folder of the index.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the index says.
        got: String,
        /// What is there.
        expected: String,
    },
    /// A file of the index is not what was written.
    #[error("index {path}: {what}; make it anew with `idiolect index`", path = path.display())]
    IndexDamaged {
        /// The file.
        path: PathBuf,
        /// What was got and what was expected.
        what: String,
    },
    /// A file of the index could not be read or written.
    #[error("{operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, e.g. "read".
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Another process is making the index.
    #[error("another `idiolect index` is at work on {path}; wait for it", path = path.display())]
    Busy {
        /// Folder of the index.
        path: PathBuf,
    },
    /// The store lies in memory, so nothing can lie next to it.
    #[error("a store in memory has no folder for an index; open one from a file")]
    NoFolder,
    /// A vector to search for is no direction of the index's space.
    #[error("search in the index: the query {what}")]
    BadQuery {
        /// What was got and what was expected.
        what: String,
    },
}
