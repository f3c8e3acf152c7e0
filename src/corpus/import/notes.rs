//! Counts what an import leaves out: rows, and optional values that could not be read.

use serde::Serialize;

/// Maximum number of different reasons that are kept apart per file; the rest is counted together.
const MAX_REASONS: usize = 20;

/// Optional values of one row that could not be read and count as missing.
#[derive(Debug, Default)]
pub(super) struct RowNotes(Vec<Unread>);

#[derive(Debug)]
struct Unread {
    field: String,
    reason: &'static str,
    shown: String,
}

impl RowNotes {
    /// Notes that the value of `field`, printed as `shown`, counts as missing.
    pub(super) fn missing(&mut self, field: &str, reason: &'static str, shown: String) {
        self.0.push(Unread { field: field.to_owned(), reason, shown });
    }
}

/// Rows of a file that were left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DroppedRows {
    /// The file.
    pub file: String,
    /// The reason, without what differs between rows.
    pub reason: String,
    /// Number of rows.
    pub rows: u64,
}

/// Values of an optional field that could not be read for one reason; they count as missing, and their
/// rows are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefaultedField {
    /// The file.
    pub file: String,
    /// The field or column.
    pub field: String,
    /// The reason.
    pub reason: &'static str,
    /// Number of values.
    pub values: u64,
    /// Line of the first one, from 1.
    pub line: u64,
    /// The first one, shortened.
    pub example: String,
}

/// Adds the notes of the row on `line` of `file`.
pub(super) fn add_defaults(
    counts: &mut Vec<DefaultedField>,
    file: &str,
    line: u64,
    notes: RowNotes,
) {
    for Unread { field, reason, shown } in notes.0 {
        let of_field =
            |c: &&mut DefaultedField| c.file == file && c.field == field && c.reason == reason;
        match counts.iter_mut().find(of_field) {
            Some(count) => count.values += 1,
            None => {
                let file = file.to_owned();
                counts.push(DefaultedField {
                    file,
                    field,
                    reason,
                    values: 1,
                    line,
                    example: shown,
                });
            }
        }
    }
}

/// Counts a row of `file` that was left out.
pub(super) fn add_drop(counts: &mut Vec<DroppedRows>, file: &str, reason: &str) {
    let mut reason = without_details(reason);
    let of_file = counts.iter().filter(|count| count.file == file).count();
    let known = |counts: &[DroppedRows], reason: &str| {
        counts.iter().position(|count| count.file == file && count.reason == reason)
    };
    let mut at = known(counts, &reason);
    if at.is_none() && of_file >= MAX_REASONS {
        "other reasons".clone_into(&mut reason);
        at = known(counts, &reason);
    }
    match at {
        Some(at) => counts[at].rows += 1,
        None => counts.push(DroppedRows { file: file.to_owned(), reason, rows: 1 }),
    }
}

/// The general part of a reason: up to its first colon or semicolon, with `N` for numbers and `...` for
/// quoted values.
fn without_details(reason: &str) -> String {
    let general = reason.split([':', ';', '(']).next().unwrap_or(reason).trim();
    let mut kept = String::with_capacity(general.len());
    let mut parts = general.split('"');
    kept.push_str(parts.next().unwrap_or_default());
    while let Some(_value) = parts.next() {
        kept.push_str("...");
        kept.push_str(parts.next().unwrap_or_default());
    }
    let mut plain = String::with_capacity(kept.len());
    for c in kept.chars() {
        match c {
            c if !c.is_ascii_digit() => plain.push(c),
            _ if !plain.ends_with('N') => plain.push('N'),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rows_are_counted_by_reason() {
        let mut counts = Vec::new();
        for column in 0..3 {
            add_drop(&mut counts, "f", &format!("not JSON: expected value at column {column}"));
            add_drop(&mut counts, "f", &format!("a row of {column} fields under a header of 4"));
        }
        add_drop(&mut counts, "g", "field `text` is missing (`a.text` is there)");
        let read: Vec<_> =
            counts.iter().map(|c| (c.file.as_str(), c.reason.as_str(), c.rows)).collect();
        assert_eq!(
            read,
            [
                ("f", "not JSON", 3),
                ("f", "a row of N fields under a header of N", 3),
                ("g", "field `text` is missing", 1)
            ]
        );
        for n in 0..100_u8 {
            add_drop(&mut counts, "f", &format!("reason {}", "x".repeat(n.into())));
        }
        assert_eq!(counts.iter().filter(|c| c.file == "f").count(), MAX_REASONS + 1);
        assert_eq!(counts.iter().map(|c| c.rows).sum::<u64>(), 107);
    }

    #[test]
    fn defaults_are_counted_by_field_with_the_first_as_example() {
        let mut counts = Vec::new();
        for (line, shown) in [(2, "\"soon\""), (5, "\"later\"")] {
            let mut notes = RowNotes::default();
            notes.missing("time", "no date", shown.to_owned());
            add_defaults(&mut counts, "f", line, notes);
        }
        assert_eq!((counts.len(), counts[0].values, counts[0].line), (1, 2, 2));
        assert_eq!(counts[0].example, "\"soon\"");
    }
}
