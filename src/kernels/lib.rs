//! CPU kernels for transformer inference. Each has a plain Rust version that is its reference.
//!
//! Every kernel is written once over vectors of sixteen lanes (`simd`) and compiled for each
//! [`Isa`]; the plain one uses ordinary arrays as vectors. The order of a sum is the same on all
//! instruction sets, so all give the same bits, but for products of prompts with matrix tiles
//! ([`linear::ProductRows`]). An element of a result depends neither on the other
//! rows of a batch nor on the number of threads.
//!
//! | what | where |
//! |---|---|
//! | instruction set, threads | [`Isa`], [`Pool`] |
//! | products with quantized matrices | [`PackedLinear`], [`linear::forward_many`], as a candle operation [`op::LinearOp`] |
//! | products with matrices of low rank | [`low_rank::LowRank`] |
//! | attention over a KV cache | [`attention::attend`], [`attention::KvShape`] |
//! | attention within texts | [`bidirectional::attend`] |
//! | norms, rotary embedding, activations | [`elementwise`], [`layer_norm::LayerNorm`], [`activation::activate`] |
//! | probabilities over a vocabulary | [`softmax`] |
//! | products of single vectors, for nearest neighbours | [`nearest`] |
//!
//! ```
//! use candle_core::quantized::GgmlDType;
//! use idiolect_kernels::{Isa, PackedLinear, Pool};
//!
//! # fn main() -> idiolect_kernels::Result<()> {
//! let (isa, pool) = (Isa::detect(), Pool::new(2));
//! // A matrix of two rows and three columns, in f32 as a file has it.
//! let w: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
//! let linear = PackedLinear::from_blocks(&w, GgmlDType::F32, 2, 3, isa, &pool)?;
//! let mut y = [0.0; 2];
//! linear.forward(&[1.0, 0.0, 1.0], 1, &mut y, &pool)?;
//! assert_eq!(y, [4.0, 10.0]);
//! # Ok(())
//! # }
//! ```

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod amx;
mod error;
mod isa;
mod pool;
mod shared;
mod simd;

#[cfg(test)]
mod testing;

pub mod activation;
pub mod attention;
pub mod bidirectional;
pub mod elementwise;
pub mod layer_norm;
pub mod linear;
pub mod low_rank;
pub mod nearest;
pub mod op;
pub mod softmax;

pub use error::{Error, Result};
pub use isa::Isa;
pub use linear::PackedLinear;
pub use pool::Pool;
