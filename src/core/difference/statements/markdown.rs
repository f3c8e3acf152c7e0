//! A profile as Markdown that a person can edit; see [`super::edits_of_markdown`].

use std::fmt::Write as _;

use super::{ProfileStatement, StatementProfile, counted, one_line};
use crate::task::Task;

/// Start and end of a mark.
pub(super) const MARK: (&str, &str) = ("<!--", "-->");

/// Start of the line with the version.
pub(super) const VERSION: &str = "Version ";

const EXPLANATION: &str = "\
<!--
A box that is checked tells the model so; one that is not tells it nothing. Check a box to pin a
statement, uncheck it or delete the line to drop it, change the words as you like, or add a line
`- [x] your words` under a heading. Leave the marks at the ends of the lines as they are. Quotes and
figures are only shown.
-->";

impl StatementProfile {
    /// Renders the profile as Markdown: a list of statements under each dimension of the task's
    /// standard. Each statement has a box that says whether the model sees it, a mark with its key
    /// and figures, and its evidence as quotes.
    #[must_use]
    pub fn to_markdown(&self, task: &Task) -> String {
        let user = one_line(&self.user);
        let mut out = format!("# What sets {user} apart\n\n{}\n\n", self.headline());
        if let Some(sentence) = self.abstention() {
            let _ = write!(out, "{sentence}\n\n");
        }
        let _ = writeln!(out, "{EXPLANATION}");
        for (key, name) in self.dimensions(task) {
            let _ = write!(out, "\n## {} {}\n\n", one_line(name), mark(key, &[]));
            let entry = self.statements.iter().filter(|s| s.statement.dimension == key);
            entry.for_each(|entry| item(&mut out, entry));
        }
        out
    }

    /// Sentence with the version, the number of statements and the number of measures tried.
    #[must_use]
    pub fn headline(&self) -> String {
        let (shown, tried) = (self.shown().count(), self.tried);
        format!(
            "{VERSION}{}; {}, {shown} shown to the model; {tried} measures tried.",
            self.version,
            counted(self.statements.len())
        )
    }

    /// Keys and names of the dimensions: those of the standard, then others that statements have.
    pub fn dimensions<'a>(&'a self, task: &'a Task) -> Vec<(&'a str, &'a str)> {
        let standard = task.standard.iter().map(|d| (d.key.as_str(), d.name.as_str()));
        let mut dimensions: Vec<_> = standard.collect();
        for entry in &self.statements {
            let key = entry.statement.dimension.as_str();
            if dimensions.iter().all(|(known, _)| *known != key) {
                dimensions.push((key, key));
            }
        }
        dimensions
    }
}

fn item(out: &mut String, entry: &ProfileStatement) {
    let statement = &entry.statement;
    let check = if entry.status.is_shown() { 'x' } else { ' ' };
    let mark = mark(&statement.key, &entry.figures());
    let _ = writeln!(out, "- [{check}] {} {mark}", one_line(&statement.text));
    for evidence in &statement.evidence {
        let _ = writeln!(out, "  > {} (review {})", one_line(&evidence.quote), evidence.review.0);
    }
}

impl ProfileStatement {
    /// Status, gain and effect in words, as far as they are known.
    #[must_use]
    pub fn figures(&self) -> Vec<String> {
        let mut figures = vec![self.status.name().to_owned()];
        figures.extend(self.gain.map(|gain| gain.to_string()));
        figures.extend(self.statement.effect.map(|effect| format!("effect {effect:+.2}")));
        figures
    }
}

/// Renders a mark: a comment that names something by its key.
fn mark(key: &str, figures: &[String]) -> String {
    let figures: String = figures.iter().map(|figure| format!("; {figure}")).collect();
    format!("{} {}{figures} {}", MARK.0, encoded(key), MARK.1)
}

/// Encodes a key for a mark: each byte that could end the mark, or a part of it, becomes `%` and
/// two hexadecimal digits.
fn encoded(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            other => {
                let _ = write!(out, "%{other:02x}");
            }
        }
    }
    out
}

/// Whether a mark names this key.
pub(super) fn names(mark: &str, key: &str) -> bool {
    let name = mark.split(';').next().unwrap_or_default();
    name.trim() == encoded(key)
}
