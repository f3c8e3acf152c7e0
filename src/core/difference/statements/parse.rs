//! Parser of a person's edits in a profile's Markdown.

use std::collections::HashSet;

use super::edit::is_added;
use super::markdown::{MARK, VERSION, names};
use super::{Edit, ProfileStatement, StatementProfile, StatementStatus, one_line};
use crate::task::Task;

/// A line of Markdown that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct MarkdownError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The problem, and what was expected.
    pub reason: String,
}

const NO_END: &str = "the comment that begins here has no end `-->`";
const NO_FORM: &str =
    "cannot be understood; a statement is written as `- [x] your words` under a heading";
const OTHER_VERSION: &str =
    "this is not the version that is to be changed; print that with --markdown and change it";

type Result<T> = std::result::Result<T, MarkdownError>;

/// A list item of the Markdown.
struct Line {
    number: usize,
    /// The box: checked, not checked, none.
    checked: Option<bool>,
    /// Key of the dimension of the heading above it.
    dimension: String,
    /// The text after the box.
    rest: String,
}

/// Reads a person's edits from the Markdown of a profile, as [`StatementProfile::to_markdown`]
/// wrote it; empty if nothing was changed.
///
/// Checking a box pins the statement; unchecking it or deleting its line drops the statement. Other
/// words reword it. An item without a mark adds a statement to the dimension of the heading above.
/// Deleting the line of an added statement removes it altogether. Lines may be wrapped.
///
/// # Errors
/// Error if anything else differs from what was written: a line of another form, a mark that names
/// no statement or one twice, a statement under another heading, a quote with other words.
pub fn edits_of_markdown(
    profile: &StatementProfile,
    task: &Task,
    markdown: &str,
) -> Result<Vec<Edit>> {
    let lines = lines(profile, task, markdown)?;
    let mut edits: Vec<Edit> = Vec::new();
    let mut added: Vec<(&Line, Edit)> = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for line in &lines {
        let (text, mark) = line.split()?;
        let Some(mark) = mark else {
            added.push((line, line.addition(profile, text)?));
            continue;
        };
        let named = profile.statements.iter().find(|s| names(mark, &s.statement.key));
        let Some(entry) = named else {
            let what = format!("no statement has the key of the mark `{}`", mark.trim());
            return Err(line.wrong(&format!("{what}; leave the mark away to add a statement")));
        };
        if !seen.insert(&entry.statement.key) {
            return Err(line.wrong("this statement stands there twice; delete one of the lines"));
        }
        edits.extend(line.change(entry, text)?);
    }
    let absent = profile.statements.iter().filter(|s| !seen.contains(s.statement.key.as_str()));
    edits.extend(absent.filter_map(without_line));
    for (line, add) in added {
        if seen.contains(add.key()) || edits.contains(&add) {
            return Err(line.wrong("this statement is in the profile already; delete the line"));
        }
        edits.push(add);
    }
    Ok(edits)
}

/// The edit for a statement whose line is absent, if any.
fn without_line(entry: &ProfileStatement) -> Option<Edit> {
    let key = &entry.statement.key;
    if is_added(key) {
        return Some(Edit::Restore { key: key.clone() });
    }
    (entry.status != StatementStatus::Dropped).then(|| Edit::drop(entry))
}

/// The list items of the Markdown; everything else must be as it was written.
fn lines(profile: &StatementProfile, task: &Task, markdown: &str) -> Result<Vec<Line>> {
    let wrong = |number: usize, reason: &str| {
        Err(MarkdownError { line: number, reason: reason.to_owned() })
    };
    let written = profile.to_markdown(task);
    let as_written: HashSet<&str> = written.lines().collect();
    let mut items: Vec<Line> = Vec::new();
    let (mut dimension, mut comment): (Option<&str>, Option<usize>) = (None, None);
    // Whether an indented line belongs to the item above it.
    let mut open = false;
    for (i, line) in markdown.trim_start_matches('\u{feff}').lines().enumerate() {
        let (number, line) = (i + 1, line.trim_end());
        if comment.is_some() || line.starts_with(MARK.0) {
            let begun = comment.unwrap_or(number);
            // A comment that is never closed must not swallow the marks that follow.
            if comment.is_some() && line.contains(MARK.0) {
                return wrong(begun, NO_END);
            }
            comment = (!line.contains(MARK.1)).then_some(begun);
            open = false;
        } else if let Some(heading) = line.strip_prefix("## ") {
            let Some(key) = dimension_of(heading, profile, task) else {
                let known: Vec<&str> =
                    profile.dimensions(task).into_iter().map(|(_, name)| name).collect();
                let known = known.join(", ");
                return wrong(number, &format!("no such dimension; there are: {known}"));
            };
            (dimension, open) = (Some(key), false);
        } else if let Some(rest) = bullet(line) {
            let Some(dimension) = dimension else {
                return wrong(number, "a statement must stand under a heading `## ...`");
            };
            let (checked, rest) = boxed(rest);
            let (dimension, rest) = (dimension.to_owned(), rest.to_owned());
            items.push(Line { number, checked, dimension, rest });
            open = true;
        } else if line.is_empty() || line.starts_with("# ") || as_written.contains(line) {
            open = false;
        } else if let Some(item) = items.last_mut()
            && open
            && line.starts_with([' ', '\t'])
            && !line.trim_start().starts_with('>')
        {
            item.rest.push(' ');
            item.rest.push_str(line.trim_start());
        } else if line.trim_start().starts_with('>') {
            return wrong(number, "quotes are from the texts and cannot be changed here");
        } else {
            let other = line.starts_with(VERSION);
            return wrong(number, if other { OTHER_VERSION } else { NO_FORM });
        }
    }
    if let Some(begun) = comment {
        return wrong(begun, NO_END);
    }
    if dimension.is_none() {
        let advice = "to drop all statements, delete their lines and leave the headings";
        return wrong(1, &format!("there is no heading `## ...`; {advice}"));
    }
    Ok(items)
}

