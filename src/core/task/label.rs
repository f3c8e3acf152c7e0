//! Strips a fixed label from the start of an answer, at once or while streaming.

/// Removes surrounding white space and a leading label from a text that arrives in pieces.
///
/// The concatenated output equals [`strip_label`] of the whole text. A piece is held back while it
/// may still be part of the label or trailing white space.
#[derive(Debug)]
pub struct LabelStrip {
    label: String,
    state: LabelState,
    held: String,
}

#[derive(Debug, PartialEq, Eq)]
enum LabelState {
    /// The held text may be the start of the label.
    Undecided,
    /// The label has been stripped or is absent; only white space is held.
    Text {
        /// Whether any text has been returned.
        begun: bool,
    },
}

impl LabelStrip {
    /// Creates the stripper for one answer; with an empty label it strips white space only.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), state: LabelState::Undecided, held: String::new() }
    }

    /// Adds a piece and returns the text that is certain by now.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        if self.state == LabelState::Undecided {
            let start = self.held.trim_start();
            let n = start.len().min(self.label.len());
            let may_be_label =
                start.as_bytes()[..n].eq_ignore_ascii_case(&self.label.as_bytes()[..n]);
            if may_be_label && start.len() < self.label.len() {
                return String::new();
            }
            let text = if may_be_label { &start[n..] } else { start };
            self.held = text.to_owned();
            self.state = LabelState::Text { begun: false };
        }
        self.release()
    }

    /// Ends the answer and returns the held text without trailing white space.
    pub fn finish(&mut self) -> String {
        if self.state == LabelState::Undecided {
            self.held = self.held.trim().to_owned();
            self.state = LabelState::Text { begun: false };
        }
        self.release()
    }

    fn release(&mut self) -> String {
        let begun = self.state == LabelState::Text { begun: true };
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
        self.state = LabelState::Text { begun: true };
        out
    }
}

/// Returns the text without surrounding white space and, if it begins with it, without the label
/// (ASCII case is ignored).
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
