//! Number of a request's prompt tokens whose keys and values were reused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counter of the prompt tokens of one request that were not computed, because their KV blocks were
/// reused. It is no part of the answer, which does not depend on the cache. The caller keeps a clone
/// and reads it after the answer.
#[derive(Debug, Clone, Default)]
pub struct ReusedTokens(Arc<AtomicUsize>);

impl ReusedTokens {
    /// Number of tokens so far, of all prompts of the request.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, n: usize) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}
