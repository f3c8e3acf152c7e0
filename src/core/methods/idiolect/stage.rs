//! The stage of the method's last call.

use super::Form;
use crate::methods::{completion, rag};
use crate::task::{Part, Stage};

/// Generates in a conversation as SCP does, with notes about the user before the target.
pub(super) const STAGE: Stage = Stage::new("idiolect", &[Part::Target, Part::Past, Part::Notes]);

impl Form {
    /// The stage whose prompt has past texts in this form.
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Conversation => STAGE,
            Self::Flat => rag::STAGE,
            Self::Completion => completion::STAGE,
        }
    }
}
