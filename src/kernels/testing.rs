//! What the tests of several kernels need.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Tier;

/// Evenly spread numbers from minus `within` to `within`.
pub(crate) fn random(n: usize, within: f32, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-within..within)).collect()
}

/// Bits to compare by; all NaNs count as one.
pub(crate) fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// Runs `f` on every tier and expects the bits of the plain one, which are returned.
pub(crate) fn on_every_tier(f: impl Fn(Tier) -> Vec<f32>) -> Vec<f32> {
    let plain = f(Tier::PLAIN);
    for tier in Tier::available() {
        assert_eq!(bits(&f(tier)), bits(&plain), "{tier}");
    }
    plain
}
