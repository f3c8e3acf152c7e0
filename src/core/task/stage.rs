//! Stages: the kinds of calls to the language model.

use super::Part;

/// A kind of call to the language model: its name in task files and messages, and the parts of its
/// prompt. The module that makes the call declares the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stage {
    name: &'static str,
    parts: &'static [Part],
}

impl Stage {
    /// Creates a stage.
    #[must_use]
    pub const fn new(name: &'static str, parts: &'static [Part]) -> Self {
        Self { name, parts }
    }

    /// Name in task files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Returns the parts of a prompt of this stage.
    #[must_use]
    pub const fn parts(self) -> &'static [Part] {
        self.parts
    }
}
