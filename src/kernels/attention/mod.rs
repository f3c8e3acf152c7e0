//! Causal grouped-query attention over a paged KV cache, without storing the matrix of scores.
//!
//! The result for a query is combined from its KV blocks in order (arXiv 2205.14135, section 3.1).
//! Each KV block of 64 positions, cut at fixed multiples of 64, gives a largest score, a sum of
//! weights and a weighted sum of values, all summed in one fixed order. The bits for a query are
//! therefore the same in a prefill of any size and in decoding, regardless of the sequences that
//! share the KV block, the instruction set and the number of threads. Keys and values are stored in
//! f16, or in bf16, which halves the work on CPUs that multiply pairs of bf16.
//!
//! Behind a sliding window, KV blocks that no row of a task sees are skipped. A KV block that only
//! some of its rows see gives the others an empty state, which merges without changing a bit.

mod attend;
mod format;
mod layout;
mod plan;
mod softmax_state;
mod tile;

pub use attend::{AttentionSettings, attend};
pub use layout::{KV_BLOCK_SIZE, KvPrecision, KvShape};
pub use plan::AttentionSequence;

#[cfg(test)]
mod tests;
