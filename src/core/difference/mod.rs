//! Differences between a user's texts and those of others, measured in the texts or extracted by
//! the language model, and the profile made from them.
//!
//! Every call to the language model here and in the methods goes through [`CachedLm`]: it fits the
//! prompt, looks the answer up in the store under the hash of everything that determines it, and
//! calls the model only if the answer is not there.

mod calls;
mod constrained;
pub mod measured;
mod model;
mod open;
mod profile;
mod scores;
mod stages;
pub mod stated;
mod statement;
mod steered;
mod tell;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod verify;

pub use calls::{CachePolicy, CachedLm, LmAnswer, LmCall, Usage};
pub use measured::{Measured, SentenceVectors, measure};
pub use model::{Model, OnText};
pub use open::tell_validated;
pub use profile::{Profile, summarize};
pub use scores::{ScoreCall, Scored};
pub use stages::{DIFFERENCE, DRP_DIFFERENCE, DRP_VALIDATION, STAGES, SUMMARY};
pub use statement::{Evidence, PeerQuote, Source, Statement};
pub use steered::{ContrastPrompts, Steered};
pub use tell::{Compared, Difference, Peers, Representing, tell};
pub use verify::{Occasion, Trial, gain, verify};

use crate::{corpus, peers, task};
use idiolect_engine::lm;

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
    /// The language model failed.
    #[error(transparent)]
    Lm(#[from] lm::Error),
    /// An answer lacks the form that it must have. No constrained model writes such an answer.
    #[error("the {stage} on `{item}` was told in a form that cannot be read: {answer}")]
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
