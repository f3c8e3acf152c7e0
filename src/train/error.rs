use idiolect_core::{corpus, methods};
use idiolect_engine::{encoder, lm};

/// Error of training, or of what was trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A store operation failed.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// The language model could not read a text.
    #[error("read texts with the language model")]
    Method(#[source] Box<methods::Error>),
    /// The language model's file cannot be read.
    #[error(transparent)]
    Lm(#[from] lm::Error),
    /// A statistic cannot be computed.
    #[error(transparent)]
    Metrics(#[from] idiolect_metrics::Error),
    /// The sentence encoder failed.
    #[error(transparent)]
    Embedding(#[from] encoder::Error),
    /// A trained part reads the vectors of another sentence encoder.
    #[error(
        "what was trained reads vectors of the encoder `{expected}`, got {got}; take that encoder, or \
         train again"
    )]
    Encoder {
        /// Stamp of the encoder that was given, or that none was.
        got: String,
        /// Stamp of the one that it was trained with.
        expected: String,
    },
    /// A tensor operation failed.
    #[error("compute with the net")]
    Tensor(#[from] candle_core::Error),
    /// There are too few texts or users.
    #[error(
        "{operation}: got {got} {what}, needs at least {needed}; import more texts on the same items"
    )]
    TooLittle {
        /// The operation.
        operation: &'static str,
        /// The things that are counted.
        what: &'static str,
        /// Their number.
        got: usize,
        /// Least number.
        needed: usize,
    },
    /// The loss is no number.
    #[error("the loss of step {step} is {loss}, expected a finite number; lower the learning rate")]
    Diverged {
        /// The step, from 0.
        step: u64,
        /// The loss.
        loss: f32,
    },
    /// A stored value is not what this version writes.
    #[error("read the stored {what}: {got}, expected {expected}; train it again")]
    Stored {
        /// The value.
        what: &'static str,
        /// Its number or form.
        got: String,
        /// The expected one.
        expected: String,
    },
    /// A file cannot be read.
    #[error("read {}, line {line}: {what}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Number of the line, from 1; 0 for the file as a whole.
        line: usize,
        /// The reason.
        what: String,
    },
    /// Stopped on request.
    #[error("stopped; the same command goes on from the last checkpoint")]
    Stopped,
}

impl From<methods::Error> for Error {
    fn from(error: methods::Error) -> Self {
        Self::Method(Box::new(error))
    }
}
