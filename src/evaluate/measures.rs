//! What can be measured, and what each takes.

use serde::Serialize;

/// A group of measures that take the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Written texts against the real ones: ROUGE, BLEU, METEOR, lengths, variety, copies.
    Lexical,
    /// Bits a token of the real text, with the user's history, others' and nobody's. Nothing is
    /// written, save what a method's own prompt takes.
    Likelihood,
    /// The lexical measures once more with another user's history, and what the right one gains.
    WrongUser,
    /// Texts and bits where the real title is withheld: it gives the writer's voice away.
    NeutralTitle,
    /// Whose text is whose, of two users on one item with neither rating nor title.
    Swap,
    /// The texts of the swap test: whose are they among fifty?
    Identification,
    /// A language model's opinion how near a text comes to the real one.
    Judge,
    /// Its opinion which of two methods' texts comes nearer.
    JudgePairs,
}

impl Measure {
    /// All, in the order of reports.
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

/// Measures that are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Measures(Vec<Measure>);

impl Measures {
    /// Each once, in the order of reports.
    #[must_use]
    pub fn new(asked: &[Measure]) -> Self {
        Self(Measure::ALL.into_iter().filter(|measure| asked.contains(measure)).collect())
    }

    /// Whether a measure is asked for.
    #[must_use]
    pub fn has(&self, measure: Measure) -> bool {
        self.0.contains(&measure)
    }

    /// Whether texts are written with the right history.
    #[must_use]
    pub fn writes(&self) -> bool {
        let write = [Measure::Lexical, Measure::WrongUser, Measure::Judge, Measure::JudgePairs];
        write.iter().any(|measure| self.has(*measure))
    }

    /// Whether held-out texts are tried, and not pairs of users alone.
    #[must_use]
    pub fn cases(&self) -> bool {
        self.writes() || self.has(Measure::Likelihood) || self.has(Measure::NeutralTitle)
    }

    /// Whether pairs of users are written for.
    #[must_use]
    pub fn swaps(&self) -> bool {
        self.has(Measure::Swap) || self.has(Measure::Identification)
    }
}
