//! Plain text of Markdown: CommonMark, and what Obsidian, Hugo, Jekyll and Reddit add to it.
//!
//! This is no renderer. It keeps the prose and takes away what is not: code, tables, quotations, link
//! targets, pictures, tags and the signs of emphasis.

use super::chat_text::trimmed_lines;
use crate::import::entities;

/// Largest distance, in bytes, between the signs that begin and end a link or a piece of code.
const MAX_SPAN: usize = 4000;
/// Largest number of open signs of emphasis.
const MAX_OPEN: usize = 100;
/// Deepest brackets within each other; deeper ones are no Markdown.
const MAX_BRACKETS: usize = 32;

/// Pairs between which nothing is text: comments, and calls of Hugo and Liquid.
const NO_TEXT: [(&str, &str); 8] = [
    ("<!--", "-->"),
    ("<script", "</script>"),
    ("<style", "</style>"),
    ("%%", "%%"),
    ("{{<", ">}}"),
    ("{{%", "%}}"),
    ("{%", "%}"),
    ("{{", "}}"),
];

/// Returns the prose of a text in Markdown. Headings and items of lists stay, each on its line; quotations,
/// code blocks, tables, formulas and comments go.
pub(super) fn plain(markdown: &str) -> String {
    let mut text = without_code(markdown);
    for (open, close) in NO_TEXT {
        text = without_between(text, open, close);
    }
    let lines: Vec<String> = text.lines().filter_map(prose).map(|line| inline(&line)).collect();
    let lines: Vec<&str> = lines.iter().flat_map(|line| line.split('\n')).map(str::trim).collect();
    trimmed_lines(&lines)
}

/// Takes fenced and indented blocks of code and formulas away.
fn without_code(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    // Sign and length of the open fence.
    let mut fence: Option<(char, usize)> = None;
    let (mut after_gap, mut in_list, mut indented) = (true, false, false);
    for line in text.lines() {
        let start = line.trim_start_matches([' ', '\t']);
        let indent: usize =
            line[..line.len() - start.len()].chars().map(|c| if c == '\t' { 4 } else { 1 }).sum();
        let sign = start.chars().next().unwrap_or(' ');
        let length = start.len() - start.trim_start_matches(sign).len();
        if let Some((open, needed)) = fence {
            if sign == open && length >= needed && start[length..].trim().is_empty() {
                fence = None;
            }
            continue;
        }
        let info = &start[length..];
        if matches!(sign, '`' | '~') && length >= 3 && !info.contains('`') {
            fence = Some((sign, length));
            continue;
        }
        if start.trim_end() == "$$" {
            fence = Some(('$', 2));
            continue;
        }
        if start.is_empty() {
            after_gap = true;
            kept.push('\n');
            continue;
        }
        indented = indent >= 4 && (indented || after_gap && !in_list);
        if !indented {
            in_list = list_item(start).is_some() || in_list && (indent > 0 || !after_gap);
            kept.push_str(line);
            kept.push('\n');
        }
        after_gap = false;
    }
    kept
}

