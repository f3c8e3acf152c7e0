//! Words of texts in any script, for counts that follow no reference implementation.

use crate::text::stands_alone;

/// A text in lower case with a space in place of every character that is no letter or digit, and spaces
/// around every character of scripts that put none between words (Chinese, Japanese). For ASCII it is the
/// text that ROUGE's words are taken from.
pub(super) fn cased_down(text: &str) -> String {
    let mut lowered = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !c.is_alphanumeric() && !is_mark(c) => lowered.push(' '),
            c if stands_alone(c) => lowered.extend([' ', c, ' ']),
            c => lowered.extend(c.to_lowercase()),
        }
    }
    lowered
}

/// The words of a [`cased_down`] text.
pub(super) fn words(cased_down: &str) -> impl Iterator<Item = &str> {
    cased_down.split(' ').filter(|word| !word.is_empty())
}

/// Whether a character is a combining mark that belongs to the letter before it: accents, and the vowel
/// signs of Indic scripts that Unicode does not count as alphabetic.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{93c}' | '\u{94d}' | '\u{9bc}' | '\u{9cd}' | '\u{e47}'..='\u{e4e}')
}

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;

    #[test]
    fn words_of_several_scripts() {
        let of = |text: &str| words(&cased_down(text)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(of("Крышка, НЕ греется!"), ["крышка", "не", "греется"]);
        assert_eq!(of("naïve ÉTÉ cafe\u{301}"), ["naïve", "été", "cafe\u{301}"]);
        assert_eq!(of("水壶 2x"), ["水", "壶", "2x"]);
        assert_eq!(of("…!?—"), [""; 0]);
    }

    #[test]
    fn ascii_has_the_words_of_rouge() {
        let text = "It's 3.5 GB -- Plain_test! don't";
        assert_eq!(cased_down(text), words::lowered(text));
    }
}
