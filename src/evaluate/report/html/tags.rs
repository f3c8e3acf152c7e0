//! HTML builder that always closes tags and escapes text.

use std::fmt::{Display, Write};

/// Elements that begin a new line in the file.
const ON_A_LINE: [&str; 28] = [
    "article",
    "body",
    "caption",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "html",
    "li",
    "main",
    "meta",
    "nav",
    "p",
    "section",
    "style",
    "svg",
    "table",
    "title",
    "tr",
    "ul",
];

/// Elements without content or end tag.
const EMPTY: [&str; 1] = ["meta"];

/// An HTML element with its content.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    name: &'static str,
    attributes: String,
    inside: String,
}

/// An element without attributes and content.
pub(super) fn tag(name: &'static str) -> Tag {
    Tag { name, attributes: String::new(), inside: String::new() }
}

impl Tag {
    /// Adds an attribute.
    pub(super) fn with(mut self, attribute: &'static str, value: impl Display) -> Self {
        self.attributes.push_str(&format!(" {attribute}=\"{}\"", escaped(&value.to_string())));
        self
    }

    /// Adds a class.
    pub(super) fn class(self, class: &'static str) -> Self {
        self.with("class", class)
    }

    /// Appends text, escaped.
    pub(super) fn text(mut self, text: impl Display) -> Self {
        self.inside.push_str(&escaped(&text.to_string()));
        self
    }

    /// Appends an element.
    pub(super) fn put(mut self, tag: Tag) -> Self {
        tag.write(&mut self.inside);
        self
    }

    /// Appends elements; an `Option` counts as zero or one.
    pub(super) fn put_all(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        tags.into_iter().for_each(|tag| tag.write(&mut self.inside));
        self
    }

    /// Appends text without escaping it, for this program's own style sheet and script.
    pub(super) fn verbatim(mut self, text: &'static str) -> Self {
        self.inside.push_str(text);
        self
    }

    fn write(self, to: &mut String) {
        let Self { name, attributes, inside } = self;
        if ON_A_LINE.contains(&name) && !to.is_empty() && !to.ends_with('\n') {
            to.push('\n');
        }
        to.push_str(&format!("<{name}{attributes}>"));
        if !EMPTY.contains(&name) {
            to.push_str(&inside);
            to.push_str(&format!("</{name}>"));
        }
    }
}

impl Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.clone().write(&mut text);
        f.write_str(&text)
    }
}

/// Escapes text for HTML elements and quoted attributes. Control characters, which HTML forbids,
/// become U+FFFD; carriage returns are dropped.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            '\r' => {}
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Joins names as in a sentence: `a`, `a and b`, `a, b and c`.
pub(super) fn listed(names: &[String]) -> String {
    let mut text = String::new();
    for (number, name) in names.iter().enumerate() {
        let before = match names.len() - number {
            _ if number == 0 => "",
            1 => " and ",
            _ => ", ",
        };
        // Writing to a string does not fail.
        let _ = write!(text, "{before}{name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        let made = tag("b").with("title", "a\"b'<&").text("<script>\u{0}\r\n</b>");
        let shown = "<b title=\"a&quot;b&#39;&lt;&amp;\">&lt;script&gt;\u{fffd}\n&lt;/b&gt;</b>";
        assert_eq!(made.to_string(), shown);
    }

    #[test]
    fn elements_nest_and_close() {
        let made = tag("div").put(tag("p").text("a").put(tag("i").text("b")).text("c"));
        assert_eq!(made.to_string(), "<div><p>a<i>b</i>c</p></div>");
        let two = tag("ul").put_all([tag("li"), tag("li")]).put_all(None);
        assert_eq!(two.to_string(), "<ul><li></li>\n<li></li></ul>");
        assert_eq!(tag("meta").with("charset", "utf-8").to_string(), "<meta charset=\"utf-8\">");
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        let of =
            |names: &[&str]| listed(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["a"]), "a");
        assert_eq!(of(&["a", "b"]), "a and b");
        assert_eq!(of(&["a", "b", "c"]), "a, b and c");
    }
}