fn without_between(text: String, open: &str, close: &str) -> String {
    if !text.contains(open) {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(open) {
        let inner = &rest[at + open.len()..];
        let Some(end) = inner.find(close) else { break };
        kept.push_str(&rest[..at]);
        rest = &inner[end + close.len()..];
    }
    kept.push_str(rest);
    kept
}

/// The sign of an item of a list, and what follows it.
fn list_item(line: &str) -> Option<(&str, &str)> {
    if let Some(rest) = ["- ", "* ", "+ "].iter().find_map(|sign| line.strip_prefix(sign)) {
        return Some(("-", rest));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits + 1..).filter(|_| (1..=9).contains(&digits))?;
    let is_sign = matches!(line.as_bytes()[digits], b'.' | b')');
    rest.strip_prefix(' ').filter(|_| is_sign).map(|rest| (&line[..=digits], rest))
}

/// The prose of a line; `None` if nothing, an empty text for an empty line.
fn prose(line: &str) -> Option<String> {
    let line = line.trim();
    let consists_of = |signs: &str| line.chars().all(|c| signs.contains(c) || c == ' ');
    if line.is_empty() {
        return Some(String::new());
    }
    // Underlines of headings and rules.
    if ["=", "-", "*", "_"].iter().any(|sign| consists_of(sign) && line.matches(sign).count() >= 2)
    {
        return None;
    }
    // Rows of tables.
    if line.len() > 1 && line.starts_with('|') && line.ends_with('|')
        || line.contains('|') && consists_of("|-:")
    {
        return None;
    }
    if line.starts_with('>') && !line.starts_with(">!") {
        return None;
    }
    let level = line.len() - line.trim_start_matches('#').len();
    if (1..=6).contains(&level) && line[level..].starts_with([' ', '\t']) {
        return Some(line[level..].trim().trim_end_matches('#').trim_end().to_owned());
    }
    if line.split_whitespace().all(is_tag) {
        return None;
    }
    if let Some((label, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("]:")) {
        // A footnote is prose; the target of a link is not.
        return label.starts_with('^').then(|| rest.trim().to_owned());
    }
    let line = without_block_id(line);
    let Some((sign, item)) = list_item(line) else { return Some(line.to_owned()) };
    let boxes = ["[ ] ", "[x] ", "[X] ", "[-] "];
    let item = boxes.iter().find_map(|task| item.strip_prefix(task)).unwrap_or(item);
    Some(format!("{sign} {}", item.trim()))
}

/// Whether a word is a tag, `#travel/lakes`.
fn is_tag(word: &str) -> bool {
    word.strip_prefix('#')
        .is_some_and(|tag| tag.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// A line without the id that Obsidian gives a paragraph: `Text. ^a1b2c3`.
fn without_block_id(line: &str) -> &str {
    match line.rsplit_once(" ^") {
        Some((before, id)) if id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => before,
        _ => line,
    }
}

/// A piece of a line.
enum LinePart {
    Text(String),
    /// A run of signs that may be emphasis.
    Run {
        sign: char,
        length: usize,
    },
    /// A run that is emphasis.
    Gone,
}

/// Plain text of a line: links, code, escapes, emphasis, tags, entities.
fn inline(line: &str) -> String {
    let mut parts: Vec<LinePart> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at..];
        if let Some((shown, length)) = replaced(rest, c) {
            text.push_str(&shown);
            at += length;
            continue;
        }
        if !matches!(c, '*' | '_' | '~' | '=') {
            text.push(c);
            at += c.len_utf8();
            continue;
        }
        let length = rest.len() - rest.trim_start_matches(c).len();
        let before = line[..at].chars().next_back();
        let after = line[at + length..].chars().next();
        at += length;
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let is_sign = match c {
            '~' | '=' => length == 2,
            _ => length <= 3,
        };
        let can_open = is_sign && !is_space(after) && (c != '_' || !is_word(before));
        let can_close = is_sign && !is_space(before) && (c != '_' || !is_word(after));
        parts.push(LinePart::Text(std::mem::take(&mut text)));
        parts.push(LinePart::Run { sign: c, length });
        let same = |at: &usize| matches!(parts[*at], LinePart::Run { sign, length: n } if sign == c && n == length);
        if let Some(opened) = open.iter().rposition(same).filter(|_| can_close) {
            let begin = open[opened];
            open.truncate(opened);
            parts[begin] = LinePart::Gone;
            if let Some(end) = parts.last_mut() {
                *end = LinePart::Gone;
            }
        } else if can_open && open.len() < MAX_OPEN {
            open.push(parts.len() - 1);
        }
    }
    parts.push(LinePart::Text(text));
    let mut plain = String::with_capacity(line.len());
    for part in parts {
        match part {
            LinePart::Text(text) => plain.push_str(&text),
            LinePart::Run { sign, length } => plain.extend(std::iter::repeat_n(sign, length)),
            LinePart::Gone => {}
        }
    }
    plain
}

/// Returns the text that the markup at the start of `rest` shows, and its length; `None` if there is none.
fn replaced(rest: &str, first: char) -> Option<(String, usize)> {
    match first {
        // A line break.
        '\\' if rest.len() == 1 => Some((String::new(), 1)),
        '\\' => {
            let escaped = rest[1..].chars().next().filter(char::is_ascii_punctuation)?;
            Some((escaped.to_string(), 2))
        }
        '`' => code(rest),
        '&' => entities::reference(rest).map(|(c, length)| match c {
            // Reddit's editor keeps empty lines with spaces of no width.
            '\u{200b}' => (String::new(), length),
            c => (c.to_string(), length),
        }),
        '<' => tag(rest),
        '!' if rest.starts_with("![[") => {
            let end = within(rest, "]]")?;
            Some((String::new(), end + 2))
        }
        '!' if rest.starts_with("![") => {
            link(&rest[1..]).map(|(_, length)| (String::new(), length + 1))
        }
        '!' if rest.starts_with("!<") => Some((String::new(), 2)),
        '>' if rest.starts_with(">!") => Some((String::new(), 2)),
        '[' if rest.starts_with("[[") => {
            let end = within(rest, "]]")?;
            let inner = &rest[2..end];
            let (target, alias) = inner.split_once('|').unwrap_or((inner, ""));
            let target = target.split('#').next().filter(|page| !page.is_empty()).unwrap_or(target);
            let shown =
                if alias.trim().is_empty() { target.trim_start_matches('#') } else { alias };
            Some((shown.to_owned(), end + 2))
        }
        '[' => link(rest),
        _ => None,
    }
}

/// Place of `close` in `text`, if it is near. What lies further away is not searched, since a line may have
/// many signs that nothing closes.
fn within(text: &str, close: &str) -> Option<usize> {
    text[..text.floor_char_boundary(MAX_SPAN + close.len())].find(close)
}

/// Code between backquotes, which stays as it is.
fn code(rest: &str) -> Option<(String, usize)> {
    let length = rest.len() - rest.trim_start_matches('`').len();
    let mut from = length;
    // A run of another length does not close it.
    let near = rest.floor_char_boundary(MAX_SPAN + 1);
    while let Some(at) = rest.get(from..near).and_then(|rest| rest.find('`')).map(|at| from + at) {
        let n = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        if n == length {
            return Some((rest[length..at].to_owned(), at + n));
        }
        from = at + n;
    }
    Some((rest[..length].to_owned(), length))
}

/// A tag of HTML, or an address in angle brackets.
fn tag(rest: &str) -> Option<(String, usize)> {
    let end = within(rest, ">")?;
    let inner = &rest[1..end];
    if inner.starts_with("http://") || inner.starts_with("https://") {
        return Some((inner.to_owned(), end + 1));
    }
    let name = inner.trim_start_matches('/');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || inner.contains('<') {
        return None;
    }
    let is_break = name.get(..2).is_some_and(|name| name.eq_ignore_ascii_case("br"))
        && name[2..].chars().all(|c| matches!(c, ' ' | '/'));
    Some((if is_break { "\n".to_owned() } else { String::new() }, end + 1))
}

/// A link: `[text](target)`, `[text][label]`; a reference to a footnote, `[^1]`, shows nothing.
fn link(rest: &str) -> Option<(String, usize)> {
    let text_end = closing(rest, '[', ']')?;
    let text = &rest[1..text_end];
    let after = &rest[text_end + 1..];
    if text.starts_with('^') {
        return Some((String::new(), text_end + 1));
    }
    let length = match after.chars().next() {
        Some('(') => closing(after, '(', ')')? + 1,
        Some('[') => closing(after, '[', ']')? + 1,
        _ => return None,
    };
    // Nested brackets are those of pictures; deeper ones are no Markdown.
    let shown = if text.contains('[') { text.replace(['[', ']', '!'], "") } else { inline(text) };
    let shown = match text.starts_with("![") {
        true => String::new(),
        false => shown,
    };
    Some((shown, text_end + 1 + length))
}

/// Place of the bracket that closes the one at the start of `text`.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if at > MAX_SPAN {
            return None;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == open && depth == MAX_BRACKETS => return None,
            c if c == open => depth += 1,
            c if c == close => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signs_go_and_words_stay() {
        for (markdown, expected) in [
            ("**Bold** and *it*, __both__ ~~gone~~ ==marked==", "Bold and it, both gone marked"),
            ("2 * 3 * 4, snake_case_name, a_b, 5*6", "2 * 3 * 4, snake_case_name, a_b, 5*6"),
            ("a ***very* odd**", "a ***very* odd**"),
            ("[the lake](https://x.example/a_(b) \"Title\") and [ref][1]", "the lake and ref"),
            ("see ![map](map.png) [![badge](b.svg)](https://x.example)", "see"),
            (
                "[[Lake Tamsel]], [[Lake Tamsel#North|the north]], ![[map.png]]",
                "Lake Tamsel, the north,",
            ),
            (
                "a[^1] \\*not\\* `x *= 5` ``a`b`` <https://x.example>",
                "a *not* x *= 5 a`b https://x.example",
            ),
            (
                "one<br/>two <b>three</b> 1 < 2 &amp; &eacute; [left]",
                "one\ntwo three 1 < 2 & é [left]",
            ),
            (">!the end!< is sad", "the end is sad"),
            ("one\\\n&#x200B;\ntwo", "one\n\ntwo"),
            ("`open and **b**", "`open and b"),
        ] {
            assert_eq!(plain(markdown), expected, "{markdown}");
        }
    }

    #[test]
    fn blocks_that_are_no_prose_go() {
        let markdown = "\
# The lake #

Intro line
Second line ^a1b2

> quoted
> words

```rust
fn main() {}
```

* one
* [ ] two
    - three
1. four

Title
-----

    indented code

| a | b |
|---|---|
| 1 | 2 |

$$
x^2
$$

<!-- hidden
text -->
%% note %%{{< figure src=\"a.png\" >}}{% include a.html %}
#travel #lakes/north
[1]: https://x.example
[^1]: A footnote.

---
~~~
open to the end
";
        let expected = "\
The lake

Intro line
Second line

- one
- two
- three
1. four

Title

A footnote.";
        assert_eq!(plain(markdown), expected);
    }

    #[test]
    fn signs_that_nothing_closes_are_not_searched_again() {
        // A search to the end for each of them would take minutes.
        for signs in ["[[", "![[", "<a", "`a``b", "[a](", "*a ", "{{"] {
            let text = signs.repeat(1 << 19);
            assert!(plain(&text).len() <= text.len());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(\\*|_|`|```|~~|\\[|\\]|\\(|\\)|!|<|>|#|- |\\||\\$\\$|%%|\\{\\{|&amp;|\\\\| |    |\n|\\w|.)*") {
            let plain = plain(&text);
            prop_assert_eq!(plain.trim(), plain.as_str());
        }

        #[test]
        fn plain_words_stay(words in prop::collection::vec("[a-zA-Zé,.?]{1,9}", 1..20)) {
            let text = words.join(" ");
            prop_assert_eq!(plain(&text), text);
        }
    }
}
