//! Sentence splitting, as NLTK's Punkt does it.

use std::collections::{HashMap, HashSet};

use super::punkt_text::{candidates, punkt_words, realigned};
use super::python::{is_digit, is_word_of_regex, rstrip};

/// Bits of NLTK's `ortho_context.tab`: the positions and cases in which training saw a word type.
const MID_UPPER: u32 = 1 << 2;
const BEGIN_LOWER: u32 = 1 << 4;
const ANY_UPPER: u32 = 1 << 1 | 1 << 2 | 1 << 3;
const ANY_LOWER: u32 = 1 << 4 | 1 << 5 | 1 << 6;

const NUMBER: &str = "##number##";

/// Parameters of Punkt for one language, from NLTK's package `punkt_tab`. The default is untrained:
/// every period after a word ends a sentence, except after an initial or a number before a
/// lower-case word, and after an initial before a capitalized word.
#[derive(Debug, Default)]
pub(super) struct Punkt {
    abbreviations: HashSet<String>,
    /// First word (before a period) to the second words of its collocations.
    collocations: HashMap<String, HashSet<String>>,
    starters: HashSet<String>,
    contexts: HashMap<String, u32>,
}

impl Punkt {
    /// Parses the four files of a language's folder in `punkt_tab`. `Err` is the number of the
    /// malformed line of `ortho_context`.
    pub(super) fn parse(
        abbreviations: &str,
        collocations: &str,
        starters: &str,
        contexts: &str,
    ) -> Result<Self, usize> {
        let mut punkt = Self {
            abbreviations: abbreviations.lines().map(str::to_owned).collect(),
            starters: starters.lines().map(str::to_owned).collect(),
            ..Self::default()
        };
        for (first, second) in collocations.lines().filter_map(|line| line.split_once('\t')) {
            punkt.collocations.entry(first.to_owned()).or_default().insert(second.to_owned());
        }
        for (line, number) in contexts.lines().zip(1_usize..) {
            let (word, bits) = line.split_once('\t').ok_or(number)?;
            let bits = bits.parse().map_err(|_| number)?;
            punkt.contexts.insert(word.to_owned(), bits);
        }
        Ok(punkt)
    }

    /// Sentences of a text (Kiss and Strunk 2006, "Unsupervised multilingual sentence boundary
    /// detection"; as in NLTK 3.10, closing quotes and brackets are moved back to the sentence they
    /// close).
    pub(super) fn sentences<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut slices = Vec::new();
        let mut start = 0;
        for candidate in candidates(text) {
            if self.has_break(&text[candidate.context_start..candidate.context_end]) {
                slices.push((start, candidate.end));
                start = candidate.next_start;
            }
        }
        slices.push((start, rstrip(text).len()));
        realigned(text, &slices)
    }

    /// Whether a sentence ends in a context of a few words, before its last word.
    fn has_break(&self, context: &str) -> bool {
        let lines = context.split('\n').filter(|line| !rstrip(line).is_empty());
        let mut tokens: Vec<Token> =
            lines.flat_map(punkt_words).map(|word| self.first_pass(word)).collect();
        for i in 1..tokens.len() {
            let (before, after) = tokens.split_at_mut(i);
            if let (Some(token), Some(next)) = (before.last_mut(), after.first()) {
                self.second_pass(token, next);
                if token.ends_sentence {
                    return true;
                }
            }
        }
        false
    }

    /// Token with its classification by form alone.
    fn first_pass<'t>(&self, word: &'t str) -> Token<'t> {
        let mut token = Token {
            word,
            kind: kind(word),
            ends_sentence: false,
            is_abbreviation: false,
            is_ellipsis: false,
        };
        if matches!(word, "." | "?" | "!") {
            token.ends_sentence = true;
        } else if word.len() > 1 && word.bytes().all(|b| b == b'.') {
            token.is_ellipsis = true;
        } else if let Some(stem) = word.strip_suffix('.').filter(|stem| !stem.ends_with('.')) {
            let stem = stem.to_lowercase();
            let last = stem.rsplit('-').next().unwrap_or_default();
            if self.abbreviations.contains(&stem) || self.abbreviations.contains(last) {
                token.is_abbreviation = true;
            } else {
                token.ends_sentence = true;
            }
        }
        token
    }

    /// Reclassifies a token with a period by the next token: sections 4.1 to 4.3 of the paper.
    fn second_pass(&self, token: &mut Token, next: &Token) {
        if !token.word.ends_with('.') {
            return;
        }
        let kind = without_period(&token.kind);
        let next_kind = next.kind_in_sentence();
        if self.collocations.get(kind).is_some_and(|seconds| seconds.contains(next_kind)) {
            token.ends_sentence = false;
            return;
        }
        let is_initial = token.is_initial();
        let begins = self.begins_sentence(next);
        if (token.is_abbreviation || token.is_ellipsis) && !is_initial {
            let is_starter = next.is_upper() && self.starters.contains(next_kind);
            if begins == Some(true) || is_starter {
                token.ends_sentence = true;
                return;
            }
        }
        if is_initial || kind == NUMBER {
            let is_name = begins.is_none()
                && is_initial
                && next.is_upper()
                && self.context(next_kind) & ANY_LOWER == 0;
            if begins == Some(false) || is_name {
                token.ends_sentence = false;
            }
        }
    }

    /// Whether a token begins a sentence, by the cases seen in training; `None` if unknown.
    fn begins_sentence(&self, token: &Token) -> Option<bool> {
        if matches!(token.word, ";" | ":" | "," | "." | "!" | "?") {
            return Some(false);
        }
        let context = self.context(token.kind_in_sentence());
        if token.is_upper() && context & ANY_LOWER != 0 && context & MID_UPPER == 0 {
            return Some(true);
        }
        let is_lower = token.word.chars().next().is_some_and(char::is_lowercase);
        if is_lower && (context & ANY_UPPER != 0 || context & BEGIN_LOWER == 0) {
            return Some(false);
        }
        None
    }

    fn context(&self, kind: &str) -> u32 {
        self.contexts.get(kind).copied().unwrap_or(0)
    }
}

/// A word of a candidate's context.
struct Token<'t> {
    word: &'t str,
    /// The word in lower case; [`NUMBER`] for a number.
    kind: String,
    ends_sentence: bool,
    is_abbreviation: bool,
    is_ellipsis: bool,
}

impl Token<'_> {
    fn kind_in_sentence(&self) -> &str {
        if self.ends_sentence { without_period(&self.kind) } else { &self.kind }
    }

    fn is_upper(&self) -> bool {
        self.word.chars().next().is_some_and(char::is_uppercase)
    }

    /// Whether the token is one letter and a period.
    fn is_initial(&self) -> bool {
        let mut chars = self.word.chars();
        let first = chars.next();
        chars.as_str() == "." && first.is_some_and(|c| is_word_of_regex(c) && !is_digit(c))
    }
}

fn without_period(kind: &str) -> &str {
    kind.strip_suffix('.').filter(|stem| !stem.is_empty()).unwrap_or(kind)
}

/// A word in lower case, or [`NUMBER`] if it consists of digits, commas, periods and dashes and
/// begins with a digit, after an optional minus and an optional period or comma.
fn kind(word: &str) -> String {
    let lower = word.to_lowercase();
    let digits = lower.strip_prefix('-').unwrap_or(&lower);
    let mut digits = digits.strip_prefix(['.', ',']).unwrap_or(digits).chars();
    let is_number = digits.next().is_some_and(is_digit)
        && digits.all(|c| is_digit(c) || matches!(c, ',' | '.' | '-'));
    if is_number { NUMBER.to_owned() } else { lower }
}
