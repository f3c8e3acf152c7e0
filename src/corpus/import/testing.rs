//! Parsers of single rows, for fuzz targets.

#![allow(missing_docs)]

use serde_json::Value;

use super::{json_lines, python_literal};

/// Parses a line as an import of JSON lines does.
pub fn json_row(line: &[u8]) -> Result<Value, String> {
    json_lines::parse(line)
}

/// Parses a Python literal, as the nearest JSON.
pub fn python_literal(text: &str) -> Result<Value, String> {
    let literal = python_literal::parse_row(text).map_err(|error| error.to_string())?;
    Ok(literal.into_json())
}
