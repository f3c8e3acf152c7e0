//! Words, and those that say nothing by themselves.

use std::collections::HashMap;
use std::sync::LazyLock;

/// English function words, with the contractions they enter and common ways to write these without
/// an apostrophe.
const FUNCTION_WORDS: &str = include_str!("../../../data/function-words.txt");

/// Function words and their places in the list.
static PLACES: LazyLock<HashMap<&str, u64>> =
    LazyLock::new(|| (0..).zip(FUNCTION_WORDS.split_whitespace()).map(|(i, w)| (w, i)).collect());

/// The places of a text's function words in the list, with repetitions, and the number of all words.
pub(super) fn function_words(text: &str) -> (Vec<u64>, usize) {
    let mut n_words = 0;
    let mut places = Vec::new();
    for_each_word(text, |word| {
        n_words += 1;
        places.extend(PLACES.get(word));
    });
    (places, n_words)
}

/// Runs of letters and digits in lower case; an apostrophe between two of them, straight or curly,
/// belongs to the word.
fn for_each_word(text: &str, mut visit: impl FnMut(&str)) {
    let mut word = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let joins = matches!(letter, '\'' | '\u{2019}')
            && !word.is_empty()
            && letters.peek().is_some_and(|next| next.is_alphanumeric());
        if joins {
            word.push('\'');
        } else if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        } else if !word.is_empty() {
            visit(&word);
            word.clear();
        }
    }
    if !word.is_empty() {
        visit(&word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_any_script_and_apostrophes() {
        let mut words = Vec::new();
        let text = "Don\u{2019}t 'quote' ÉTÉ's rock'n'roll_2x 好书! \u{1F600}dogs' it''s";
        for_each_word(text, |word| words.push(word.to_owned()));
        let expected = ["don't", "quote", "été's", "rock'n'roll", "2x", "好书", "dogs", "it", "s"];
        assert_eq!(words, expected);
        assert_eq!(function_words(text).1, expected.len());
    }

    #[test]
    fn every_function_word_is_one_word_and_listed_once() {
        for word in FUNCTION_WORDS.split_whitespace() {
            assert_eq!(function_words(word).1, 1, "{word}");
            assert_eq!(function_words(word).0.len(), 1, "{word}");
        }
        assert_eq!(FUNCTION_WORDS.split_whitespace().count(), PLACES.len());
    }
}
