//! The CPU's hot loops, each with a plain twin that is its reference.
//!
//! Every kernel is written once over sixteen lanes (`simd`) and compiled for each [`Tier`]; the
//! lanes of the plain tier are ordinary arrays. Sums are taken in one order that belongs to the
//! result and not to the instruction set, so all tiers give the same bits, and an element of a
//! result depends neither on the other rows of a batch nor on the number of threads.

mod error;
mod pool;
mod shared;
mod simd;
mod tier;

#[cfg(test)]
mod testing;

pub mod activation;
pub mod attention;
pub mod bidirectional;
pub mod elementwise;
pub mod layer_norm;
pub mod linear;
pub mod op;
pub mod softmax;

pub use error::{Error, Result};
pub use linear::PackedLinear;
pub use pool::Pool;
pub use tier::Tier;
