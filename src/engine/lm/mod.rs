//! Language model engine: decoder, KV cache, scheduler, sampling and scoring.
//!
//! [`Lm`] is a handle of an engine that runs on its own thread. It answers two kinds of request:
//! [`Lm::generate`] generates a text after a prompt, and [`Lm::score`] computes the
//! log-probabilities of a given text. Both take one or several prompts; a caller combines the
//! distributions after them through [`CombineLogits`] and forbids tokens through [`MaskLogits`].
//! Both are futures; dropping one removes its request from the engine before the next forward step.
//!
//! Requests go to the `scheduler`. In every forward step of the `decoder` it computes rows of all
//! running requests (`batch` selects them) and passes the logits to each request (`sequence`). The
//! KV blocks are kept in the prefix cache (`prefix_cache`), so that prompts with a common prefix
//! compute it once.

pub use crate::model::chat::{Chat, Message, Role};

pub mod decoder;
pub mod sampler;
pub mod stop;

mod adapter;
#[cfg(test)]
mod adapter_tests;
mod batch;
mod constraint;
mod draft;
mod dry;
mod engine;
mod error;
mod finish;
mod forced_end;
mod generation;
mod handle;
#[cfg(test)]
mod hidden_tests;
mod logits;
mod prefix_cache;
mod prompt_tokenizer;
mod record;
mod request;
mod reused_tokens;
mod sampling;
mod saved_prefix;
mod scheduler;
mod schema;
mod scoring;
mod sequence;
mod shortest_match;
mod stats;
mod token_counts;
mod token_kinds;
mod token_logprob;
mod verbs;

#[cfg(any(test, feature = "testing"))]
pub mod tiny;

pub use adapter::{Adapter, AdapterKey, AdapterShape, LayerAdapter};
pub use constraint::Constraint;
pub use draft::Drafts;
pub use error::Error;
pub use finish::Finish;
pub use handle::{Lm, LoadOptions};
pub use idiolect_kernels::Isa;
pub use idiolect_kernels::low_rank::LowRank;
pub use logits::{CombineLogits, Distributions, MaskLogits, ObserveLogits, WeightedSum};
pub use prompt_tokenizer::PromptTokenizer;
pub use record::{Outcome, Recorded, Verb};
pub use request::{
    Completion, Eos, Observe, OnText, Prompt, Request, Score, ScoreRequest, TextToScore,
};
pub use reused_tokens::ReusedTokens;
pub use sampling::Sampling;
pub use saved_prefix::SavedPrefix;
pub use stats::Stats;
pub use token_counts::TokenCounts;
pub use token_kinds::TokenKinds;
pub use token_logprob::{OnToken, TokenLogprob, likeliest};

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
