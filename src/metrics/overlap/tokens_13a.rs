//! The `13a` tokenizer of BLEU.

use super::python::{pad, replace_pairs, rstrip};

/// A text with spaces between its tokens, as the tokenizer `13a` of `sacrebleu` 2.5.1 (that of
/// mteval-v13a) produces it: line breaks and four entities are decoded, symbols are separated,
/// periods and commas are separated unless between digits, a dash is separated after a digit.
/// [`split`](super::python::split) then yields the tokens.
pub(super) fn tokenized_13a(text: &str) -> String {
    let mut line = rstrip(text).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if line.contains('&') {
        for (entity, c) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
            line = line.replace(entity, c);
        }
    }
    let mut line = pad(&format!(" {line} "), is_symbol);
    if line.contains(['.', ',']) {
        let is_point = |c| c == '.' || c == ',';
        line = replace_pairs(
            &line,
            |before, c| !before.is_ascii_digit() && is_point(c),
            |out, before, c| out.extend([before, ' ', c, ' ']),
        );
        line = replace_pairs(
            &line,
            |c, after| is_point(c) && !after.is_ascii_digit(),
            |out, c, after| out.extend([' ', c, ' ', after]),
        );
    }
    if line.contains('-') {
        line = replace_pairs(
            &line,
            |before, c| before.is_ascii_digit() && c == '-',
            |out, before, c| out.extend([before, ' ', c, ' ']),
        );
    }
    line
}

/// Whether a character is ASCII punctuation other than the apostrophe, comma, dash and period.
fn is_symbol(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '\'' | ',' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::super::python::split;
    use super::*;

    fn tokens(text: &str) -> String {
        split(&tokenized_13a(text)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn cuts_as_mteval_does() {
        assert_eq!(tokens("It's 3.50, not 1,000.5!"), "It's 3.50 , not 1,000.5 !");
        assert_eq!(tokens("over-\nrun 10-20 a-b"), "overrun 10 - 20 a-b");
        assert_eq!(tokens("&quot;A &amp;lt; B&quot;"), "\" A < B \"");
        assert_eq!(tokens("etc...  end.\n"), "etc . . . end .");
        assert_eq!(tokens("«é,ü»"), "«é , ü»");
        assert_eq!(tokens(" \u{1c} \n"), "");
    }
}
