//! Identifiers of answers, and the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// A random identifier with a prefix, e.g. `chatcmpl-0123...`, 128 bits.
pub(crate) fn new(prefix: &str) -> String {
    format!("{prefix}{:032x}", rand::random::<u128>())
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
