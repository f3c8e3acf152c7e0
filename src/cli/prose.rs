//! Texts of users on a terminal: wrapped, indented, shortened.

use idiolect::corpus::Review;

/// Columns that text is wrapped at.
const WIDTH: usize = 96;
/// Characters of a text that is only begun.
const START: usize = 240;

/// How much of a text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Its first sentences.
    Start,
    /// All of it.
    Whole,
}

/// Rating, title and text of a review, indented.
pub(crate) fn quoted(review: &Review, length: Length) -> String {
    let rating = review.rating.map_or(String::new(), |rating| format!("{rating}/5 "));
    let text = match length {
        Length::Start => start(&review.text),
        Length::Whole => review.text.clone(),
    };
    format!("  {rating}{}\n{}\n", review.title, indented(&text, 4))
}

/// The beginning of a text, cut between words, with an ellipsis where something follows.
pub(crate) fn start(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(START) else { return line };
    let cut = line[..end].rfind(' ').unwrap_or(end);
    format!("{} …", &line[..cut])
}

/// Wraps each line at [`WIDTH`] columns behind `indent` spaces. Blank lines stay, once.
pub(crate) fn indented(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut lines: Vec<String> = Vec::new();
    for line in text.trim().lines() {
        let mut row = margin.clone();
        let mut columns = indent;
        for word in line.split_whitespace() {
            let width = word.chars().count();
            if columns > indent && columns + 1 + width > WIDTH {
                lines.push(std::mem::replace(&mut row, margin.clone()));
                columns = indent;
            }
            if columns > indent {
                row.push(' ');
                columns += 1;
            }
            row.push_str(word);
            columns += width;
        }
        let blank = row.trim().is_empty();
        if !(blank && lines.last().is_some_and(String::is_empty)) {
            lines.push(if blank { String::new() } else { row });
        }
    }
    lines.join("\n")
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
    fn shortens_between_words_at_any_character() {
        assert_eq!(start("a  b\nc"), "a b c");
        let long = "ключ ".repeat(100);
        let shown = start(&long);
        assert!(shown.ends_with("ключ …") && shown.chars().count() <= START + 2, "{shown}");
        assert_eq!(start(&"x".repeat(500)).chars().count(), START + 2);
    }
}
