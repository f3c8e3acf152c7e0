//! Takes a fixed label off the start of an answer, at once or while it streams.

/// Removes surrounding white space and a leading label from a text that comes in pieces.
///
/// What leaves it, joined, is what [`strip_label`] makes of the whole text; a piece is held back as
/// long as it may still turn out to be label or trailing white space.
#[derive(Debug)]
pub struct LabelStrip {
    label: String,
    state: State,
    held: String,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// What is held may be the start of the label.
    Undecided,
    /// The label is dealt with; only white space is held.
    Text {
        /// Whether anything has left.
        begun: bool,
    },
}

impl LabelStrip {
    /// For one answer; an empty label strips white space only.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), state: State::Undecided, held: String::new() }
    }

    /// Takes a piece; returns what is certain to belong to the text.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        if self.state == State::Undecided {
            let start = self.held.trim_start();
            let n = start.len().min(self.label.len());
            let may_be_label =
                start.as_bytes()[..n].eq_ignore_ascii_case(&self.label.as_bytes()[..n]);
            if may_be_label && start.len() < self.label.len() {
                return String::new();
            }
            let text = if may_be_label { &start[n..] } else { start };
            self.held = text.to_owned();
            self.state = State::Text { begun: false };
        }
        self.release()
    }

    /// The answer is over; returns what was held and belongs to the text.
    pub fn finish(&mut self) -> String {
        if self.state == State::Undecided {
            self.held = self.held.trim().to_owned();
            self.state = State::Text { begun: false };
        }
        self.release()
    }

    fn release(&mut self) -> String {
        let begun = self.state == State::Text { begun: true };
        let text = if begun { self.held.as_str() } else { self.held.trim_start() };
        let certain = text.trim_end();
        if certain.is_empty() {
            if !begun {
                self.held.clear();
            }
            return String::new();
        }
        let out = certain.to_owned();
        self.held = text[certain.len()..].to_owned();
        self.state = State::Text { begun: true };
        out
    }
}

/// The text without surrounding white space and without the label, if it starts with it.
#[must_use]
pub fn strip_label(text: &str, label: &str) -> String {
    let mut strip = LabelStrip::new(label);
    let mut out = strip.push(text);
    out.push_str(&strip.finish());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strips_the_label_only_at_the_start() {
        let label = "[Review]:";
        for (text, wanted) in [
            ("[Review]: Good.\n", "Good."),
            ("\n [review]:\n\nGood.  More.", "Good.  More."),
            ("Good. [Review]: no", "Good. [Review]: no"),
            ("[Review", "[Review"),
            ("[Review]:", ""),
            ("  ", ""),
            ("é", "é"),
            ("[Reviéw]: x", "[Reviéw]: x"),
        ] {
            assert_eq!(strip_label(text, label), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn streaming_gives_the_same_text(
            pieces in proptest::collection::vec("(\\[R|eview\\]|:| |\n|a|é|\u{1f600})*", 0..8),
        ) {
            let mut strip = LabelStrip::new("[Review]:");
            let mut out: String = pieces.iter().map(|p| strip.push(p)).collect();
            out.push_str(&strip.finish());
            prop_assert_eq!(out, strip_label(&pieces.concat(), "[Review]:"));
        }
    }
}
