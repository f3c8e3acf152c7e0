//! The rules that act on the model's distribution, and their strengths.

use serde::{Deserialize, Serialize};

use super::options::{IdiolectOptions, LexicalOptions};
use crate::steering::ExpectedScore;

/// A rule whose strength is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Term {
    /// The power of the model's probabilities.
    Power,
    /// All users' words against the model's expectation.
    Corpus,
    /// The user's words against the model's expectation.
    Expected,
    /// The user's choice of words.
    Lexical,
    /// The choice of words in others' texts on the item.
    Item,
    /// The user's n-gram cache.
    Phrases,
    /// The n-gram cache of others' texts on the item.
    ItemPhrases,
}

impl Term {
    /// All terms.
    pub const ALL: [Self; 7] = [
        Self::Power,
        Self::Corpus,
        Self::Expected,
        Self::Lexical,
        Self::Item,
        Self::Phrases,
        Self::ItemPhrases,
    ];
}

/// Strengths that act on the model's distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Power of the model's probabilities; 1 leaves them as they are.
    pub power: f32,
    /// All users' words against the model's expectation.
    pub corpus: ExpectedScore,
    /// The user's words against the model's expectation.
    pub expected: ExpectedScore,
    /// The user's choice of words against others'.
    pub lexical: LexicalOptions,
    /// The choice of words in others' texts on the item.
    pub item: LexicalOptions,
    /// Interpolation weight of the user's n-gram cache, 0 to 1.
    pub phrases: f32,
    /// Interpolation weight of the n-gram cache of others' texts on the item, 0 to 1.
    pub item_phrases: f32,
}

impl Default for Rule {
    /// Strengths that are used without an estimate, and for a corpus of too few users.
    fn default() -> Self {
        let (corpus, expected) = (Self::NONE.corpus, Self::NONE.expected);
        Self {
            corpus: ExpectedScore { strength: 1.0, ..corpus },
            expected: ExpectedScore { strength: 1.0, ..expected },
            ..Self::NONE
        }
    }
}

impl Rule {
    /// The rule with the strengths that the options give instead.
    pub(super) fn given(self, options: &IdiolectOptions) -> Self {
        let strength = options.lexical.unwrap_or(self.lexical.strength);
        let prior = options.lexical_prior.unwrap_or(self.lexical.prior);
        Self {
            power: options.power.unwrap_or(self.power),
            corpus: ExpectedScore {
                strength: options.corpus.unwrap_or(self.corpus.strength),
                ..self.corpus
            },
            expected: ExpectedScore {
                strength: options.expected.unwrap_or(self.expected.strength),
                prior: options.expected_prior.unwrap_or(self.expected.prior),
            },
            lexical: LexicalOptions { strength, prior },
            item: LexicalOptions {
                strength: options.item.unwrap_or(self.item.strength),
                ..self.item
            },
            phrases: options.phrases.unwrap_or(self.phrases),
            item_phrases: options.item_phrases.unwrap_or(self.item_phrases),
        }
    }
}

impl Rule {
    /// The rule that leaves the model's distribution as it is.
    pub(super) const NONE: Self = Self {
        power: 1.0,
        corpus: ExpectedScore { strength: 0.0, prior: 3.0 },
        expected: ExpectedScore { strength: 0.0, prior: 2.0 },
        lexical: LexicalOptions { strength: 0.0, prior: 1000.0 },
        item: LexicalOptions { strength: 0.0, prior: 1000.0 },
        phrases: 0.0,
        item_phrases: 0.0,
    };

    pub(super) fn strength(&self, term: Term) -> f64 {
        match term {
            Term::Power => f64::from(self.power),
            Term::Corpus => f64::from(self.corpus.strength),
            Term::Expected => f64::from(self.expected.strength),
            Term::Lexical => f64::from(self.lexical.strength),
            Term::Item => f64::from(self.item.strength),
            Term::Phrases => f64::from(self.phrases),
            Term::ItemPhrases => f64::from(self.item_phrases),
        }
    }

    pub(super) fn with(mut self, term: Term, strength: f64) -> Self {
        let slot = match term {
            Term::Power => &mut self.power,
            Term::Corpus => &mut self.corpus.strength,
            Term::Expected => &mut self.expected.strength,
            Term::Lexical => &mut self.lexical.strength,
            Term::Item => &mut self.item.strength,
            Term::Phrases => &mut self.phrases,
            Term::ItemPhrases => &mut self.item_phrases,
        };
        *slot = strength as f32;
        self
    }

    /// The rule for a model that does not tell its distributions: others' texts take the place of the
    /// model's expectation.
    pub(super) fn counted(self, options: &IdiolectOptions) -> Self {
        let strength = options.lexical.unwrap_or(0.5);
        let none = |score: ExpectedScore| ExpectedScore { strength: 0.0, ..score };
        let lexical = LexicalOptions { strength, ..self.lexical };
        Self { lexical, expected: none(self.expected), corpus: none(self.corpus), ..self }
    }

    /// Whether the rule reads what the model expects of the user's texts.
    pub(super) fn reads_expectations(&self) -> bool {
        self.expected.strength > 0.0 || self.corpus.strength > 0.0
    }

    /// The rule without a term.
    pub(super) fn without(self, term: Term) -> Self {
        self.with(term, Self::NONE.strength(term))
    }
}
