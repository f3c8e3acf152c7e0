//! A profile as Markdown, which a person may change: see [`super::edits_of_markdown`].

use std::fmt::Write as _;

use super::{Stated, StatedProfile, counted, one_line};
use crate::task::Task;

/// What a mark begins and ends with.
pub(super) const MARK: (&str, &str) = ("<!--", "-->");

/// What the line begins with that tells the version.
pub(super) const VERSION: &str = "Version ";

const EXPLANATION: &str = "\
<!--
A box that is checked tells the model so; one that is not tells it nothing. Check a box to pin a
statement, uncheck it or delete the line to drop it, change the words as you like, or add a line
`- [x] your words` under a heading. Leave the marks at the ends of the lines as they are. Quotes and
figures are only shown.
-->";

impl StatedProfile {
    /// The profile as Markdown: statements as a list under each dimension of the task's standard,
    /// with a box that says whether they are shown to the model, a mark with their key and figures,
    /// and the places that show them as quotes.
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
            let stated = self.statements.iter().filter(|s| s.statement.dimension == key);
            stated.for_each(|stated| item(&mut out, stated));
        }
        out
    }

    /// Version and numbers, in a sentence.
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
        for stated in &self.statements {
            let key = stated.statement.dimension.as_str();
            if dimensions.iter().all(|(known, _)| *known != key) {
                dimensions.push((key, key));
            }
        }
        dimensions
    }
}

fn item(out: &mut String, stated: &Stated) {
    let statement = &stated.statement;
    let check = if stated.standing.is_shown() { 'x' } else { ' ' };
    let mark = mark(&statement.key, &stated.figures());
    let _ = writeln!(out, "- [{check}] {} {mark}", one_line(&statement.text));
    for evidence in &statement.evidence {
        let _ = writeln!(out, "  > {} (review {})", one_line(&evidence.quote), evidence.review.0);
    }
}

impl Stated {
    /// Standing, gain and effect, as far as they are known, each in words.
    #[must_use]
    pub fn figures(&self) -> Vec<String> {
        let mut figures = vec![self.standing.name().to_owned()];
        figures.extend(self.gain.map(|gain| gain.to_string()));
        figures.extend(self.statement.effect.map(|effect| format!("effect {effect:+.2}")));
        figures
    }
}

/// A comment that names something by its key.
fn mark(key: &str, figures: &[String]) -> String {
    let figures: String = figures.iter().map(|figure| format!("; {figure}")).collect();
    format!("{} {}{figures} {}", MARK.0, encoded(key), MARK.1)
}

/// The key with everything that could end a mark, or part of one, written as `%` and two digits for
/// each byte.
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
