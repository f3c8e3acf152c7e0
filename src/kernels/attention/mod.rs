//! Causal attention with shared key and value heads over a cache of runs, without ever writing
//! the scores.
//!
//! A query's result is joined from its runs in order (arXiv 2205.14135, section 3.1): each run of
//! 64 positions, cut at fixed multiples of 64, gives a largest score, a sum and a weighted sum of
//! values, all taken in one order. So the bits for a query are the same in a prefill of any size
//! and in decoding, whoever shares the run, on any tier and any number of threads.

mod cache;
mod share;
mod tile;
mod work;

pub use cache::{KvShape, RUN};
pub use work::{Sequence, attend};

#[cfg(test)]
mod tests;
