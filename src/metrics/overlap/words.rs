//! Words as ROUGE counts them, and their ids.

use std::collections::HashMap;

/// A text in lower case with a space in place of every character that is not `a-z` or `0-9`. The
/// parts between spaces are the words of `rouge-score` 0.1.2 (default tokenizer, no stemmer).
pub(super) fn lowered(text: &str) -> String {
    let mut lowered = String::with_capacity(text.len());
    for c in text.chars() {
        lowered.push(match c {
            'a'..='z' | '0'..='9' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            // The only other characters whose lower case has an ASCII letter.
            '\u{130}' => 'i',
            '\u{212a}' => 'k',
            _ => ' ',
        });
        if c == '\u{130}' {
            // Its lower case ends in a combining dot, which is not a letter.
            lowered.push(' ');
        }
    }
    lowered
}

/// Whether a text has letters or digits that ROUGE does not see: all but those of ASCII.
#[must_use]
pub fn has_words_unseen_by_rouge(text: &str) -> bool {
    text.chars().any(|c| c.is_alphanumeric() && !c.is_ascii())
}

/// The words of a [`lowered`] text.
pub(super) fn words(lowered: &str) -> impl Iterator<Item = &str> {
    lowered.split(' ').filter(|word| !word.is_empty())
}

/// Word ids, from 0 in order of first occurrence.
#[derive(Debug, Default)]
pub(super) struct WordIds<'a> {
    ids: HashMap<&'a str, u32>,
}

impl<'a> WordIds<'a> {
    /// Id of a word; a new one if the word is new.
    pub(super) fn id(&mut self, word: &'a str) -> u32 {
        let next = self.ids.len() as u32;
        *self.ids.entry(word).or_insert(next)
    }

    /// Id of a word, if it has one.
    pub(super) fn known(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// Number of ids assigned.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        words(&lowered(text)).map(str::to_owned).collect()
    }

    #[test]
    fn splits_at_everything_but_letters_and_digits_of_ascii() {
        assert_eq!(
            of("It's 3.5 GB -- naïve_test!"),
            ["it", "s", "3", "5", "gb", "na", "ve", "test"]
        );
        assert_eq!(of("İstanbul 5\u{212a}"), ["i", "stanbul", "5k"]);
        assert_eq!(of("…!?—"), [""; 0]);
        assert_eq!(of(""), [""; 0]);
    }

    #[test]
    fn every_character_is_lowered_as_unicode_says() {
        for c in char::MIN..=char::MAX {
            let plain: String = c
                .to_lowercase()
                .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { ' ' })
                .collect();
            assert_eq!(lowered(&c.to_string()), plain, "{c:?}");
        }
    }
}
