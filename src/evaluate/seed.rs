//! Seeds derived for single draws.

use idiolect_core::corpus::Key;

/// A seed derived from the caller's seed and from what the draw is for, so that an additional draw
/// changes no other draw.
pub(super) fn seed_for(seed: u64, what: &[&str]) -> u64 {
    let key = Key::of("draw").with("seed", seed.to_le_bytes());
    let key = what.iter().fold(key, |key, part| key.with("for", part)).finish();
    key.as_str().get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(seed)
}
