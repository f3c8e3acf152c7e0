//! Hash keys under which derived values are stored.

use sha2::{Digest, Sha256};

/// SHA-256 over all inputs of a derived value, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Key(String);

impl Key {
    /// Starts a key for values of one kind, e.g. `"difference"`.
    #[must_use]
    pub fn of(kind: &str) -> KeyBuilder {
        KeyBuilder(Sha256::new()).with("kind", kind)
    }

    /// Returns the 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Builder of a [`Key`]. Order matters. Names and values are length-prefixed, so no two different
/// sequences of inputs collide.
pub struct KeyBuilder(Sha256);

impl KeyBuilder {
    /// Adds one named input.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for part in [name.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Returns the key.
    #[must_use]
    pub fn finish(self) -> Key {
        Key(self.0.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}
