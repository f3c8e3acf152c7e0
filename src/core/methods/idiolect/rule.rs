//! The rules that act on the model's distribution, and their strengths.

use serde::{Deserialize, Serialize};

use super::options::{IdiolectOptions, LexicalOptions};

/// A rule whose strength is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Term {
    /// The power of the model's probabilities.
    Power,
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
    pub const ALL: [Self; 5] =
        [Self::Power, Self::Lexical, Self::Item, Self::Phrases, Self::ItemPhrases];
}

/// Strengths that act on the model's distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Power of the model's probabilities; 1 leaves them as they are.
    pub power: f32,
    /// The user's choice of words.
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
        let bias = |strength| LexicalOptions { strength, prior: 1000.0 };
        Self { power: 1.0, lexical: bias(0.5), item: bias(0.0), phrases: 0.05, item_phrases: 0.0 }
    }
}

impl Rule {
    /// The rule with the strengths that the options give instead.
    pub(super) fn given(self, options: &IdiolectOptions) -> Self {
        let strength = options.lexical.unwrap_or(self.lexical.strength);
        let prior = options.lexical_prior.unwrap_or(self.lexical.prior);
        Self {
            power: options.power.unwrap_or(self.power),
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
        lexical: LexicalOptions { strength: 0.0, prior: 1000.0 },
        item: LexicalOptions { strength: 0.0, prior: 1000.0 },
        phrases: 0.0,
        item_phrases: 0.0,
    };

    pub(super) fn slot(&mut self, term: Term) -> &mut f32 {
        match term {
            Term::Power => &mut self.power,
            Term::Lexical => &mut self.lexical.strength,
            Term::Item => &mut self.item.strength,
            Term::Phrases => &mut self.phrases,
            Term::ItemPhrases => &mut self.item_phrases,
        }
    }

    pub(super) fn with(mut self, term: Term, strength: f64) -> Self {
        *self.slot(term) = strength as f32;
        self
    }

    /// The rule without a term.
    pub(super) fn without(self, term: Term) -> Self {
        let mut none = Self::NONE;
        let strength = *none.slot(term);
        self.with(term, f64::from(strength))
    }
}