impl Line {
    fn wrong(&self, reason: &str) -> MarkdownError {
        MarkdownError { line: self.number, reason: reason.to_owned() }
    }

    /// Splits the item into words and mark.
    fn split(&self) -> Result<(&str, Option<&str>)> {
        let Some((text, mark)) = self.rest.rsplit_once(MARK.0) else {
            return Ok((self.rest.trim(), None));
        };
        match mark.split_once(MARK.1) {
            Some((mark, "")) => Ok((text.trim(), Some(mark))),
            Some(_) => Err(self.wrong("words must stand before the mark `<!-- ... -->`")),
            None => Err(self.wrong("the mark `<!-- ...` has no end `-->`")),
        }
    }

    /// The edit that adds the statement of an item without a mark.
    fn addition(&self, profile: &StatementProfile, text: &str) -> Result<Edit> {
        if self.checked == Some(false) {
            return Err(self.wrong("a new statement must be checked, `- [x]`, or it says nothing"));
        }
        let add = Edit::add(profile, &self.dimension, text);
        add.ok_or_else(|| self.wrong("a statement needs words"))
    }

    /// The edit that this line makes to the statement, if any.
    fn change(&self, entry: &ProfileStatement, text: &str) -> Result<Option<Edit>> {
        let Some(checked) = self.checked else {
            return Err(self.wrong("the box `[x]` or `[ ]` is missing"));
        };
        if entry.statement.dimension != self.dimension {
            let home = &entry.statement.dimension;
            return Err(self.wrong(&format!(
                "this statement belongs to `{home}`; move it back, or add it here without its mark"
            )));
        }
        let shown = entry.status.is_shown();
        let (text, before) = (one_line(text), one_line(&entry.statement.text));
        if text == before {
            return Ok(match (shown, checked) {
                (false, true) => Some(Edit::pin(entry)),
                (true, false) => Some(Edit::drop(entry)),
                _ => None,
            });
        }
        let empty = || self.wrong("a statement needs words; delete the line to drop it");
        let reworded = Edit::reword(entry, &text).ok_or_else(empty)?;
        Ok(Some(if checked { reworded } else { Edit::drop_reworded(entry, &text) }))
    }
}

/// Key of the dimension that a heading names, by its mark, its name or its key.
fn dimension_of<'a>(
    heading: &str,
    profile: &'a StatementProfile,
    task: &'a Task,
) -> Option<&'a str> {
    let dimensions = profile.dimensions(task);
    let found = match heading.rsplit_once(MARK.0) {
        Some((_, mark)) => {
            let mark = mark.trim_end().strip_suffix(MARK.1)?;
            dimensions.into_iter().find(|(key, _)| names(mark, key))
        }
        None => {
            let heading = one_line(heading).to_lowercase();
            let is = |text: &str| one_line(text).to_lowercase() == heading;
            dimensions.into_iter().find(|(key, name)| is(key) || is(name))
        }
    };
    found.map(|(key, _)| key)
}

/// Returns the text after the bullet of a list item that is not indented.
fn bullet(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(['-', '*', '+'])?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix([' ', '\t']) }
}

fn boxed(rest: &str) -> (Option<bool>, &str) {
    let rest = rest.trim_start();
    for (sign, checked) in [("[x]", true), ("[X]", true), ("[ ]", false)] {
        if let Some(rest) = rest.strip_prefix(sign) {
            return (Some(checked), rest);
        }
    }
    (None, rest)
}
