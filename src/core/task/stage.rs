//! The steps that ask the language model.

use super::Part;

/// A step that asks the language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Tells how a user's text differs from the representatives' on one item (DPL).
    Difference,
    /// Makes a profile of differences and past texts (DPL).
    Summary,
    /// Writes from past texts and the profile (DPL).
    Generation,
    /// Writes from the target alone.
    NonPerso,
    /// Writes from past texts in one prompt.
    Rag,
    /// Writes in a conversation whose past answers are the user's texts.
    Scp,
    /// Writes in such a conversation, in which each answer follows a wrong one that is rejected.
    Ccp,
    /// Writes in a conversation as [`Stage::Scp`], with what is known of the user before the target.
    Idiolect,
    /// Sums up all of a user's past texts (IntSum).
    IntsumSummary,
    /// Sums up one block of past texts (LLM-TRSR).
    TrsrBlock,
    /// Brings a summary up to date with the next block (LLM-TRSR, recurrent).
    TrsrUpdate,
    /// Sums up the summaries of all blocks (LLM-TRSR, hierarchical).
    TrsrMerge,
    /// Tells what separates a user's texts from others' on the same items (CICL).
    CiclAnalysis,
    /// Writes from such pairs and what was told of them (CICL).
    Cicl,
    /// Takes a structured persona out of past texts (Persona-DB).
    PersonaExtract,
    /// Infers what the persona does not yet say (Persona-DB).
    PersonaRefine,
    /// Writes from the persona, past texts and near users' personas and texts (Persona-DB).
    PersonaDb,
    /// Tells differences along the standard and along further dimensions (DRP).
    DrpDifference,
    /// Keeps those of them that truly separate the user (DRP).
    DrpValidation,
    /// Infers hypotheses about a writer from few texts (HyPerAlign).
    HyperalignHypotheses,
    /// Writes from the hypotheses and the texts (HyPerAlign).
    Hyperalign,
    /// Gives points to a text, held against the one that the user really wrote.
    Judge,
    /// Says which of two texts comes nearer to the one that the user really wrote.
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

    /// The parts that a prompt of this stage is made of.
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
