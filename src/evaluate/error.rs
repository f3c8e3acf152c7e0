use crate::{corpus, difference, methods};

/// What can go wrong while texts are measured and compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is less to work with than the work takes.
    #[error("{operation}: got {got} {what}, expected at least {needed}")]
    TooFew {
        /// What was tried.
        operation: &'static str,
        /// Of what there is too little.
        what: &'static str,
        /// How much there is.
        got: usize,
        /// How much there must be.
        needed: usize,
    },
    /// A value that cannot be computed with.
    #[error("{operation}: the value of `{of}` is {value}, expected a finite number")]
    NotFinite {
        /// What was tried.
        operation: &'static str,
        /// Whose value it is.
        of: String,
        /// The value.
        value: f64,
    },
    /// Two vectors of users that are compared are not about the same users.
    #[error(
        "compare users: `{user}` has a value on one side only; leave the user out on both sides, \
         or measure the missing one"
    )]
    Unpaired {
        /// The user.
        user: String,
    },
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
    Encoder(#[source] Box<crate::peers::Error>),
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
