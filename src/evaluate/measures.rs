//! Measures of an evaluation and the work they need.

use serde::Serialize;

/// A group of measures that need the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Generated texts against the real ones: ROUGE, BLEU, METEOR, lengths, diversity, copies.
    Lexical,
    /// Bits per token of the real text with the user's history, with other users' and with none.
    /// Generates only what a method's own prompt needs.
    Likelihood,
    /// Lexical measures with another user's history, and the gain of the right history over it.
    WrongUser,
    /// Texts and bits without the real title, which reveals the user's style.
    NeutralTitle,
    /// Swap test: matches two generated texts to two users on one item, without rating and title.
    Swap,
    /// Identification: rank of the true user among fifty for each text of the swap test.
    Identification,
    /// A language model's rating of a text's similarity to the real one.
    Judge,
    /// The judge's preference between two methods' texts.
    JudgePairs,
}

impl Measure {
    /// All measures, in report order.
    pub const ALL: [Self; 8] = [
        Self::Lexical,
        Self::Likelihood,
        Self::WrongUser,
        Self::NeutralTitle,
        Self::Swap,
        Self::Identification,
        Self::Judge,
        Self::JudgePairs,
    ];

    /// Name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Likelihood => "likelihood",
            Self::WrongUser => "wrong-user",
            Self::NeutralTitle => "neutral-title",
            Self::Swap => "swap",
            Self::Identification => "identification",
            Self::Judge => "judge",
            Self::JudgePairs => "judge-pairs",
        }
    }
}

/// Requested measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Measures(Vec<Measure>);

impl Measures {
    /// The requested measures, each once, in report order.
    #[must_use]
    pub fn new(asked: &[Measure]) -> Self {
        Self(Measure::ALL.into_iter().filter(|measure| asked.contains(measure)).collect())
    }

    /// Whether a measure is requested.
    #[must_use]
    pub fn has(&self, measure: Measure) -> bool {
        self.0.contains(&measure)
    }

    /// Whether texts are generated with the right history.
    #[must_use]
    pub fn writes(&self) -> bool {
        let write = [Measure::Lexical, Measure::WrongUser, Measure::Judge, Measure::JudgePairs];
        write.iter().any(|measure| self.has(*measure))
    }

    /// Whether held-out texts are evaluated, not only pairs of users.
    #[must_use]
    pub fn cases(&self) -> bool {
        self.writes() || self.has(Measure::Likelihood) || self.has(Measure::NeutralTitle)
    }

    /// Whether texts are generated for pairs of users.
    #[must_use]
    pub fn swaps(&self) -> bool {
        self.has(Measure::Swap) || self.has(Measure::Identification)
    }
}
