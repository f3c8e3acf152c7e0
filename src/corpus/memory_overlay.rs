//! Memory in place of a store that may only be read: what commands compute is kept until they end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::ReviewId;

/// Derived values and vectors of one run.
#[derive(Debug, Default)]
pub(super) struct MemoryOverlay(Mutex<OverlayValues>);

#[derive(Debug, Default)]
pub(super) struct OverlayValues {
    /// Values by kind and key, in the order in which they were made.
    pub(super) derived: Vec<(String, String, String)>,
    /// Vectors by fingerprint of the encoder.
    pub(super) vectors: HashMap<String, HashMap<ReviewId, Vec<f32>>>,
}

impl MemoryOverlay {
    /// Runs an operation on the values.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut OverlayValues) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl OverlayValues {
    /// Position of the derived value of this kind and key.
    fn find(&self, kind: &str, key: &str) -> Option<usize> {
        self.derived.iter().position(|(k, n, _)| k == kind && n == key)
    }

    /// The derived value of this kind and key.
    pub(super) fn derived(&self, kind: &str, key: &str) -> Option<String> {
        self.find(kind, key).map(|at| self.derived[at].2.clone())
    }

    /// Keeps a derived value, in place of an earlier one of this kind and key.
    pub(super) fn put_derived(&mut self, kind: &str, key: &str, value: &str) {
        match self.find(kind, key) {
            Some(at) => value.clone_into(&mut self.derived[at].2),
            None => self.derived.push((kind.to_owned(), key.to_owned(), value.to_owned())),
        }
    }

    /// Whether the review has a vector of this encoder.
    pub(super) fn has_vector(&self, fingerprint: &str, review: ReviewId) -> bool {
        self.vectors.get(fingerprint).is_some_and(|vectors| vectors.contains_key(&review))
    }
}
