//! Groups of metrics of an evaluation and the work they need.

use serde::{Deserialize, Serialize};

/// A group of metrics that need the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricGroup {
    /// Generated texts against the real ones: ROUGE, BLEU, METEOR, lengths, diversity, copies.
    Lexical,
    /// Bits per token of the real text with the user's history, with other users' and with none.
    /// Generates only what a method's own prompt needs.
    Likelihood,
    /// Lexical metrics with another user's history, and the gain of the right history over it.
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

impl MetricGroup {
    /// All metric groups, in report order.
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

/// Requested metric groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct MetricSet(Vec<MetricGroup>);

impl MetricSet {
    /// The requested metric groups, each once, in report order.
    #[must_use]
    pub fn new(asked: &[MetricGroup]) -> Self {
        Self(MetricGroup::ALL.into_iter().filter(|group| asked.contains(group)).collect())
    }

    /// Whether a group is requested.
    #[must_use]
    pub fn has(&self, group: MetricGroup) -> bool {
        self.0.contains(&group)
    }

    /// Whether texts are generated with the right history.
    #[must_use]
    pub fn writes(&self) -> bool {
        let write = [
            MetricGroup::Lexical,
            MetricGroup::WrongUser,
            MetricGroup::Judge,
            MetricGroup::JudgePairs,
        ];
        write.iter().any(|group| self.has(*group))
    }

    /// Whether held-out texts are evaluated, not only pairs of users.
    #[must_use]
    pub fn cases(&self) -> bool {
        self.writes() || self.has(MetricGroup::Likelihood) || self.has(MetricGroup::NeutralTitle)
    }

    /// Whether texts are generated for pairs of users.
    #[must_use]
    pub fn swaps(&self) -> bool {
        self.has(MetricGroup::Swap) || self.has(MetricGroup::Identification)
    }
}
