//! Causal attention with shared key and value heads over a cache of runs, without ever writing
//! the scores.
//!
//! A query's result is joined from its runs in order (arXiv 2205.14135, section 3.1): each run of
//! 64 positions, cut at fixed multiples of 64, gives a largest score, a sum and a weighted sum of
//! values, all taken in one order. So the bits for a query are the same in a prefill of any size
//! and in decoding, whoever shares the run, on any tier and any number of threads. Keys and values are
//! kept in f16, or in bf16, which halves the work where the CPU multiplies pairs of them.

mod bf16;
mod cache;
mod f16;
mod products;
mod share;
mod states;
mod tile;
mod work;

pub use cache::{KvPrecision, KvShape, RUN};
pub use work::{Sequence, attend};

#[cfg(test)]
mod tests;
