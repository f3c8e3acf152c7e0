//! What a caller may choose of the method `idiolect`.

use crate::lm::Contrast;
use crate::task::Stage;

/// How past texts stand in the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Each is an answer of the assistant.
    #[default]
    Conversation,
    /// All in one message.
    Flat,
}

impl Form {
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Conversation => Stage::Scp,
            Self::Flat => Stage::Rag,
        }
    }
}

/// How strongly the user's choice of words counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LexicalOptions {
    /// Strength of the score that each token gets, from 0.
    pub strength: f32,
    /// Number of tokens that the others' distribution counts as where the user's is shrunk towards
    /// it.
    pub prior: f64,
}

/// Settings of the method.
#[derive(Debug, Clone, PartialEq)]
pub struct IdiolectOptions {
    /// How past texts stand in the prompt.
    pub form: Form,
    /// The user's choice of words against others'; `None` leaves it out.
    pub lexical: Option<LexicalOptions>,
    /// How the user's prompt stands against nobody's and peers'.
    pub contrast: Contrast,
    /// Whether the strength of the choice of words is fitted on the user's own past; otherwise, and
    /// where there is too little of it, the one in `lexical` is taken.
    pub fit: bool,
    /// Words of a peer's text that must not be written in a row; 0 allows any number.
    pub guard_words: usize,
}

impl Default for IdiolectOptions {
    /// As measured on histories; see the README.
    fn default() -> Self {
        Self {
            form: Form::Conversation,
            lexical: Some(LexicalOptions { strength: 0.5, prior: 1000.0 }),
            contrast: Contrast::None,
            fit: false,
            guard_words: 8,
        }
    }
}
