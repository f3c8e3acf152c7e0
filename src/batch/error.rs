//! The error of writing shards.

use std::path::PathBuf;

use idiolect_core::{corpus, methods};
use idiolect_engine::lm;

/// Error of exporting or writing a shard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed, or rows of the shard cannot be imported.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// A Parquet file failed.
    #[error(transparent)]
    Table(#[from] idiolect_tables::Error),
    /// A text failed for a reason that is not its target's.
    #[error(transparent)]
    Method(Box<methods::Error>),
    /// The language model failed.
    #[error(transparent)]
    Lm(#[from] lm::Error),
    /// A file or folder failed.
    #[error("{operation} {path}", path = path.display())]
    File {
        /// `read`, `create`, ...
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A part of a shard is missing.
    #[error("{folder} has no `{part}.parquet` and no folder `{part}`", folder = folder.display())]
    MissingPart {
        /// The shard.
        folder: PathBuf,
        /// `targets` or `reviews`.
        part: &'static str,
    },
    /// A row of targets is malformed.
    #[error("target {row} of {path}: {what}", path = path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// Number of the row, from 1.
        row: usize,
        /// Its fault.
        what: String,
    },
    /// The background was counted with another vocabulary, or is no background.
    #[error("background {path}: {what}", path = path.display())]
    Background {
        /// The file.
        path: PathBuf,
        /// The cause, and what to do.
        what: String,
    },
    /// Files with vectors of users are malformed.
    #[error("vectors {path}: {what}; write them with `idiolect export --vectors`", path = path.display())]
    Vectors {
        /// The file or folder.
        path: PathBuf,
        /// Its fault.
        what: String,
    },
    /// Stopped on request.
    #[error("stopped; nothing was written")]
    Stopped,
}

impl From<methods::Error> for Error {
    fn from(error: methods::Error) -> Self {
        Self::Method(Box::new(error))
    }
}
