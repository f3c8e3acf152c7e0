//! Rows of a file of an export: JSON values of a list or of lines, or rows of a table with a header. Errors of
//! reading become reasons, so that a damaged file costs itself only.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use super::archive::ExportFiles;
use super::json_stream::{self, JsonVisitor};
use super::{ExportMessage, Found, OnFound};
use crate::Result;
use crate::import::input::{ImportInput, ImportSource};
use crate::import::notes::RowNotes;
use crate::import::records::{FileSettings, Records};
use crate::import::{fields, json_lines, time};

/// Number of bytes of a small file that are read.
const MAX_SMALL_BYTES: u64 = 16 << 20;
/// Seconds from the epoch to the year 2200.
const YEAR_2200: i64 = 7_258_118_400;

/// Takes a row that begins on a line, or the reason why it cannot be read; returns whether to go on.
pub(super) type OnRow<'a> = dyn FnMut(u64, Result<Value, String>) -> Result<bool> + 'a;

/// Reads the rows of a table, of a JSON list or of JSON lines. `columns` are names by which the delimiter
/// of a table is found. Returns false if `on` asked to stop.
///
/// # Errors
/// An error of `on`.
pub(super) fn rows(
    files: &ExportFiles,
    name: &str,
    columns: &[&str],
    on: &mut OnRow<'_>,
) -> Result<bool> {
    let settings = FileSettings {
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        ..FileSettings::default()
    };
    let source = ImportSource::File(PathBuf::from(files.shown(name)));
    let opened = files.input(name).and_then(|input| Records::of_input(&source, input, &settings));
    let mut records = match opened {
        Ok(records) => records,
        Err(error) => return on(1, Err(error.to_string())),
    };
    let mut last = 1;
    loop {
        match records.next() {
            Ok(Some(record)) => {
                last = record.line;
                if !on(record.line, record.row)? {
                    return Ok(false);
                }
            }
            Ok(None) => return Ok(true),
            Err(error) => return on(last, Err(error.to_string())),
        }
    }
}

/// A message of a row, or the reason for which the row is left out, or the reason why it cannot be read.
pub(super) type OfRow = Result<Result<ExportMessage, &'static str>, String>;

/// Hands the rows of all `tables` to `on` as `read` reads them, until `on` asks to stop. `missing` is the
/// reason that is told if there are no tables.
///
/// # Errors
/// An error of `on`.
pub(super) fn read_tables(
    files: &ExportFiles,
    (tables, columns, missing): (&[String], &[&str], &str),
    on: &mut OnFound<'_>,
    read: &dyn Fn(&Value) -> OfRow,
) -> Result<()> {
    if tables.is_empty() {
        let place = files.root().display().to_string();
        on(Found::Malformed { place, reason: missing.to_owned() })?;
    }
    for name in tables {
        let file = files.shown(name);
        let goes_on = rows(files, name, columns, &mut |line, row| {
            on(match row.and_then(|row| read(&row)) {
                Ok(Ok(message)) => Found::Message(message),
                Ok(Err(reason)) => Found::Left { reason },
                Err(reason) => malformed(&file, line, reason),
            })
        })?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Walks through a file that is one JSON document. Returns false if the visitor asked to stop.
///
/// # Errors
/// An error of the visitor.
pub(super) fn document(
    files: &ExportFiles,
    name: &str,
    visitor: &mut dyn JsonVisitor,
) -> Result<bool> {
    match files.input(name) {
        Ok(mut input) => json_stream::walk(input.reader.as_mut(), visitor),
        Err(error) => visitor.take("", 1, Err(error.to_string())),
    }
}

/// Parses a small file that is one JSON document, such as a profile; `None` if it cannot be read.
pub(super) fn small_document(input: Option<ImportInput>) -> Option<Value> {
    let mut bytes = Vec::new();
    input?.reader.take(MAX_SMALL_BYTES).read_to_end(&mut bytes).ok()?;
    json_lines::value(&bytes).ok()
}

/// The finding where a row cannot be read.
pub(super) fn malformed(file: &str, line: u64, reason: String) -> Found {
    Found::Malformed { place: format!("{file} line {line}"), reason }
}

/// Returns a field that is a text or a number and not blank. A name with points leads into objects.
pub(super) fn text(row: &Value, name: &str) -> Option<String> {
    match fields::optional(row, name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns whether a field is true.
pub(super) fn is_true(row: &Value, name: &str) -> bool {
    fields::optional(row, name) == Some(&Value::Bool(true))
}

/// Returns the seconds since the epoch that a field tells, as a number or as a date; `None` if it tells none
/// or one that is not plausible.
pub(super) fn seconds(row: &Value, name: &str) -> Option<i64> {
    let seconds = time::seconds(row, name, &mut RowNotes::default());
    Some(seconds).filter(|seconds| is_plausible(*seconds))
}

/// Whether something can have been written at a time: after 1970 and before 2200. Other times are slips and
/// stand-ins for a time that is missing.
pub(super) fn is_plausible(seconds: i64) -> bool {
    (1..YEAR_2200).contains(&seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_can_be_used_and_times_that_can_be_right() {
        let row = json!({"a": " ", "b": 7, "c": null, "d": {"e": "x"}, "f": [1]});
        let read = ["a", "b", "c", "d", "d.e", "f", "g"].map(|name| text(&row, name));
        assert_eq!(read, [None, Some("7".into()), None, None, Some("x".into()), None, None]);
        for (time, expected) in [
            (json!("2023-01-13"), Some(1_673_568_000)),
            (json!(1_673_568_000_000_u64), Some(1_673_568_000)),
            (json!("0023-01-13"), None),
            (json!("9999-12-31"), None),
            (json!(0), None),
            (json!("soon"), None),
            (json!(null), None),
        ] {
            assert_eq!(seconds(&json!({"t": time}), "t"), expected, "{time}");
        }
    }
}
