//! Parts of texts of chats and posts, whatever the service: links, quoted lines, blocks of code, mentions.

/// Reason for leaving a text out that consists of links.
pub(super) const ONLY_LINKS: &str = "messages of links only";
/// Reason for leaving a message out that is a picture, a recording or another file.
pub(super) const ONLY_MEDIA: &str = "media without text";
/// Reason for leaving a line out that the service wrote.
pub(super) const SYSTEM: &str = "lines of the system";
/// Reason for leaving out what its author or a moderator took back.
pub(super) const DELETED: &str = "deleted messages";
/// Reason for leaving out what somebody else wrote elsewhere.
pub(super) const FORWARDED: &str = "forwarded messages";
/// Reason for leaving out what programs wrote.
pub(super) const BOTS: &str = "messages of bots";
/// Reason for leaving out a message that has no words.
pub(super) const EMPTY: &str = "messages without text";
/// Reason for leaving out a message that quotes or shows code and has no words of its own.
pub(super) const NO_OWN_WORDS: &str = "messages of quotes or code only";

/// Whether every word of a text is a web address. A text without words has none.
pub(super) fn is_only_links(text: &str) -> bool {
    let mut words = text.split_whitespace().peekable();
    words.peek().is_some() && words.all(is_link)
}

fn is_link(word: &str) -> bool {
    let word = word.trim_start_matches(['<', '(', '[']);
    ["https://", "http://", "www."]
        .iter()
        .any(|start| word.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)))
}

/// Returns the person's own words of a text with the markup of chats: without quoted lines (`> ...`; from
/// `>>> ` on to the end) and without blocks of code in three backquotes.
pub(super) fn own_words(text: &str) -> String {
    let mut own = String::with_capacity(text.len());
    let n_fences = text.matches("```").count();
    for (at, piece) in text.split("```").enumerate() {
        // A block that is not closed is text.
        let is_closed = n_fences > at;
        match (at % 2, is_closed) {
            (1, true) => {}
            (1, false) => {
                own.push_str("```");
                own.push_str(piece);
            }
            _ => own.push_str(piece),
        }
    }
    let mut lines = Vec::new();
    for line in own.lines() {
        let start = line.trim_start();
        if start.starts_with(">>> ") {
            break;
        }
        if !start.starts_with("> ") && start != ">" {
            lines.push(line.trim_end());
        }
    }
    trimmed_lines(&lines)
}

/// Joins lines, with at most one empty line in between and none at the ends.
pub(super) fn trimmed_lines<S: AsRef<str>>(lines: &[S]) -> String {
    let mut text = String::new();
    let mut gap = false;
    for line in lines.iter().map(AsRef::as_ref) {
        if line.trim().is_empty() {
            gap = !text.is_empty();
            continue;
        }
        if !text.is_empty() {
            text.push_str(if gap { "\n\n" } else { "\n" });
        }
        gap = false;
        text.push_str(line);
    }
    text.trim().to_owned()
}

/// Returns a text without the names at its beginning that an answer is addressed to: `@ann @bo Yes`.
pub(super) fn without_addressees(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(name) = rest.strip_prefix('@') {
        let end = name.find(char::is_whitespace).unwrap_or(name.len());
        if end == 0 {
            break;
        }
        rest = name[end..].trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_quotes_code_and_addressees() {
        assert!(is_only_links(" https://a.example/x  WWW.b.example "));
        assert!(!is_only_links("see https://a.example") && !is_only_links("  "));
        assert_eq!(own_words("> hi\nyes\n>\n\n\n```\nlet x;\n```\nso"), "yes\n\nso");
        assert_eq!(own_words("one\n>>> two\nthree"), "one");
        assert_eq!(own_words("a ``` b"), "a ``` b");
        assert_eq!(own_words("> only"), "");
        assert_eq!(own_words(&"```".repeat(1 << 18)), "");
        assert_eq!(own_words(">_< and >:("), ">_< and >:(");
        assert_eq!(without_addressees("@ann@a.example @bo  Yes, @cy"), "Yes, @cy");
        assert_eq!(without_addressees("@ 5"), "@ 5");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(```|`|> |>>> |\n| |@|https://|\\w|.)*") {
            let own = own_words(&text);
            prop_assert!(own.len() <= text.len());
            prop_assert_eq!(own.trim(), own.as_str());
            let _ = is_only_links(&text);
            prop_assert!(text.ends_with(without_addressees(&text)));
        }
    }
}
