//! Helpers for the tests of several kernels.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Isa;

/// Returns `n` numbers drawn uniformly between `-within` and `within`.
pub(crate) fn random(n: usize, within: f32, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-within..within)).collect()
}

/// Returns the bits for comparison; all NaNs map to one pattern.
pub(crate) fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// Runs `f` on every instruction set, asserts that all give the bits of the plain one, and returns
/// those.
pub(crate) fn on_every_isa(f: impl Fn(Isa) -> Vec<f32>) -> Vec<f32> {
    let plain = f(Isa::PLAIN);
    for isa in Isa::available() {
        assert_eq!(bits(&f(isa)), bits(&plain), "{isa}");
    }
    plain
}
