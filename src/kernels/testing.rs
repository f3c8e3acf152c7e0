//! Helpers for the tests of several kernels.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Tier;

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
pub(crate) fn on_every_tier(f: impl Fn(Tier) -> Vec<f32>) -> Vec<f32> {
    let plain = f(Tier::PLAIN);
    for tier in Tier::available() {
        assert_eq!(bits(&f(tier)), bits(&plain), "{tier}");
    }
    plain
}
