//! Cached calls to the language model.
//!
//! Every call of differences, methods and evaluation goes through [`CachedLm`]: it fits the prompts,
//! looks the answer up in the store under the hash of everything that determines it, and calls the
//! [`Model`] only if the answer is not there. A plain call and a steered one, which combines the
//! distributions after several prompts, take the same path.

mod cached;
mod model;
mod prompts;
mod saved_prefix;
mod scores;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod watch;

pub use cached::{CachePolicy, CachedLm, LmAnswer, LmCall, Usage};
pub use idiolect_engine::lm::OnText;
pub use model::Model;
pub use prompts::{ContrastPrompts, Steered};
pub use saved_prefix::{MAX_PREFIX_BYTES, PrefixSavingLm};
pub(crate) use scores::ExpectedText;
pub use scores::{PromptedText, ScoreCall, Scored, TextTrace};
pub use watch::{Watch, WatchedToken};

use crate::{corpus, task};
use idiolect_engine::lm;

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of a call to the language model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// The task's prompts cannot be made or do not fit.
    #[error(transparent)]
    Task(#[from] task::Error),
    /// The language model failed.
    #[error(transparent)]
    Lm(#[from] lm::Error),
}
