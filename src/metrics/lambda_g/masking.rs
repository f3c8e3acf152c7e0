//! Texts as sentences of function words, punctuation and placeholders.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::text::{for_each_word, function_word};

/// Minimum share of English function words for a population to count as English; running text has
/// more than twice that.
const ENGLISH_SHARE: f64 = 0.2;
/// Most words that a population without a list keeps.
const MAX_KEPT: usize = 300;
/// Longest run of one punctuation mark that is told from longer ones.
const MAX_RUN: usize = 3;

/// Placeholder of a number, of a symbol and of a word.
const NUMBER: &str = "D";
const SYMBOL: &str = "S";
const WORD: &str = "W";

/// Content masking without a part-of-speech tagger.
///
/// Kept are function words, in lower case, and punctuation; runs of one mark are one token, and
/// runs of more than three are cut to three. A word that begins with a digit becomes `D`, a symbol
/// that is not punctuation `S`, and any other word `W`, in English with its ending: `Wing`, `Wed`,
/// `Wly`, `Ws` (plurals and third persons) or `W's`. Capitals do not matter.
///
/// The paper masks with POSnoise (Halvani and Graner, arXiv 2005.06605), which replaces nouns,
/// verbs, adjectives, adverbs, numbers and symbols by their part of speech and keeps some 1,000
/// listed words. This masking needs no tagger: it is the text distortion of Stamatatos ("Authorship
/// attribution using text distortion", 2017, algorithm DV-SA), plus the endings, which stand for
/// part of what the tags say. They are wrong for some words (`family` is `Wly`), for every author
/// alike.
///
/// In populations where fewer than a fifth of the words are English function words, the function
/// words are those that at least half of the authors use, at most 300, and words have no endings.
/// These can include words of a topic that all authors write about. Scripts without spaces between
/// words are not supported: whole clauses are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masking {
    /// Words that are kept; `None` for English function words.
    kept: Option<HashSet<String>>,
}

impl Masking {
    /// Masking for a population: the texts of each author.
    #[must_use]
    pub fn of<T: AsRef<str>, A: AsRef<[T]>>(authors: &[A]) -> Self {
        let (mut n_words, mut n_english) = (0_usize, 0_usize);
        let mut n_users: HashMap<String, usize> = HashMap::new();
        for texts in authors {
            let mut used = BTreeSet::new();
            for text in texts.as_ref() {
                for_each_word(text.as_ref(), |_, word| {
                    n_words += 1;
                    n_english += usize::from(function_word(word).is_some());
                    if !used.contains(word) {
                        used.insert(word.to_owned());
                    }
                });
            }
            used.into_iter().for_each(|word| *n_users.entry(word).or_default() += 1);
        }
        if n_english as f64 >= ENGLISH_SHARE * n_words as f64 {
            return Self { kept: None };
        }
        let least = authors.len().div_ceil(2).max(1);
        let mut common: Vec<(String, usize)> =
            n_users.into_iter().filter(|(_, n)| *n >= least).collect();
        common.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        Self { kept: Some(common.into_iter().take(MAX_KEPT).map(|(word, _)| word).collect()) }
    }

    /// Sentences of a text, as tokens. A sentence ends at a line break, at `.`, `?`, `!` or `…`
    /// before white space, quotes and brackets between them included, or at `。`, `！` or `？`. A
    /// text without tokens has no sentences.
    #[must_use]
    pub fn sentences(&self, text: &str) -> Vec<Vec<String>> {
        let mut sentences = SentenceBuilder::default();
        let mut at = 0;
        for_each_word(text, |span, word| {
            sentences.between_words(&text[at..span.start]);
            sentences.push(self.masked(word));
            at = span.end;
        });
        sentences.between_words(&text[at..]);
        sentences.finish()
    }

