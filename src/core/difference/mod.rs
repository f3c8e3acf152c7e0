//! Differences between a user's texts and those of others, measured in the texts or extracted by
//! the language model, and the profile made from them.
//!
//! Every call to the language model goes through [`CachedLm`](crate::client::CachedLm).

mod constrained;
mod drp;
mod extract;
pub mod measured;
mod profile;
mod stages;
mod statement;
pub mod statements;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod validation;

pub use drp::extract_validated;
pub use extract::{Compared, Difference, Peers, Representing, extract_difference};
pub use measured::{FeatureUnit, MeasuredDifferences, SentenceVectors, measure};
pub use profile::{Profile, summarize};
pub use stages::{DIFFERENCE, DRP_DIFFERENCE, DRP_VALIDATION, STAGES, SUMMARY};
pub use statement::{ComparedMeans, Evidence, PeerQuote, Statement, StatementSource};
pub use validation::{HeldOutExample, ValidationSettings, gain, validate};

use crate::{client, corpus, peers, task};

/// Settings of the answers that make differences and profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerSettings {
    /// Seed of the answers.
    pub seed: u64,
    /// Maximum number of tokens of each answer; `None` takes the task's limit.
    pub max_tokens: Option<usize>,
}

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors that can occur while differences and profiles are made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// No representatives could be chosen.
    #[error(transparent)]
    Peers(#[from] peers::Error),
    /// The task's prompts cannot be made or do not fit.
    #[error(transparent)]
    Task(#[from] task::Error),
    /// A call to the language model failed.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// An answer lacks the form that it must have. No constrained model writes such an answer.
    #[error("the {stage} on `{item}` has a form that cannot be read: {answer}")]
    Form {
        /// Stage of the task whose prompt was answered.
        stage: &'static str,
        /// The item.
        item: String,
        /// The beginning of the answer.
        answer: String,
    },
    /// Stopped on request.
    #[error("stopped; what was done is kept")]
    Stopped,
}
