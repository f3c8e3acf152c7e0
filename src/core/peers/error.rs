use std::path::PathBuf;

use crate::corpus;
use idiolect_engine::encoder;

/// Errors of this module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store returned an error.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] encoder::Error),
    /// Stopped on request; completed work is kept.
    #[error("stopped; what was done is kept")]
    Stopped,
    /// Too many reviews have no vector to compute them on demand.
    #[error(
        "{missing} reviews have no vector of the encoder `{encoder}` yet; make them with \
         `idiolect index`"
    )]
    NotEmbedded {
        /// Number of reviews without a vector.
        missing: usize,
        /// The encoder.
        encoder: String,
    },
    /// The store has no index.
    #[error("there is no index at {path}; make one with `idiolect index`", path = path.display())]
    NoIndex {
        /// The path of the missing index.
        path: PathBuf,
    },
    /// The index does not match the encoder, the reviews or the program version.
    #[error(
        "index {path}: its {what} is {got}, expected {expected}; bring it up to date with \
         `idiolect index`",
        path = path.display()
    )]
    IndexMismatch {
        /// Folder of the index.
        path: PathBuf,
        /// The property that differs.
        what: &'static str,
        /// Its value in the index.
        got: String,
        /// Its current value.
        expected: String,
    },
    /// Embeddings that were computed elsewhere do not fit the store.
    #[error(
        "the vectors do not fit: {what}; write them again with `idiolect export --vectors` from a store \
         with the same reviews"
    )]
    BadEmbeddings {
        /// The part that does not fit.
        what: String,
    },
    /// A file of the index is damaged.
    #[error("index {path}: {what}; make it anew with `idiolect index`", path = path.display())]
    IndexDamaged {
        /// The file.
        path: PathBuf,
        /// The value found and the expected one.
        what: String,
    },
    /// A file of the index could not be read or written.
    #[error("{operation} {path}: {source}", path = path.display())]
    Io {
        /// The operation, e.g. "read".
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Another process is building the index.
    #[error("another `idiolect index` is at work on {path}; wait for it", path = path.display())]
    Busy {
        /// Folder of the index.
        path: PathBuf,
    },
    /// Reviews were added or deleted while the index was made; nothing of it is kept.
    #[error(
        "the reviews changed while the index {path} was made; make it again with `idiolect index`",
        path = path.display()
    )]
    ChangedMeanwhile {
        /// Folder of the index.
        path: PathBuf,
    },
    /// The users cannot be laid out in the plane.
    #[error("lay out the users: {what}")]
    Layout {
        /// The cause.
        what: String,
    },
    /// The store is in memory, so it has no folder for an index.
    #[error("a store in memory has no folder for an index; open one from a file")]
    NoFolder,
    /// The query vector does not fit the index: wrong dimension, not finite, or of length 0.
    #[error("search in the index: the query {what}")]
    BadQuery {
        /// The value found and the expected one.
        what: String,
    },
}
