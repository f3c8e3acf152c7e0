//! A language model that runs: decoder, cache, engine, sampling, scoring.
//!
//! [`Lm`] is a handle of an engine that runs on its own thread. Three verbs go to it: `complete`
//! writes on from a prompt, `score` says how likely a given text is after a prompt, and
//! `complete_steered` writes one text after several prompts whose distributions a rule combines. All
//! are futures; dropping one takes its work off the engine before the next pass.
//!
//! Requests arrive at the `scheduler`, which takes rows of all of them into one pass of the `decoder`
//! (`plan` says which) and hands each `job` its logits. What a pass computed stays in the `tree`, so
//! that prompts which begin alike compute their beginning once.

pub use crate::model::chat::{Chat, Message, Role};

pub mod decoder;
pub mod sampler;
pub mod stop;

mod closing;
mod completing;
mod constraint;
mod copy_guard;
mod counting;
mod dry;
mod engine;
mod error;
mod handle;
mod job;
mod plan;
mod record;
mod request;
mod sampling;
mod scheduler;
mod scoring;
mod shortest_match;
mod stats;
mod steering;
mod tree;
mod verbs;

#[cfg(any(test, feature = "testing"))]
pub mod tiny;

pub use constraint::Constraint;
pub use copy_guard::CopyGuard;
pub use error::Error;
pub use handle::{Lm, LoadOptions};
pub use record::{Outcome, Recorded, Verb};
pub use request::{Completion, EndToken, Finish, Prompt, Request, Score, SteeredRequest};
pub use sampling::Sampling;
pub use stats::Stats;
pub use steering::{
    Bias, Contrast, Ending, Lanes, Lexicon, PeerContrast, Phrases, Rule, Steering, WeightedSum,
};

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;