    /// The token of a word in lower case.
    fn masked(&self, word: &str) -> String {
        let is_kept = match &self.kept {
            Some(kept) => kept.contains(word),
            None => function_word(word).is_some(),
        };
        if is_kept {
            return word.to_owned();
        }
        if word.starts_with(char::is_numeric) {
            return NUMBER.to_owned();
        }
        format!("{WORD}{}", if self.kept.is_none() { ending(word) } else { "" })
    }
}

/// The ending of an English word: of those that inflect or derive, the one that it has after a stem
/// with a vowel (as step 1 of Porter's stemmer requires), or none.
fn ending(word: &str) -> &'static str {
    const ENDINGS: [&str; 5] = ["'s", "ing", "ed", "ly", "s"];
    let has_vowel = |stem: &str| stem.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    let found = ENDINGS.into_iter().find_map(|ending| Some((ending, word.strip_suffix(ending)?)));
    match found {
        Some(("'s", _)) => "'s",
        Some(("ed", stem)) if stem.ends_with('e') => "",
        Some(("s", stem)) if stem.ends_with(['s', 'u', 'i']) => "",
        Some((ending, stem)) if has_vowel(stem) => ending,
        _ => "",
    }
}

/// Sentences that are being read.
#[derive(Default)]
struct SentenceBuilder {
    done: Vec<Vec<String>>,
    open: Vec<String>,
    /// Whether the open sentence has a mark that ends it if white space follows.
    may_end: bool,
    /// Whether the mark ends it without white space, as in Chinese.
    ends_anyway: bool,
    /// The last character and the length of its run, while nothing else follows.
    run: Option<(char, usize)>,
}

impl SentenceBuilder {
    /// Adds a word's token.
    fn push(&mut self, token: String) {
        if self.ends_anyway {
            self.end();
        }
        self.run = None;
        self.may_end = false;
        self.open.push(token);
    }

    /// Reads the characters between two words.
    fn between_words(&mut self, characters: &str) {
        for character in characters.chars() {
            if character.is_whitespace() {
                self.run = None;
                if self.may_end || matches!(character, '\n' | '\r' | '\u{2028}' | '\u{2029}') {
                    self.end();
                }
            } else if !is_joiner(character) {
                self.mark(plain(character));
            }
        }
    }

    fn mark(&mut self, mark: char) {
        let length = match self.run {
            Some((of, length)) if of == mark => length + 1,
            _ => 1,
        };
        self.run = Some((mark, length));
        let unit = if is_punctuation(mark) { mark.to_string() } else { SYMBOL.to_owned() };
        match self.open.last_mut() {
            Some(last) if (2..=MAX_RUN).contains(&length) => last.push_str(&unit),
            _ if length > MAX_RUN => {}
            _ => self.open.push(unit),
        }
        match mark {
            '.' | '?' | '!' | '…' => self.may_end = true,
            '。' | '！' | '？' => (self.may_end, self.ends_anyway) = (true, true),
            // Quotes and brackets after the mark belong to the sentence.
            '"' | '\'' | ')' | ']' | '»' => {}
            _ => self.may_end = false,
        }
    }

    fn end(&mut self) {
        self.run = None;
        (self.may_end, self.ends_anyway) = (false, false);
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }

    fn finish(mut self) -> Vec<Vec<String>> {
        self.end();
        self.done
    }
}

/// A mark with typographic variants made alike.
fn plain(mark: char) -> char {
    match mark {
        '\u{2018}' | '\u{2019}' | '\u{201b}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' => '"',
        _ => mark,
    }
}

/// Whether a mark is punctuation rather than a symbol.
fn is_punctuation(mark: char) -> bool {
    mark.is_ascii_punctuation()
        || matches!(
            mark,
            '\u{a1}' | '\u{ab}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
                | '\u{2010}'..='\u{2027}'
                | '\u{2030}'..='\u{205e}'
                | '\u{3001}'..='\u{3003}'
                | '\u{3008}'..='\u{301f}'
                | '\u{ff01}'..='\u{ff0f}'
                | '\u{ff1a}'..='\u{ff20}'
        )
}

/// Characters that only change the one before them.
fn is_joiner(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}'
    )
}
