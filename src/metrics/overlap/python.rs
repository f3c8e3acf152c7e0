//! Character classes of Python's string methods and regular expressions.

use std::sync::LazyLock;

use fancy_regex::Regex;

/// White space of `str.split` and `str.rstrip`: Unicode white space and four control characters.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.split()`.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|part| !part.is_empty())
}

/// `str.rstrip()`.
pub(super) fn rstrip(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `\d`: decimal digits of any script.
pub(super) fn is_digit(c: char) -> bool {
    static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\d").ok());
    if c.is_ascii() { c.is_ascii_digit() } else { holds(CLASS.as_ref(), c) }
}

/// `\w` of the module `re`: letters, numbers of any kind, the underscore.
pub(super) fn is_word_of_re(c: char) -> bool {
    static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]").ok());
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { holds(CLASS.as_ref(), c) }
}

/// `\w` of the package `regex`: as defined by Unicode's UTS 18, with marks and joiners.
pub(super) fn is_word_of_regex(c: char) -> bool {
    static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\w").ok());
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { holds(CLASS.as_ref(), c) }
}

/// Whether a non-ASCII character is in a class.
fn holds(class: Option<&Regex>, c: char) -> bool {
    let mut bytes = [0; 4];
    let text = c.encode_utf8(&mut bytes);
    class.is_some_and(|class| class.is_match(text).unwrap_or(false))
}

/// Replaces non-overlapping pairs of adjacent characters from left to right, as `re.sub` does with
/// a pattern of two characters.
pub(super) fn replace_pairs(
    text: &str,
    matches: impl Fn(char, char) -> bool,
    put: impl Fn(&mut String, char, char),
) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        match chars.peek() {
            Some(&second) if matches(first, second) => {
                put(&mut out, first, second);
                chars.next();
            }
            _ => out.push(first),
        }
    }
    out
}

/// Inserts a space on both sides of each character of a class.
pub(super) fn pad(text: &str, class: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if class(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_beyond_ascii() {
        assert!(is_digit('٣') && !is_digit('²') && !is_digit('Ⅷ') && !is_digit('é'));
        assert!(is_word_of_re('²') && is_word_of_re('é') && !is_word_of_re('\u{301}'));
        assert!(is_word_of_regex('\u{301}') && is_word_of_regex('‿') && !is_word_of_regex('²'));
        assert!(!is_word_of_re('—') && !is_word_of_regex('’'));
    }

    #[test]
    fn white_space_is_pythons() {
        assert_eq!(split(" a\u{1c}b\u{a0}c\n").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(rstrip(" a \u{1f}\u{3000}"), " a");
        assert_eq!(split("\u{200b}").count(), 1);
    }

    #[test]
    fn a_character_is_in_one_pair_at_most() {
        let replaced = replace_pairs(
            "a...b",
            |_, c| c == '.',
            |out, a, b| {
                out.extend(['<', a, b, '>']);
            },
        );
        assert_eq!(replaced, "<a.><..>b");
    }
}
