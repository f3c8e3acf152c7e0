//! Vectors of sixteen lanes, the same on every instruction set.
//!
//! A kernel is an `#[inline(always)]` function over [`Simd`], compiled inside a function that
//! enables an instruction set (see [`per_isa`]). Lane operations follow IEEE 754, including the
//! fused multiply-add, and sums across lanes use one fixed tree. A kernel therefore gives the same
//! bits on every instruction set.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
mod vector;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{Avx2, AvxVnni};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512Vnni;
pub(crate) use dispatch::per_isa;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use plain::Plain;
pub(crate) use vector::{LANES, Simd};
