//! Reads typed fields of a row from JSON values of any type. Required fields are read or refused;
//! optional ones are read or noted as missing.

use serde_json::Value;

use super::nested;
use super::notes::RowNotes;

/// Numbers from this size on are not exact as `f64`, so they identify nothing.
const INEXACT: f64 = 9_007_199_254_740_992.0;

/// Name of a value's type, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Returns a required text, which may be empty; of a list of texts its elements, one a line.
pub(super) fn text(row: &Value, name: &str) -> Result<String, String> {
    let value = required(row, name)?;
    let lines: Option<Vec<&str>> =
        value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
    match lines {
        Some(lines) if !lines.is_empty() => Ok(lines.join("\n")),
        _ => as_text(value, name),
    }
}

fn required<'a>(row: &'a Value, name: &str) -> Result<&'a Value, String> {
    let missing = || format!("field `{name}` is missing{}", nested::hint(row, name));
    optional(row, name).ok_or_else(missing)
}

/// Returns an optional text; empty if it is missing.
pub(super) fn text_or_empty(row: &Value, name: &str) -> Result<String, String> {
    optional(row, name).map_or(Ok(String::new()), |value| as_text(value, name))
}

/// Returns an optional text; a value that is none is noted.
pub(super) fn optional_text(row: &Value, name: &str, notes: &mut RowNotes) -> String {
    text_or_empty(row, name).unwrap_or_else(|_| {
        notes.missing(name, "no text", optional(row, name).map(shown).unwrap_or_default());
        String::new()
    })
}

/// Returns an identifier: a text or a number that must be present and not blank, without white space
/// around it. A whole number is the same identifier in either spelling, `17` or `17.0`.
pub(super) fn identifier(row: &Value, name: &str) -> Result<String, String> {
    if let Some(number) = optional(row, name).and_then(Value::as_number)
        && number.is_f64()
        && number.as_f64().is_some_and(|n| n.abs() >= INEXACT)
    {
        return Err(format!("field `{name}` is a number too large to be exact; quote it"));
    }
    let mut id = as_text(required(row, name)?, name)?;
    let trimmed = id.trim();
    if trimmed.is_empty() {
        return Err(format!("field `{name}` is empty"));
    }
    if trimmed.len() < id.len() {
        id = trimmed.to_owned();
    }
    if let Some(whole) = id.strip_suffix(".0") {
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            id.truncate(whole.len());
        }
    }
    Ok(id)
}

/// Returns the optional texts of a list, or a single text as a list of one. Elements that are no texts
/// are noted and left out.
pub(super) fn optional_texts(row: &Value, name: &str, notes: &mut RowNotes) -> Vec<String> {
    let values = match optional(row, name) {
        None => return Vec::new(),
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    let mut texts = Vec::with_capacity(values.len());
    for value in values.iter().filter(|value| !value.is_null()) {
        match as_text(value, name) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => texts.push(text),
            Err(_) => notes.missing(name, "no text", shown(value)),
        }
    }
    texts
}

/// Returns the field, or `None` if it is missing or null. A name with dots that is no field itself is a
/// path into objects.
pub(super) fn optional<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    nested::lookup(row, name).filter(|value| !value.is_null())
}

fn as_text(value: &Value, name: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Object(parts) => {
            let parts: Vec<_> = parts.keys().take(5).map(|key| format!("`{name}.{key}`")).collect();
            let hint = match parts.is_empty() {
                true => String::new(),
                false => format!(" (it has {}; name one in --map)", parts.join(", ")),
            };
            Err(format!("field `{name}` is an object, expected a text{hint}"))
        }
        other => Err(format!("field `{name}` is {}, expected a text", kind(other))),
    }
}

/// Formats a value for messages, cut after 40 characters.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::import::rating::rating;

    #[test]
    fn fields_are_read_leniently_and_refused_with_their_name() {
        let row = json!({"a": 5, "b": " 4.5 ", "c": null, "d": "x", "e": ["p", "", 1], "f": {}, "g": "NaN"});
        assert_eq!(text(&row, "a"), Ok("5".into()));
        let mut notes = RowNotes::default();
        assert_eq!(rating(&row, "b", &mut notes), Some(4.5));
        assert_eq!(rating(&row, "c", &mut notes), None);
        assert!(text(&row, "c").is_err_and(|e| e.contains("`c` is missing")));
        assert_eq!(rating(&row, "d", &mut notes), None);
        assert!(format!("{notes:?}").contains("\\\"x\\\""), "{notes:?}");
        assert_eq!(rating(&row, "g", &mut notes), None);
        assert_eq!(optional_texts(&row, "e", &mut notes), ["p", "1"]);
        assert_eq!(optional_texts(&row, "d", &mut notes), ["x"]);
        assert!(text(&row, "f").is_err_and(|e| e.contains("an object")));
        assert!(identifier(&json!({"a": " "}), "a").is_err());
        assert_eq!(text(&json!({"a": ["one", "two"]}), "a"), Ok("one\ntwo".into()));
        assert!(text(&json!({"a": []}), "a").is_err() && text(&json!({"a": [1]}), "a").is_err());
        let nested = identifier(&json!({"a": {"id": 1, "name": "x"}}), "a");
        assert!(nested.is_err_and(|e| e.contains("`a.id`, `a.name`")));
    }

    #[test]
    fn a_whole_number_is_one_identifier_in_every_spelling() {
        let id = |value: Value| identifier(&json!({ "id": value }), "id");
        for value in [json!(12345), json!(12345.0), json!("12345"), json!("12345.0")] {
            assert_eq!(id(value), Ok("12345".into()));
        }
        for text in ["1.10", "v1.0", "1.5", ".0", "1.0.0"] {
            assert_eq!(id(json!(text)), Ok(text.into()));
        }
        assert_eq!(id(json!(-3.0)), Ok("-3".into()));
        assert_eq!(id(json!(" b 7\t")), Ok("b 7".into()));
        assert_eq!(id(json!(18_446_744_073_709_551_615_u64)), Ok("18446744073709551615".into()));
        assert!(id(json!(1e22)).is_err_and(|e| e.contains("quote it")));
    }

    #[test]
    fn optional_values_are_noted_and_cost_nothing_else() {
        let row = json!({"title": {"x": 1}, "list": ["a", ["b"], null, "c"]});
        let mut notes = RowNotes::default();
        assert_eq!(optional_text(&row, "title", &mut notes), "");
        assert_eq!(optional_texts(&row, "list", &mut notes), ["a", "c"]);
        assert_eq!(optional_text(&row, "absent", &mut notes), "");
        let mut counts = Vec::new();
        super::super::notes::add_defaults(&mut counts, "f", 1, notes);
        let fields: Vec<_> = counts.iter().map(|count| count.field.as_str()).collect();
        assert_eq!(fields, ["title", "list"]);
    }
}
