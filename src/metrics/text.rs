//! Words of a text: the definition that every word count uses.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// English function words, their contractions, and common spellings of these without an apostrophe.
const FUNCTION_WORDS: &str = include_str!("../../data/function-words.txt");

/// English function words and their positions in the list.
static PLACES: LazyLock<HashMap<&str, u64>> =
    LazyLock::new(|| (0..).zip(FUNCTION_WORDS.split_whitespace()).map(|(i, w)| (w, i)).collect());

/// Position of an English function word in the list. `word` must be in lower case with straight
/// apostrophes.
#[must_use]
pub fn function_word(word: &str) -> Option<u64> {
    PLACES.get(word).copied()
}

/// Calls `visit` for each word of a text with its byte range and its lower-case form. A word is a
/// run of letters and digits; an apostrophe between two of them, straight or curly, belongs to the
/// word and is passed as a straight one.
pub fn for_each_word(text: &str, mut visit: impl FnMut(Range<usize>, &str)) {
    let mut word = String::new();
    let mut start = 0;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let joins = matches!(letter, '\'' | '\u{2019}')
            && !word.is_empty()
            && letters.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if joins {
            word.push('\'');
        } else if letter.is_alphanumeric() {
            if word.is_empty() {
                start = at;
            }
            word.extend(letter.to_lowercase());
        } else if !word.is_empty() {
            visit(start..at, &word);
            word.clear();
        }
    }
    if !word.is_empty() {
        visit(start..text.len(), &word);
    }
}

/// Whether a character is a word by itself: a Chinese character or a Japanese syllable.
#[must_use]
pub fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_any_script_and_apostrophes() {
        let (mut words, mut as_written) = (Vec::new(), Vec::new());
        let text = "Don\u{2019}t 'quote' ÉTÉ's rock'n'roll_2x 好书! \u{1F600}dogs' it''s";
        for_each_word(text, |span, word| {
            words.push(word.to_owned());
            as_written.push(&text[span]);
        });
        assert_eq!(
            words,
            ["don't", "quote", "été's", "rock'n'roll", "2x", "好书", "dogs", "it", "s"]
        );
        assert_eq!(
            as_written,
            ["Don\u{2019}t", "quote", "ÉTÉ's", "rock'n'roll", "2x", "好书", "dogs", "it", "s"]
        );
    }

    #[test]
    fn every_function_word_is_one_word_and_listed_once() {
        for word in FUNCTION_WORDS.split_whitespace() {
            let mut words = Vec::new();
            for_each_word(word, |_, word| words.push(word.to_owned()));
            assert_eq!(words, [word]);
            assert!(function_word(word).is_some(), "{word}");
        }
        assert_eq!(FUNCTION_WORDS.split_whitespace().count(), PLACES.len());
    }
}
