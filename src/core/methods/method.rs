//! The handle by which methods are named and listed.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Serialize, Serializer};

use super::MethodOptions;
use crate::task::Stage;

/// Facts about a method.
pub(super) struct MethodInfo {
    /// Name on the command line and in results, in kebab case.
    pub(super) name: &'static str,
    /// Description of the prompt, in one line.
    pub(super) about: &'static str,
    /// The paper; empty if there is none.
    pub(super) source: &'static str,
    /// Stages whose prompts it uses; the last one is that of its last call.
    pub(super) stages: &'static [Stage],
    /// Whether it needs a past text of the user.
    pub(super) needs_history: bool,
    /// Whether it compares the user with peers, and so needs a sentence encoder.
    pub(super) needs_peers: fn(&MethodOptions) -> bool,
    /// Whether it extracts differences between the user and representatives. Such a method reports
    /// the progress of its steps itself.
    pub(super) extracts_differences: bool,
    /// Whether its own prompt without the user's texts is the unconditional prompt with which
    /// attribution compares; otherwise it is the prompt of non-perso.
    pub(super) own_unconditional: bool,
}

/// A method of personalized text generation.
#[derive(Clone, Copy)]
pub struct Method(&'static MethodInfo);

impl Method {
    pub(super) const fn of(info: &'static MethodInfo) -> Self {
        Self(info)
    }

    /// All methods, the simpler ones first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied()
    }

    /// Returns the method with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|method| method.name() == name)
    }

    /// Name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Description of the prompt, in one line.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.0.about
    }

    /// The paper that describes it; empty if there is none.
    #[must_use]
    pub fn source(self) -> &'static str {
        self.0.source
    }

    /// Stages whose prompts it uses. The last one is that of its last call.
    #[must_use]
    pub fn stages(self) -> &'static [Stage] {
        self.0.stages
    }

    /// The stage of its last call.
    #[must_use]
    pub fn stage(self) -> Stage {
        self.0.stages[self.0.stages.len() - 1]
    }

    /// Whether it needs a past text of the user.
    #[must_use]
    pub fn needs_history(self) -> bool {
        self.0.needs_history
    }

    /// Whether it compares the user with peers, and so needs a sentence encoder.
    #[must_use]
    pub fn needs_peers(self, options: &MethodOptions) -> bool {
        (self.0.needs_peers)(options)
    }

    /// Whether it extracts differences between the user and representatives.
    #[must_use]
    pub fn extracts_differences(self) -> bool {
        self.0.extracts_differences
    }

    /// Whether its own prompt without the user's texts is the unconditional prompt.
    pub(super) fn own_unconditional(self) -> bool {
        self.0.own_unconditional
    }
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Method {}

impl Hash for Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
