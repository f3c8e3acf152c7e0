//! What sets a user's texts apart, measured in the texts or told by the language model, and the
//! profile it makes.
//!
//! Everything the model answers here and in the methods goes through [`Calls`]: a prompt is fitted,
//! its answer looked up in the store under the hash of all that makes it, and only computed if it is
//! not there.

mod calls;
mod constrained;
pub mod measured;
mod model;
mod open;
mod profile;
mod scores;
pub mod stated;
mod statement;
mod steered;
mod tell;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod verify;

pub use calls::{Answer, Call, Calls, Reuse, Tally};
pub use measured::{Measured, SentenceVectors, measure};
pub use model::{Model, OnText};
pub use open::tell_validated;
pub use profile::{Profile, summarize};
pub use scores::{ScoreCall, Scored};
pub use statement::{Evidence, PeerQuote, Source, Statement};
pub use steered::{Beside, Steered};
pub use tell::{Compared, Difference, Peers, Representing, tell};
pub use verify::{Occasion, Trial, gain, verify};

use crate::{corpus, peers, task};
use idiolect_engine::lm;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while differences and profiles are made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused.
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
    /// An answer that must have a form has another. No constrained model writes it.
    #[error("the {stage} on `{item}` was told in a form that cannot be read: {answer}")]
    Form {
        /// Which of the task's prompts.
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
