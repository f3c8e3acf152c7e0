//! Scalar products of single vectors, for the search of nearest neighbours.
//!
//! Sums are accumulated in four times sixteen lanes, which are then added in a fixed order, so all
//! instruction sets give the same bits.

#![allow(unsafe_code)]
// Kernels rely on the contract of `Simd`.
#![allow(unsafe_op_in_unsafe_fn)]

use super::Isa;
use super::simd::{LANES, Simd, per_isa};

/// Vectors of lanes that sums are accumulated in.
const SUMS: usize = 4;

/// Returns the scalar product of two vectors. If they differ in length, the rest of the longer one is
/// ignored.
#[must_use]
pub fn dot(a: &[f32], b: &[f32], isa: Isa) -> f32 {
    let n = a.len().min(b.len());
    // SAFETY: two slices of equal length.
    unsafe { dot_of_floats(isa, &a[..n], &b[..n]) }
}

/// Returns the scalar product of two vectors of bytes, exact up to 1,024 elements. If they differ in length,
/// the rest of the longer one is ignored.
#[must_use]
pub fn dot_bytes(a: &[i8], b: &[i8], isa: Isa) -> f32 {
    let n = a.len().min(b.len());
    // SAFETY: two slices of equal length.
    unsafe { dot_of_bytes(isa, &a[..n], &b[..n]) }
}

/// Starts to load a vector of bytes into the cache.
pub fn prefetch(bytes: &[i8], isa: Isa) {
    // SAFETY: the kernel reads nothing.
    unsafe { prefetch_lines(isa, bytes) }
}

per_isa! {
    /// # Safety
    /// The slices have the same length.
    unsafe fn dot_of_floats(a: &[f32], b: &[f32]) -> f32 = dot_loop;
}
per_isa! {
    /// # Safety
    /// The slices have the same length.
    unsafe fn dot_of_bytes(a: &[i8], b: &[i8]) -> f32 = dot_bytes_loop;
}
per_isa! { unsafe fn prefetch_lines(bytes: &[i8]) -> () = prefetch_loop; }

#[inline(always)]
unsafe fn dot_loop<S: Simd>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [S::splat(0.0); SUMS];
    let whole = a.len() / LANES * LANES;
    for (step, at) in (0..whole).step_by(LANES).enumerate() {
        let (x, y) = (S::load(a.as_ptr().add(at)), S::load(b.as_ptr().add(at)));
        sums[step % SUMS] = S::fma(x, y, sums[step % SUMS]);
    }
    let rest: f32 = a[whole..].iter().zip(&b[whole..]).map(|(x, y)| x * y).sum();
    total::<S>(sums) + rest
}

#[inline(always)]
unsafe fn dot_bytes_loop<S: Simd>(a: &[i8], b: &[i8]) -> f32 {
    let mut sums = [S::splat(0.0); SUMS];
    let whole = a.len() / LANES * LANES;
    for (step, at) in (0..whole).step_by(LANES).enumerate() {
        let (x, y) = (S::load_i8(a.as_ptr().add(at)), S::load_i8(b.as_ptr().add(at)));
        sums[step % SUMS] = S::fma(x, y, sums[step % SUMS]);
    }
    let products = a[whole..].iter().zip(&b[whole..]).map(|(x, y)| i32::from(*x) * i32::from(*y));
    total::<S>(sums) + products.sum::<i32>() as f32
}

#[inline(always)]
unsafe fn total<S: Simd>([a, b, c, d]: [S::F; SUMS]) -> f32 {
    S::sum(S::add(S::add(a, b), S::add(c, d)))
}

#[inline(always)]
unsafe fn prefetch_loop<S: Simd>(bytes: &[i8]) {
    for line in (0..bytes.len()).step_by(64) {
        S::prefetch(bytes.as_ptr().add(line).cast());
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::testing::{on_every_isa, random};

    #[test]
    fn products_of_bytes_are_exact() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for n in [0, 1, 15, 16, 17, 63, 64, 65, 100, 384, 1023, 1024] {
            let mut bytes = || -> Vec<i8> { (0..n).map(|_| rng.random()).collect() };
            for (a, b) in [(bytes(), bytes()), (vec![-128; n], vec![-128; n])] {
                let products = a.iter().zip(&b).map(|(x, y)| i32::from(*x) * i32::from(*y));
                let want: i32 = products.sum();
                let got = on_every_isa(|isa| {
                    prefetch(&a, isa);
                    vec![dot_bytes(&a, &b, isa)]
                });
                assert_eq!(got, [want as f32], "{n}");
            }
        }
    }

    #[test]
    fn products_of_floats_have_the_same_bits_everywhere() {
        for n in [0, 1, 15, 16, 17, 63, 64, 65, 100, 384, 1024] {
            let (a, b) = (random(n, 2.0, 1), random(n, 2.0, 2));
            let want: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            let got = on_every_isa(|isa| vec![dot(&a, &b, isa)]);
            assert!((f64::from(got[0]) - want).abs() < 1e-3, "{n}: {got:?} {want}");
        }
    }

    #[test]
    fn the_rest_of_a_longer_vector_is_ignored() {
        assert_eq!(dot(&[1.0, 2.0], &[3.0], Isa::detect()), 3.0);
        assert_eq!(dot_bytes(&[-128; 2], &[-128, 1, 1], Isa::detect()), 16_256.0);
    }
}
