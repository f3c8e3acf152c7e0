use idiolect_core::{corpus, difference, methods};

/// What can go wrong while texts are measured and compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A figure or a statistic cannot be computed.
    #[error(transparent)]
    Metrics(#[from] idiolect_metrics::Error),
    /// The store refused.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// A method failed on one of the held-out texts.
    #[error("{method} on what {user} wrote about {item}")]
    Method {
        /// The method.
        method: &'static str,
        /// The user.
        user: String,
        /// The item.
        item: String,
        /// What went wrong.
        source: Box<methods::Error>,
    },
    /// Stopped on request.
    #[error("stopped; what was done is kept, and the same command goes on from there")]
    Stopped,
    /// A prompt, the store or the language model failed.
    #[error(transparent)]
    Difference(#[from] difference::Error),
    /// The encoder that texts are held against users with failed.
    #[error("encode texts for the swap test")]
    Encoder(#[source] Box<idiolect_core::peers::Error>),
    /// A judge answered in another form than asked. No constrained model does.
    #[error("the {stage} answered `{answer}`, expected {expected}; judge with another model")]
    Form {
        /// Which of the task's prompts.
        stage: &'static str,
        /// What can be read.
        expected: &'static str,
        /// The answer.
        answer: String,
    },
}
