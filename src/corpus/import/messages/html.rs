//! Text of HTML as mail programs and web services write it.

use crate::import::entities;

/// Longest tag that is read, in bytes; a `<` without an end within this length is a character.
const MAX_TAG_BYTES: usize = 16 << 10;

/// Deepest level of quotation that is marked.
const MAX_QUOTE_DEPTH: usize = 8;

/// Elements whose content is no text.
const HIDDEN: [&str; 7] = ["head", "style", "script", "title", "template", "noscript", "svg"];

/// Elements that begin a new line.
const LINES: [&str; 16] = [
    "div", "li", "tr", "ul", "ol", "dl", "dt", "dd", "table", "section", "article", "header",
    "footer", "address", "form", "center",
];

/// Elements that stand apart as paragraphs.
const PARAGRAPHS: [&str; 9] = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr"];

/// Returns the text of an HTML document or fragment. Paragraphs are separated by empty lines, other blocks
/// and `<br>` by line breaks; lines within `<blockquote>` begin with `>`, as in plain mails.
pub(super) fn text_of(html: &str) -> String {
    let mut writer = TextWriter::default();
    let mut hidden: Option<String> = None;
    let mut rest = html;
    // Length of `rest` from the next `>` on, so that many `<` without an end are not searched again.
    let mut from_end = rest.find('>').map(|at| rest.len() - at);
    while let Some(at) = rest.find('<') {
        let (text, from) = rest.split_at(at);
        if hidden.is_none() {
            writer.text(text);
        }
        if from_end.is_some_and(|length| length > from.len()) {
            from_end = from.find('>').map(|at| from.len() - at);
        }
        let ends = from_end.is_some_and(|length| from.len() - length < MAX_TAG_BYTES);
        let may_be_tag = ends || from.starts_with("<!--");
        let Some((tag, length)) = may_be_tag.then(|| tag_of(from)).flatten() else {
            if hidden.is_none() {
                writer.text("<");
            }
            rest = &from[1..];
            continue;
        };
        rest = &from[length..];
        match (&hidden, tag.is_end) {
            (Some(name), true) if *name == tag.name => hidden = None,
            (Some(_), _) => {}
            (None, false) if HIDDEN.contains(&tag.name.as_str()) && !tag.is_empty => {
                hidden = Some(tag.name);
            }
            (None, _) => writer.tag(&tag),
        }
    }
    if hidden.is_none() {
        writer.text(rest);
    }
    writer.finish()
}

/// Name of a tag in lower case.
struct HtmlTag {
    name: String,
    is_end: bool,
    /// Whether it ends with `/>`.
    is_empty: bool,
}

/// Reads the tag, comment or declaration at the start of `text`, with its length in bytes.
fn tag_of(text: &str) -> Option<(HtmlTag, usize)> {
    let nameless = || HtmlTag { name: String::new(), is_end: false, is_empty: true };
    if let Some(comment) = text.strip_prefix("<!--") {
        // An open comment hides the rest, as in browsers.
        let length = comment.find("-->").map_or(text.len(), |end| end + 7);
        return Some((nameless(), length));
    }
    let bytes = &text.as_bytes()[..text.len().min(MAX_TAG_BYTES)];
    let first = *bytes.get(1)?;
    if first == b'!' || first == b'?' {
        return Some((nameless(), bytes.iter().position(|b| *b == b'>')? + 1));
    }
    let start = if first == b'/' { 2 } else { 1 };
    if !bytes.get(start)?.is_ascii_alphabetic() {
        return None;
    }
    let mut quote = None;
    let end = bytes.iter().enumerate().skip(start).find(|(_, byte)| match (quote, **byte) {
        (Some(open), byte) => {
            if open == byte {
                quote = None;
            }
            false
        }
        (None, b'"' | b'\'') => {
            quote = Some(**byte);
            false
        }
        (None, byte) => byte == b'>',
    });
    // A stray quote within a tag must not hide the rest of the text.
    let end = end.map(|(end, _)| end).or_else(|| bytes.iter().position(|b| *b == b'>'))?;
    let name = bytes[start..end].iter().take_while(|b| b.is_ascii_alphanumeric());
    let name = name.map(|b| char::from(b.to_ascii_lowercase())).collect();
    Some((HtmlTag { name, is_end: first == b'/', is_empty: bytes[end - 1] == b'/' }, end + 1))
}

/// Builds lines of text. White space is joined as browsers join it.
#[derive(Default)]
struct TextWriter {
    out: String,
    line: String,
    /// Whether white space is due before the next word.
    space: bool,
    quotes: usize,
    pre: usize,
    /// Whether the last line written is empty, or nothing is written.
    after_gap: bool,
}

