//! Stages: the kinds of calls to the language model.

use super::Part;

/// A kind of call to the language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Extracts how a user's text differs from the representatives' on one item (DPL).
    Difference,
    /// Summarizes differences and past texts into a profile (DPL).
    Summary,
    /// Generates from past texts and the profile (DPL).
    Generation,
    /// Generates from the target alone.
    NonPerso,
    /// Generates from past texts in one prompt.
    Rag,
    /// Generates in a conversation whose past answers are the user's texts.
    Scp,
    /// Generates in such a conversation, in which a rejected negative example precedes each past
    /// answer.
    Ccp,
    /// Generates in a conversation as [`Stage::Scp`] does, with notes about the user before the
    /// target.
    Idiolect,
    /// Summarizes all past texts of a user (IntSum).
    IntsumSummary,
    /// Summarizes one block of past texts (LLM-TRSR).
    TrsrBlock,
    /// Updates a summary with the next block (LLM-TRSR, recurrent).
    TrsrUpdate,
    /// Summarizes the summaries of all blocks (LLM-TRSR, hierarchical).
    TrsrMerge,
    /// Describes how a user's texts differ from others' on the same items (CICL).
    CiclAnalysis,
    /// Generates from such pairs and their description (CICL).
    Cicl,
    /// Extracts a structured persona from past texts (Persona-DB).
    PersonaExtract,
    /// Infers further attributes of the persona (Persona-DB).
    PersonaRefine,
    /// Generates from the persona, past texts, and the personas and texts of similar users
    /// (Persona-DB).
    PersonaDb,
    /// Extracts differences along the standard and along further dimensions (DRP).
    DrpDifference,
    /// Keeps the extracted differences that truly distinguish the user (DRP).
    DrpValidation,
    /// Infers hypotheses about a writer from few texts (HyPerAlign).
    HyperalignHypotheses,
    /// Generates from the hypotheses and the texts (HyPerAlign).
    Hyperalign,
    /// Scores a text by comparison with the one that the user really wrote.
    Judge,
    /// Decides which of two texts is nearer to the one that the user really wrote.
    JudgePair,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 23] = [
        Self::Difference,
        Self::Summary,
        Self::Generation,
        Self::NonPerso,
        Self::Rag,
        Self::Scp,
        Self::Ccp,
        Self::Idiolect,
        Self::IntsumSummary,
        Self::TrsrBlock,
        Self::TrsrUpdate,
        Self::TrsrMerge,
        Self::CiclAnalysis,
        Self::Cicl,
        Self::PersonaExtract,
        Self::PersonaRefine,
        Self::PersonaDb,
        Self::DrpDifference,
        Self::DrpValidation,
        Self::HyperalignHypotheses,
        Self::Hyperalign,
        Self::Judge,
        Self::JudgePair,
    ];

    /// Name in task files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Difference => "difference",
            Self::Summary => "summary",
            Self::Generation => "generation",
            Self::NonPerso => "non-perso",
            Self::Rag => "rag",
            Self::Scp => "scp",
            Self::Ccp => "ccp",
            Self::Idiolect => "idiolect",
            Self::IntsumSummary => "intsum-summary",
            Self::TrsrBlock => "trsr-block",
            Self::TrsrUpdate => "trsr-update",
            Self::TrsrMerge => "trsr-merge",
            Self::CiclAnalysis => "cicl-analysis",
            Self::Cicl => "cicl",
            Self::PersonaExtract => "persona-extract",
            Self::PersonaRefine => "persona-refine",
            Self::PersonaDb => "persona-db",
            Self::DrpDifference => "drp-difference",
            Self::DrpValidation => "drp-validation",
            Self::HyperalignHypotheses => "hyperalign-hypotheses",
            Self::Hyperalign => "hyperalign",
            Self::Judge => "judge",
            Self::JudgePair => "judge-pair",
        }
    }

    /// Returns the parts of a prompt of this stage.
    #[must_use]
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::Difference | Self::DrpDifference => &[Part::Own, Part::Others],
            Self::DrpValidation => &[Part::Own, Part::Others, Part::Notes],
            Self::Summary => &[Part::Compared, Part::Past],
            Self::Generation => &[Part::Target, Part::Past, Part::Profile],
            Self::NonPerso => &[Part::Target],
            Self::Rag | Self::Scp | Self::Ccp => &[Part::Target, Part::Past],
            Self::IntsumSummary
            | Self::TrsrBlock
            | Self::CiclAnalysis
            | Self::PersonaExtract
            | Self::HyperalignHypotheses => &[Part::Past],
            Self::TrsrUpdate | Self::PersonaRefine => &[Part::Notes, Part::Past],
            Self::TrsrMerge => &[Part::Notes],
            Self::Idiolect | Self::Cicl | Self::Hyperalign => {
                &[Part::Target, Part::Past, Part::Notes]
            }
            Self::PersonaDb => &[Part::Target, Part::Notes, Part::Past, Part::Others],
            Self::Judge | Self::JudgePair => &[Part::Target, Part::Own, Part::Judged],
        }
    }
}
