//! Word lists of the counted words, by language.
//!
//! The lists are our own. Existing crates for tone (ports of VADER; Hutto and Gilbert 2014) return
//! one figure for a whole English text and not the words that it comes from, which evidence needs.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use idiolect_metrics::text::{for_each_word, function_word};

const FILES: [(&str, &str); 2] = [
    ("en", include_str!("../../../../data/words/en.toml")),
    ("de", include_str!("../../../../data/words/de.toml")),
];

static LEXICONS: LazyLock<Vec<StyleLexicon>> = LazyLock::new(|| {
    FILES.iter().filter_map(|(language, text)| StyleLexicon::parse(language, text).ok()).collect()
});

/// Sense of a listed word or phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    Booster,
    Hedge,
    Address,
    Comparison,
    Humour,
    Dropped,
    Spelling,
    Contracted,
}

/// Flags of a single word.
pub(super) mod flag {
    pub(in super::super) const FUNCTION: u16 = 1;
    pub(in super::super) const POSITIVE: u16 = 1 << 1;
    pub(in super::super) const NEGATIVE: u16 = 1 << 2;
    pub(in super::super) const NEGATION: u16 = 1 << 3;
    pub(in super::super) const FIRST_PERSON: u16 = 1 << 4;
    pub(in super::super) const ITEM: u16 = 1 << 5;
    pub(in super::super) const ACRONYM: u16 = 1 << 6;
    pub(in super::super) const SUBJECT: u16 = 1 << 7;
    pub(in super::super) const VERB: u16 = 1 << 8;
    pub(in super::super) const AUXILIARY: u16 = 1 << 9;
    pub(in super::super) const NEGATOR: u16 = 1 << 10;
}

/// Entry of a word: its flags, and the phrases that begin with it.
#[derive(Debug, Default)]
pub(super) struct LexiconEntry {
    /// See [`flag`].
    pub(super) flags: u16,
    /// Phrases that begin with the word: the words after it, and the sense of the whole; longest
    /// first.
    pub(super) phrases: Vec<(Vec<String>, Sense)>,
}

/// The lists of one language.
#[derive(Debug)]
pub(super) struct StyleLexicon {
    /// Language code, `en` or `de`.
    pub(super) language: &'static str,
    words: HashMap<String, LexiconEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    #[serde(default)]
    function: String,
    boosters: String,
    hedges: String,
    positive: String,
    negative: String,
    negations: String,
    first_person: String,
    item: String,
    address: String,
    comparisons: String,
    humour: String,
    dropped: String,
    spellings: String,
    acronyms: String,
    subjects: String,
    verbs: String,
    auxiliaries: String,
    negator: String,
    contracted: String,
}

impl StyleLexicon {
    fn parse(language: &'static str, text: &str) -> Result<Self, toml::de::Error> {
        let lists: Lists = toml::from_str(text)?;
        let mut words: HashMap<String, LexiconEntry> = HashMap::new();
        let listed = |list: &str| -> Vec<String> {
            let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
            entries.map(str::to_owned).collect()
        };
        for (list, flag) in [
            (&lists.function, flag::FUNCTION),
            (&lists.positive, flag::POSITIVE),
            (&lists.negative, flag::NEGATIVE),
            (&lists.negations, flag::NEGATION),
            (&lists.first_person, flag::FIRST_PERSON),
            (&lists.item, flag::ITEM),
            (&lists.acronyms, flag::ACRONYM),
            (&lists.subjects, flag::SUBJECT),
            (&lists.verbs, flag::VERB),
            (&lists.auxiliaries, flag::AUXILIARY),
            (&lists.negator, flag::NEGATOR),
        ] {
            for word in listed(list) {
                words.entry(word).or_default().flags |= flag;
            }
        }
        for (list, sense) in [
            (&lists.boosters, Sense::Booster),
            (&lists.hedges, Sense::Hedge),
            (&lists.address, Sense::Address),
            (&lists.comparisons, Sense::Comparison),
            (&lists.humour, Sense::Humour),
            (&lists.dropped, Sense::Dropped),
            (&lists.spellings, Sense::Spelling),
            (&lists.contracted, Sense::Contracted),
        ] {
            for phrase in listed(list) {
                let mut of_phrase = phrase.split_whitespace().map(str::to_owned);
                let Some(first) = of_phrase.next() else { continue };
                words.entry(first).or_default().phrases.push((of_phrase.collect(), sense));
            }
        }
        for entry in words.values_mut() {
            entry.phrases.sort_by_key(|(rest, _)| std::cmp::Reverse(rest.len()));
        }
        Ok(Self { language, words })
    }

    /// Detects the language of texts by their share of function words; `None` if no listed language
    /// has enough of them.
    pub(super) fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Option<&'static Self> {
        /// Minimum share of function words; running text in the language has twice that.
        const MIN_SHARE: f64 = 0.2;
        let lexicons = &*LEXICONS;
        let (mut n_words, mut found) = (0_usize, vec![0_usize; lexicons.len()]);
        for text in texts {
            for_each_word(text, |_, word| {
                n_words += 1;
                for (lexicon, found) in lexicons.iter().zip(&mut found) {
                    *found += usize::from(lexicon.is_function(word));
                }
            });
        }
        let (lexicon, most) = lexicons.iter().zip(found).max_by_key(|(_, n)| *n)?;
        (n_words > 0 && most as f64 >= MIN_SHARE * n_words as f64).then_some(lexicon)
    }

    /// The lists of the language with this code, if there are any.
    pub(super) fn named(language: &str) -> Option<&'static Self> {
        LEXICONS.iter().find(|lexicon| lexicon.language == language)
    }

    /// The entry of a word in lower case, if it has one.
    pub(super) fn entry(&self, word: &str) -> Option<&LexiconEntry> {
        self.words.get(word)
    }

    /// Whether a word is a function word.
    pub(super) fn is_function(&self, word: &str) -> bool {
        match self.language {
            "en" => function_word(word).is_some(),
            _ => self.entry(word).is_some_and(|entry| entry.flags & flag::FUNCTION != 0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_list_can_be_read() {
        for (language, text) in FILES {
            StyleLexicon::parse(language, text).unwrap();
        }
    }

    #[test]
    fn a_language_is_told_by_its_little_words() {
        let of = |text: &'static str| StyleLexicon::of([text].into_iter()).map(|l| l.language);
        assert_eq!(of("It is a kettle and it whistles, but I do not like the lid."), Some("en"));
        assert_eq!(
            of("Der Kessel pfeift und ist schnell, aber der Deckel ist nicht gut."),
            Some("de")
        );
        assert_eq!(
            of("La bouilloire siffle fort quand elle chauffe, c'est parfait pour nous."),
            None
        );
        assert_eq!(of("!!! :)"), None);
    }
}
