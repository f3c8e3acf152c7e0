//! Sentences as NLTK's Punkt finds them.

use std::collections::{HashMap, HashSet};

use super::python::{is_digit, is_word_of_regex, rstrip};

/// Where a word type was seen in training, by the bits of NLTK's `ortho_context.tab`.
const MID_UPPER: u32 = 1 << 2;
const BEGIN_LOWER: u32 = 1 << 4;
const ANY_UPPER: u32 = 1 << 1 | 1 << 2 | 1 << 3;
const ANY_LOWER: u32 = 1 << 4 | 1 << 5 | 1 << 6;

const NUMBER: &str = "##number##";

/// What Punkt has learned of a language: its parameters in NLTK's package `punkt_tab`. The default
/// has learned nothing: every period after a word ends a sentence, save after an initial or a number
/// before a word in lower case or an initial before a capital.
#[derive(Debug, Default)]
pub(super) struct Punkt {
    abbreviations: HashSet<String>,
    /// Second words by first words, which stand before a period.
    collocations: HashMap<String, HashSet<String>>,
    starters: HashSet<String>,
    contexts: HashMap<String, u32>,
}

impl Punkt {
    /// The four files of `punkt_tab`'s folder of a language; `Err` is the number of the line of
    /// `ortho_context` that cannot be read.
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

    /// The sentences of a text (Kiss and Strunk 2006, "Unsupervised multilingual sentence boundary
    /// detection"; as NLTK 3.10 finds them, closing quotes and brackets put back to their sentence).
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

    /// Whether a sentence ends within a text of a few words, before its last one.
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

    /// What a token is by itself.
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

    /// What a token with a period is beside the next one: sections 4.1 to 4.3 of the paper.
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

    /// Whether a token is the first of a sentence, by the case it is seen in; `None` is unknown.
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

/// A word of a context.
struct Token<'t> {
    word: &'t str,
    /// In lower case; a number is [`NUMBER`].
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

    /// One letter and a period.
    fn is_initial(&self) -> bool {
        let mut chars = self.word.chars();
        let first = chars.next();
        chars.as_str() == "." && first.is_some_and(|c| is_word_of_regex(c) && !is_digit(c))
    }
}

fn without_period(kind: &str) -> &str {
    kind.strip_suffix('.').filter(|stem| !stem.is_empty()).unwrap_or(kind)
}

/// A word in lower case; one of digits, commas, periods and dashes, which begins with a digit but
/// for a sign and a point, is [`NUMBER`].
fn kind(word: &str) -> String {
    let lower = word.to_lowercase();
    let digits = lower.strip_prefix('-').unwrap_or(&lower);
    let mut digits = digits.strip_prefix(['.', ',']).unwrap_or(digits).chars();
    let is_number = digits.next().is_some_and(is_digit)
        && digits.all(|c| is_digit(c) || matches!(c, ',' | '.' | '-'));
    if is_number { NUMBER.to_owned() } else { lower }
}

/// A place where a sentence may end.
struct Candidate {
    /// Beginning of the word before it.
    context_start: usize,
    /// End of what follows it: a bracket or quote, or the next word.
    context_end: usize,
    /// End of the sentence.
    end: usize,
    /// Beginning of the next one.
    next_start: usize,
}

/// Where sentences may end; of several in one word the last.
fn candidates(text: &str) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut previous = (0, 0);
    let mut has_previous = false;
    for (at, _) in text.match_indices(['.', '?', '!']) {
        let after = &text[at + 1..];
        let Some(next) = after.chars().next() else { continue };
        let (context_end, next_start) = if is_non_word(next) {
            (at + 1 + next.len_utf8(), at + 1)
        } else if next.is_whitespace() {
            let word = after.trim_start();
            if word.is_empty() {
                continue;
            }
            let start = text.len() - word.len();
            (start + word.find(char::is_whitespace).unwrap_or(word.len()), start)
        } else {
            continue;
        };
        // NLTK takes a space in first place for none.
        let context_start = match text[previous.1..at].rfind(is_ascii_space) {
            Some(space) if space > 0 => previous.1 + space + 1,
            _ => previous.0,
        };
        if has_previous && previous.1 > context_start {
            found.pop();
        }
        found.push(Candidate { context_start, context_end, end: at + 1, next_start });
        previous = (context_start, at);
        has_previous = true;
    }
    found
}

