//! What a caller may choose of the method `idiolect`.

use crate::task::Stage;
use idiolect_engine::lm::Contrast;

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
            Self::Conversation => Stage::Idiolect,
            Self::Flat => Stage::Rag,
        }
    }
}

/// Which past texts a prompt shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Texts {
    /// The newest.
    #[default]
    Newest,
    /// The most relevant to the target.
    Relevant,
    /// What proves itself on the user's own newest texts: the most relevant or the newest, all or half
    /// as many, in either order, with or without a summary of the older ones.
    Chosen,
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

/// Which statements about the user there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statements {
    /// None.
    #[default]
    None,
    /// Counted in the texts.
    Measured,
    /// Told by the language model.
    Told,
    /// Both.
    Both,
}

/// How the language model tells differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extraction {
    /// A field a dimension of the standard, so that every answer has the form.
    #[default]
    Constrained,
    /// As it likes, as in DPL.
    Free,
    /// Along dimensions of its own too, which a second call checks, as in DRP.
    Open,
}

/// Settings of the method.
#[derive(Debug, Clone, PartialEq)]
pub struct IdiolectOptions {
    /// How past texts stand in the prompt.
    pub form: Form,
    /// Which past texts stand there.
    pub texts: Texts,
    /// The user's choice of words against others'; `None` leaves it out.
    pub lexical: Option<LexicalOptions>,
    /// Share of how the user goes on behind the last tokens, 0 to 1; 0 leaves it out.
    pub phrases: f32,
    /// How the user's prompt stands against nobody's and peers'.
    pub contrast: Contrast,
    /// How distinct the user is, 0 (like everybody) to 1: what b of the contrast with peers is
    /// multiplied by. `None` takes [`distinctness`](crate::peers::distinctness) of the past texts.
    pub distinct: Option<f32>,
    /// Whether the strengths of the choice of words and of the contrast, and the number of peers'
    /// prompts, are fitted on the user's own past; otherwise, and where there is too little of it,
    /// those of `lexical` and `contrast` are taken.
    pub fit: bool,
    /// Statements about the user that the prompt shows.
    pub statements: Statements,
    /// How those are told that the language model tells.
    pub extraction: Extraction,
    /// Whether they must prove themselves first; otherwise all are shown.
    pub verify: bool,
    /// Words of a peer's text that must not be written in a row; 0 allows any number.
    pub guard_words: usize,
    /// Whether texts become about as long as the user's are.
    pub as_long: bool,
    /// Texts that are drawn; the one is taken that the user's texts make likelier than peers' do by
    /// most.
    pub best_of: usize,
}

impl IdiolectOptions {
    /// Whether peers have to be chosen.
    #[must_use]
    pub fn needs_peers(&self) -> bool {
        let contrast = matches!(self.contrast, Contrast::Peers(_));
        contrast || self.statements != Statements::None || self.best_of > 1
    }
}

impl Default for IdiolectOptions {
    /// What helped where it was measured, on histories alone; see the README. The others are off.
    fn default() -> Self {
        Self {
            form: Form::Conversation,
            texts: Texts::Newest,
            lexical: Some(LexicalOptions { strength: 0.5, prior: 1000.0 }),
            phrases: 0.05,
            contrast: Contrast::None,
            distinct: None,
            fit: false,
            statements: Statements::None,
            extraction: Extraction::Constrained,
            verify: true,
            guard_words: 8,
            as_long: true,
            best_of: 1,
        }
    }
}
