use idiolect_core::{client, corpus, difference, methods};

/// Error of an evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A metric or a statistic cannot be computed.
    #[error(transparent)]
    Metrics(#[from] idiolect_metrics::Error),
    /// A store operation failed.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// A method failed on a held-out text.
    #[error("{method} on what {user} wrote about {item}")]
    Method {
        /// The method.
        method: &'static str,
        /// The user.
        user: String,
        /// The item.
        item: String,
        /// Error of the method.
        source: Box<methods::Error>,
    },
    /// Stopped on request.
    #[error("stopped; what was done is kept, and the same command goes on from there")]
    Stopped,
    /// A call to the language model failed.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A difference or a profile failed.
    #[error(transparent)]
    Difference(#[from] difference::Error),
    /// The encoder for the swap test failed.
    #[error("encode texts for the swap test")]
    Encoder(#[source] Box<idiolect_core::peers::Error>),
    /// A judge's answer does not have the requested form. Models with constrained decoding never
    /// cause this.
    #[error("the {stage} answered `{answer}`, expected {expected}; judge with another model")]
    Form {
        /// Stage of the task whose prompt was asked.
        stage: &'static str,
        /// Form that can be parsed.
        expected: &'static str,
        /// The answer.
        answer: String,
    },
}
