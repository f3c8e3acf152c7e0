//! Rows of a file of an export: JSON values of a list or of lines, or rows of a table with a header. Errors of
//! reading become reasons, so that a damaged file costs itself only.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use super::Found;
use super::archive::ExportFiles;
use super::json_stream::{self, JsonVisitor};
use crate::corpus::Result;
use crate::corpus::import::input::{ImportInput, ImportSource};
use crate::corpus::import::notes::RowNotes;
use crate::corpus::import::records::{FileSettings, Records};
use crate::corpus::import::{fields, json_lines, time};

/// Number of bytes of a small file that are read.
const MAX_SMALL_BYTES: u64 = 16 << 20;

/// Takes a row that begins on a line, or the reason why it cannot be read; returns whether to go on.
pub(super) type OnRow<'a> = dyn FnMut(u64, Result<Value, String>) -> Result<bool> + 'a;

/// Reads the rows of a table, of a JSON list or of JSON lines. `columns` are names by which the delimiter
/// of a table is found. Returns false if `on` asked to stop.
///
/// # Errors
/// Those of `on`.
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

/// Walks through a file that is one JSON document. Returns false if the visitor asked to stop.
///
/// # Errors
/// Those of the visitor.
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

/// Returns the seconds since the epoch that a field tells, as a number or as a date; `None` if it tells none.
pub(super) fn seconds(row: &Value, name: &str) -> Option<i64> {
    let seconds = time::seconds(row, name, &mut RowNotes::default());
    Some(seconds).filter(|seconds| *seconds != 0)
}
