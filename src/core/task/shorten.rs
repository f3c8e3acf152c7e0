//! Cuts texts at the ends of sentences and words.

use std::collections::HashMap;

/// Length in bytes after which a run without white space may be split.
const MAX_WORD: usize = 48;

/// Minimum share of the allowed tokens that must remain if a cut moves back to the end of a
/// sentence.
const SENTENCE_SHARE: f64 = 0.75;

/// Counts the tokens of words; each distinct word is counted once.
pub(super) struct WordCounter<'a, E> {
    count: &'a dyn Fn(&str) -> Result<usize, E>,
    seen: HashMap<String, usize>,
}

impl<'a, E> WordCounter<'a, E> {
    pub(super) fn new(count: &'a dyn Fn(&str) -> Result<usize, E>) -> Self {
        Self { count, seen: HashMap::new() }
    }

    /// Measures the words of a text and their tokens. The sums are estimates, because a tokenizer
    /// may join words.
    pub(super) fn measure(&mut self, text: &str) -> Result<Measured, E> {
        let mut tokens = 0;
        let mut ends = Vec::new();
        for end in word_ends(text) {
            let start = ends.last().map_or(0, |&(end, _)| end);
            let word = &text[start..end];
            tokens += match self.seen.get(word) {
                Some(&n) => n,
                None => {
                    let n = (self.count)(word)?;
                    self.seen.insert(word.to_owned(), n);
                    n
                }
            };
            ends.push((end, tokens));
        }
        Ok(Measured { ends, tokens })
    }
}

/// The words of a text and their tokens.
pub(super) struct Measured {
    /// End of each word in bytes, and the number of tokens up to it.
    ends: Vec<(usize, usize)>,
    /// Estimated number of tokens of the text.
    pub(super) tokens: usize,
}

impl Measured {
    /// Returns the start of `text`, the measured text, with at most `limit` tokens.
    pub(super) fn head<'t>(&self, text: &'t str, limit: usize) -> &'t str {
        let n_words = self.ends.partition_point(|&(_, tokens)| tokens <= limit);
        if n_words == self.ends.len() {
            return text.trim_end();
        }
        #[allow(clippy::cast_precision_loss)]
        let enough = |tokens: usize| tokens as f64 >= limit as f64 * SENTENCE_SHARE;
        let at_sentence = self.ends[..n_words]
            .iter()
            .rev()
            .take_while(|&&(_, tokens)| enough(tokens))
            .find(|&&(end, _)| ends_sentence(&text[..end]));
        let end = at_sentence.or_else(|| self.ends[..n_words].last()).map_or(0, |&(end, _)| end);
        text[..end].trim_end()
    }
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»'])
        .ends_with(['.', '!', '?', '…', '。', '！', '？'])
}

/// Returns the ends of words in bytes. White space belongs to the word after it, as in most
/// vocabularies.
fn word_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    let mut previous = '\0';
    for (at, c) in text.char_indices() {
        let word_over = c.is_whitespace() && in_word;
        let too_long = at - start >= MAX_WORD && !joins(previous, c);
        if at > start && (word_over || too_long) {
            ends.push(at);
            start = at;
            in_word = false;
        }
        in_word |= !c.is_whitespace();
        previous = c;
    }
    if start < text.len() {
        ends.push(text.len());
    }
    ends
}

/// Whether two characters form one visible character: joined emoji, skin tones, combining marks.
fn joins(before: char, c: char) -> bool {
    let extends = |c: char| {
        matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'
            | '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}')
    };
    extends(c) || before == '\u{200d}'
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn measure(text: &str) -> Measured {
        let count =
            |word: &str| -> Result<usize, ()> { Ok(word.trim().chars().count().div_ceil(4)) };
        WordCounter::new(&count).measure(text).unwrap()
    }

    #[test]
    fn prefers_the_end_of_a_sentence() {
        let text = "One two six. One two six. And then some.";
        assert_eq!(measure(text).head(text, 7), "One two six. One two six.");
        assert_eq!(measure(text).head(text, 8), "One two six. One two six.");
        assert_eq!(measure(text).head(text, 5), "One two six. One two");
        assert_eq!(measure(text).head(text, 0), "");
        assert_eq!(measure(text).head(text, 100), text);
    }

    #[test]
    fn cuts_inside_a_run_without_spaces_but_never_inside_an_emoji() {
        let family = "👨\u{200d}👩\u{200d}👧";
        let text = family.repeat(200);
        let head = measure(&text).head(&text, 40);
        assert!(!head.is_empty() && head.len() < text.len());
        assert_eq!(head.len() % family.len(), 0);
    }

    proptest! {
        #[test]
        fn a_head_is_a_start_within_the_limit(text in "(\\PC|\\s){0,400}", limit in 0usize..60) {
            let measured = measure(&text);
            let head = measured.head(&text, limit);
            prop_assert!(text.starts_with(head));
            prop_assert!(measure(head).tokens <= limit || measured.tokens <= limit);
        }
    }
}
