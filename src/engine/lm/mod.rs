//! Language model engine: decoder, KV cache, scheduler, sampling and scoring.
//!
//! [`Lm`] is a handle of an engine that runs on its own thread. It has three kinds of request:
//! `complete` generates text after a prompt, `score` computes the log-probabilities of a given text
//! after a prompt, and `complete_steered` generates one text from several prompts whose
//! distributions a rule combines. All are futures; dropping one removes its request from the engine
//! before the next forward step.
//!
//! Requests go to the `scheduler`. In every forward step of the `decoder` it computes rows of all
//! running requests (`batch` selects them) and passes the logits to each request (`sequence`). The
//! KV blocks are kept in the prefix cache (`prefix_cache`), so that prompts with a common prefix
//! compute it once.

pub use crate::model::chat::{Chat, Message, Role};

pub mod decoder;
pub mod sampler;
pub mod stop;

mod batch;
mod closing;
mod completing;
mod constraint;
mod copy_guard;
mod counting;
mod dry;
mod engine;
mod error;
mod handle;
mod prefix_cache;
mod record;
mod request;
mod sampling;
mod scheduler;
mod scoring;
mod sequence;
mod shortest_match;
mod stats;
mod steering;
mod verbs;

#[cfg(any(test, feature = "testing"))]
pub mod tiny;

pub use constraint::Constraint;
pub use copy_guard::CopyGuard;
pub use error::Error;
pub use handle::{Lm, LoadOptions};
pub use idiolect_kernels::Isa;
pub use record::{Outcome, Recorded, Verb};
pub use request::{Completion, EndToken, Finish, Prompt, Request, Score, SteeredRequest};
pub use sampling::Sampling;
pub use stats::Stats;
pub use steering::{
    Bias, Contrast, Ending, Lanes, Lexicon, PeerContrast, Phrases, Rule, Steering, WeightedSum,
};

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