impl TextWriter {
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (c, length) = match c {
                '&' => entities::reference(rest).unwrap_or(('&', 1)),
                c => (c, c.len_utf8()),
            };
            rest = &rest[length..];
            match c {
                '\n' if self.pre > 0 => self.end_line(),
                // Soft hyphens and marks of zero width are for the browser.
                '\u{ad}' | '\u{200b}' | '\u{feff}' => {}
                c if c.is_ascii_whitespace() && self.pre == 0 => self.space = true,
                c => {
                    let c = if c == '\u{a0}' { ' ' } else { c };
                    if std::mem::take(&mut self.space) && !self.line.is_empty() {
                        self.line.push(' ');
                    }
                    self.line.push(c);
                }
            }
        }
    }

    fn tag(&mut self, tag: &HtmlTag) {
        match tag.name.as_str() {
            "br" => self.end_line(),
            "blockquote" => {
                self.close_block(!tag.is_end);
                self.quotes = match tag.is_end {
                    true => self.quotes.saturating_sub(1),
                    false => self.quotes + 1,
                };
                self.after_gap = true;
            }
            "td" | "th" => self.space = true,
            name if PARAGRAPHS.contains(&name) => {
                self.close_block(true);
                if name == "pre" {
                    self.pre = if tag.is_end { self.pre.saturating_sub(1) } else { self.pre + 1 };
                }
            }
            name if LINES.contains(&name) => {
                self.close_block(false);
                if name == "li" && !tag.is_end {
                    self.line.push_str("- ");
                }
            }
            _ => {}
        }
    }

    /// Ends the line, if it has text; `apart` asks for an empty line after it.
    fn close_block(&mut self, apart: bool) {
        if !self.line.trim().is_empty() {
            self.end_line();
        }
        self.line.clear();
        self.space = false;
        if apart && !self.after_gap && !self.out.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_end();
        self.space = false;
        if line.is_empty() && self.after_gap {
            return;
        }
        for _ in 0..self.quotes.min(MAX_QUOTE_DEPTH) {
            self.out.push('>');
        }
        if self.quotes > 0 && !line.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(line);
        self.out.push('\n');
        self.after_gap = line.is_empty();
    }

    fn finish(mut self) -> String {
        self.close_block(false);
        self.out.trim_matches('\n').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_become_lines_and_white_space_is_joined() {
        let html = "<html><head><title>T</title><style>p { color: red }</style></head><body>\n\
                    <p>Dear&nbsp;Ann,</p>\n<p>one\n  two<br/>three &lt;3 &amp; more</p>\
                    <div>Fine.</div><div><b>Bo</b>ld</div><ul><li>a</li><li>b</li></ul></body></html>";
        let text = "Dear Ann,\n\none two\nthree <3 & more\n\nFine.\nBold\n- a\n- b";
        assert_eq!(text_of(html), text);
    }

    #[test]
    fn quotations_are_marked() {
        let html = "<div>Yes.</div><div class=\"gmail_quote\">On Monday Ann wrote:<br>\
                    <blockquote><p>Really?</p><blockquote>No.</blockquote></blockquote></div>Bye";
        let text = "Yes.\nOn Monday Ann wrote:\n> Really?\n>\n>> No.\nBye";
        assert_eq!(text_of(html).replace("\n\n", "\n"), text);
    }

    #[test]
    fn broken_markup_is_text() {
        assert_eq!(text_of("1 < 2 and 3 > 2"), "1 < 2 and 3 > 2");
        assert_eq!(text_of("a <b c=\"d>e"), "a e");
        assert_eq!(text_of("a <!-- hidden"), "a");
        assert_eq!(text_of("<script>x < y</script>z"), "z");
        assert_eq!(text_of("<pre>a\n  b</pre>"), "a\n  b");
        assert_eq!(text_of("&#8217;&unknown;&"), "\u{2019}&unknown;&");
    }

    #[test]
    fn many_tags_without_an_end_are_read_in_one_pass() {
        let open = "<a \"".repeat(500_000);
        assert_eq!(text_of(&open), open);
        let closed = format!("{open}>x");
        assert!(text_of(&closed).ends_with('x'));
    }

    proptest! {
        #[test]
        fn any_markup_comes_to_an_end(html in "(<|>|/|\"|'|&|;|#|p|br|blockquote|pre|<p>|<!--|-->|é| |\n)*") {
            let _ = text_of(&html);
        }
    }
}
