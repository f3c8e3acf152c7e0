//! CPU kernels for transformer inference. Each has a plain Rust version that is its reference.
//!
//! Every kernel is written once over vectors of sixteen lanes (`simd`) and compiled for each
//! [`Tier`]; the plain tier uses ordinary arrays as vectors. The order of a sum is the same on all
//! instruction sets, so all tiers give the same bits. An element of a result depends neither on the
//! other rows of a batch nor on the number of threads.

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
