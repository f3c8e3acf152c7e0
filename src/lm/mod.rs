//! A language model that runs: decoder, cache, engine, sampling, scoring.
//!
//! [`Lm`] is a handle of an engine that runs on its own thread. Two verbs go to it: `complete` writes
//! on from a prompt, `score` says how likely a given text is after a prompt. Both are futures;
//! dropping one takes its work off the engine at the next token or prefill chunk.

pub use crate::model::chat::{Chat, Message, Role};

pub mod decoder;
pub mod sampler;
pub mod stop;

mod closing;
mod constraint;
mod dry;
mod engine;
mod error;
mod handle;
mod prefixes;
mod record;
mod request;
mod sampling;
mod scheduler;
mod sequence;

#[cfg(test)]
pub(crate) mod tiny;

pub use constraint::Constraint;
pub use error::Error;
pub use handle::{Lm, LoadOptions};
pub use record::{Outcome, Recorded, Verb};
pub use request::{Completion, EndToken, Finish, Prompt, Request, Score};
pub use sampling::Sampling;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;
