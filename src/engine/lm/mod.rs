//! Language model engine: decoder, KV cache, scheduler, sampling and scoring.
//!
//! [`Lm`] is a handle of an engine that runs on its own thread. It answers two kinds of request:
//! [`Lm::generate`] generates a text after a prompt, and [`Lm::score`] computes the
//! log-probabilities of a given text. Both take one or several prompts; a caller combines the
//! distributions after them through [`CombineLogits`] and forbids tokens through [`MaskLogits`].
//! Both are futures; dropping one removes its request from the engine before the next forward step.
//!
//! Requests go to the `scheduler`. In every forward step of the `decoder` it computes rows of all
//! running requests (`plan` selects them) and passes the logits to each request (`job`). The KV
//! blocks are kept in the prefix cache (`tree`), so that prompts with a common prefix compute it
//! once.

pub use crate::model::chat::{Chat, Message, Role};

pub mod decoder;
pub mod sampler;
pub mod stop;

mod constraint;
mod dry;
mod engine;
mod error;
mod forced_end;
mod generation;
mod handle;
mod job;
mod logits;
mod plan;
mod record;
mod request;
mod sampling;
mod scheduler;
mod scoring;
mod shortest_match;
mod stats;
mod token_counts;
mod token_kinds;
mod tree;
mod verbs;

#[cfg(any(test, feature = "testing"))]
pub mod tiny;

pub use constraint::Constraint;
pub use error::Error;
pub use handle::{Lm, LoadOptions};
pub use logits::{CombineLogits, Distributions, MaskLogits, WeightedSum};
pub use record::{Outcome, Recorded, Verb};
pub use request::{Completion, Eos, Finish, OnText, Prompt, Request, Score, ScoreRequest};
pub use sampling::Sampling;
pub use stats::Stats;
pub use token_counts::TokenCounts;
pub use token_kinds::TokenKinds;

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
