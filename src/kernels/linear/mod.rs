//! Products with weight matrices in the formats of GGUF files.
//!
//! Shapes: `x` is `[n, cols]`, a matrix `[rows, cols]`, the result `[n, rows]`, all row-major. A
//! *channel* is a row of the matrix, a *panel* sixteen channels, a *block* 32 columns, a *tile* up
//! to eight rows of `x`.
//!
//! Weights are repacked once, at load, so that the sixteen lanes of a vector are the channels of a
//! panel; nibbles stay nibbles. For quantized weights, each call quantizes `x` to int8 with one
//! scale per block, as Q8_0 does, once for all matrices that share it. A block's dot product is
//! exact in `i32`. Each result then sums its blocks in order with fused multiply-adds, in a lane of
//! its own. The bits therefore depend neither on the instruction set, nor on the number of rows,
//! nor on the number of threads. One exception: where the CPU has matrix tiles (AMX), rows of prompts
//! may be multiplied in bf16 ([`ProductRows`]); their bits are those of this instruction set.

mod activations;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod bf16_tiles;
mod buffer;
mod digits;
mod format;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod int8_tiles;
mod pack;
mod packed;
mod panels;
mod product;
mod quantize;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod scratch;
mod tile;

pub use packed::PackedLinear;
pub use product::{ProductRows, forward_many};

#[cfg(test)]
mod tests;
