//! Text for the terminal: wrapping, indentation, shortening.

use idiolect::corpus::Review;
use unicode_width::UnicodeWidthStr as _;

/// Maximum line width in columns.
const WIDTH: usize = 96;
/// Maximum number of characters of a shortened text.
const START: usize = 240;

/// Part of a text to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// The first [`START`] characters.
    Start,
    /// The whole text.
    Whole,
}

/// Formats rating, title and text of a review, indented.
pub(crate) fn quoted(review: &Review, length: Length) -> String {
    let rating = review.rating.map_or(String::new(), |rating| format!("{rating}/5 "));
    let text = match length {
        Length::Start => start(&review.text),
        Length::Whole => review.text.clone(),
    };
    format!("  {rating}{}\n{}\n", review.title, indented(&text, 4))
}

/// Returns at most [`START`] characters of a text on one line, cut between words, with an ellipsis
/// if it was cut.
pub(crate) fn start(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(START) else { return line };
    let cut = line[..end].rfind(' ').unwrap_or(end);
    format!("{} …", &line[..cut])
}

/// Wraps each line at [`WIDTH`] columns after `indent` spaces. Several blank lines become one.
pub(crate) fn indented(text: &str, indent: usize) -> String {
    Wrapped::new(indent).whole(text)
}

/// As [`indented`], with `lead` before the first line and the other lines aligned to its end.
pub(crate) fn hanging(text: &str, lead: &str) -> String {
    Wrapped::behind(lead, lead.width()).whole(text)
}

/// As [`indented`], with `lead` before the first line.
pub(crate) fn indented_behind(text: &str, lead: &str, indent: usize) -> String {
    Wrapped::behind(lead, indent).whole(text)
}

/// Pads a text with spaces to a number of columns; wide characters take two.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// Columns that a text takes on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// Wraps a text that comes in pieces. The lines do not depend on how the text is cut.
pub(crate) struct Wrapped {
    indent: usize,
    /// Text that the next line begins with.
    margin: String,
    /// Columns of the current line; 0 before its margin is written.
    columns: usize,
    /// Whether any word was written.
    has_word: bool,
    /// Number of line ends since the last word.
    line_ends: usize,
    /// A word whose end was not seen yet.
    word: String,
}

impl Wrapped {
    pub(crate) fn new(indent: usize) -> Self {
        Self::behind(&" ".repeat(indent), indent)
    }

    /// A wrapper whose first line begins with `lead` and the others with `indent` spaces.
    pub(crate) fn behind(lead: &str, indent: usize) -> Self {
        Self {
            indent,
            margin: lead.to_owned(),
            columns: 0,
            has_word: false,
            line_ends: 0,
            word: String::new(),
        }
    }

    /// Adds a piece and returns the text that can be shown. A word is held back until its end is
    /// seen.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        let mut out = String::new();
        for letter in piece.chars() {
            if !letter.is_whitespace() {
                self.word.push(letter);
                continue;
            }
            self.end_word(&mut out);
            self.line_ends += usize::from(letter == '\n');
        }
        out
    }

    /// Returns the rest of the text. The last line has no line end.
    pub(crate) fn finish(mut self) -> String {
        let mut out = String::new();
        self.end_word(&mut out);
        out
    }

    fn whole(mut self, text: &str) -> String {
        self.push(text) + &self.finish()
    }

    fn end_word(&mut self, out: &mut String) {
        if self.word.is_empty() {
            return;
        }
        let width = self.word.width();
        if self.has_word {
            match std::mem::take(&mut self.line_ends) {
                0 if self.columns + 1 + width > WIDTH => self.end_line(out, 1),
                0 => {
                    out.push(' ');
                    self.columns += 1;
                }
                n => self.end_line(out, n.min(2)),
            }
        }
        // White space before the first word of the text is dropped.
        self.line_ends = 0;
        if self.columns == 0 {
            out.push_str(&self.margin);
            self.columns = self.margin.width();
            self.margin = " ".repeat(self.indent);
        }
        out.push_str(&self.word);
        self.columns += width;
        self.has_word = true;
        self.word.clear();
    }

    fn end_line(&mut self, out: &mut String, n: usize) {
        out.push_str(&"\n".repeat(n));
        self.columns = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_between_words_and_keeps_paragraphs() {
        let text = format!("{}\n\n\n\nlast", "word ".repeat(40));
        let shown = indented(&text, 4);
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(shown.ends_with("word\n\n    last"), "{shown}");
        assert_eq!(shown.matches("word").count(), 40);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let wide = "这盏灯很亮 ".repeat(20);
        let shown = indented(&wide, 4);
        assert!(shown.lines().all(|line| line.width() <= WIDTH), "{shown}");
        assert!(shown.lines().count() >= 2, "{shown}");
    }

    #[test]
    fn a_text_in_pieces_is_wrapped_like_the_whole() {
        let text = format!(" \n one two\n\n \n{}\nключ ключ\n", "three ".repeat(40));
        let letters: Vec<char> = text.chars().collect();
        for n in [1, 2, 3, 7, 500] {
            let mut wrapped = Wrapped::new(4);
            let mut shown: String =
                letters.chunks(n).map(|p| wrapped.push(&p.iter().collect::<String>())).collect();
            shown += &wrapped.finish();
            assert_eq!(shown, indented(&text, 4), "pieces of {n}");
        }
        assert!(indented(&text, 4).starts_with("    one two\n\n    three three"));
        assert_eq!(indented(" \n ", 4), "");
        let hung = hanging(&"word ".repeat(40), "  - ");
        assert!(hung.starts_with("  - word") && hung.contains("\n    word"), "{hung}");
    }

    #[test]
    fn shortens_between_words_at_any_character() {
        assert_eq!(start("a  b\nc"), "a b c");
        let long = "ключ ".repeat(100);
        let shown = start(&long);
        assert!(shown.ends_with("ключ …") && shown.chars().count() <= START + 2, "{shown}");
        assert_eq!(start(&"x".repeat(500)).chars().count(), START + 2);
    }
}