/// Python's `string.whitespace`.
fn is_ascii_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// What never stands within a word.
fn is_non_word(c: char) -> bool {
    matches!(c, ')' | '"' | ';' | '}' | ']' | '*' | ':' | '@' | '\'' | '(' | '{' | '[' | '?' | '!')
        || is_quote(c)
}

fn is_quote(c: char) -> bool {
    matches!(c, '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '«' | '»')
}

/// Words of a line, punctuation other than periods apart.
fn punkt_words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let n = match run_of_punctuation(rest) {
            Some(n) => n,
            None if begins_word(first) => word_len(rest, first.len_utf8()),
            None => first.len_utf8(),
        };
        let (word, after) = rest.split_at(n);
        rest = after;
        Some(word)
    })
}

fn begins_word(c: char) -> bool {
    !matches!(
        c,
        '(' | '"'
            | '`'
            | '{'
            | '['
            | ':'
            | ';'
            | '&'
            | '#'
            | '*'
            | '@'
            | ')'
            | '}'
            | ']'
            | '-'
            | ','
    )
}

/// Length of a word whose first character has `first` bytes.
fn word_len(text: &str, first: usize) -> usize {
    let ends = |rest: &str| {
        rest.chars().next().is_none_or(|c| c.is_whitespace() || is_non_word(c))
            || run_of_punctuation(rest).is_some()
    };
    text[first..]
        .char_indices()
        .map(|(at, c)| (first + at, c))
        .find(|&(at, c)| ends(&text[at..]) || (c == ',' && ends(&text[at + 1..])))
        .map_or(text.len(), |(at, _)| at)
}

/// Length of two or more dashes or periods at the beginning of a text, or of three or more periods
/// with a space between each two.
fn run_of_punctuation(text: &str) -> Option<usize> {
    let first = text.bytes().next().filter(|b| matches!(b, b'-' | b'.'))?;
    let n = text.bytes().take_while(|&b| b == first).count();
    if n >= 2 {
        return Some(n);
    }
    let mut len = 1;
    let mut n_periods = 1;
    let mut rest = text.strip_prefix('.')?.chars();
    while let Some(space) = rest.next().filter(|c| c.is_whitespace()) {
        if rest.next() != Some('.') {
            break;
        }
        len += space.len_utf8() + 1;
        n_periods += 1;
    }
    (n_periods >= 3).then_some(len)
}

/// Gives quotes and brackets at the beginning of a slice to the one before.
fn realigned<'t>(text: &'t str, slices: &[(usize, usize)]) -> Vec<&'t str> {
    let mut sentences = Vec::with_capacity(slices.len());
    let mut taken = 0;
    for (i, &(start, end)) in slices.iter().enumerate() {
        let start = start + taken;
        taken = 0;
        let mut end = end;
        if let Some(&(next_start, next_end)) = slices.get(i + 1) {
            let next = text.get(next_start..next_end).unwrap_or_default();
            if let Some((n_closing, n_taken)) = closing(next) {
                end = next_start + n_closing;
                taken = n_taken;
                sentences.push(text.get(start..end).unwrap_or_default());
                continue;
            }
        }
        if let Some(sentence) = text.get(start..end).filter(|sentence| !sentence.is_empty()) {
            sentences.push(sentence);
        }
    }
    sentences
}

/// Length of the closing quotes and brackets that a text begins with, if white space, two dashes or
/// its end follows them; and their length with that white space.
fn closing(text: &str) -> Option<(usize, usize)> {
    let is_closing = |c| matches!(c, '"' | '\'' | ')' | ']' | '}') || is_quote(c);
    let n = text.find(|c| !is_closing(c)).unwrap_or(text.len());
    let after = &text[n..];
    let n_space = after.len() - after.trim_start().len();
    let ends = n_space > 0 || after.is_empty() || after.starts_with("--");
    (n > 0 && ends).then_some((n, n + n_space))
}
