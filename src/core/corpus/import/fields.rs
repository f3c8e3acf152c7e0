//! Reads typed fields of a row from JSON values of any type.

use serde_json::Value;

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

/// Returns a required text, which may be empty.
pub(super) fn text(row: &Value, name: &str) -> Result<String, String> {
    match optional(row, name) {
        None => Err(format!("field `{name}` is missing")),
        Some(value) => as_text(value, name),
    }
}

/// Returns an optional text; empty if it is missing.
pub(super) fn text_or_empty(row: &Value, name: &str) -> Result<String, String> {
    optional(row, name).map_or(Ok(String::new()), |value| as_text(value, name))
}

/// Returns an identifier: a text or a number that must be present and not blank.
pub(super) fn identifier(row: &Value, name: &str) -> Result<String, String> {
    let id = text(row, name)?;
    if id.trim().is_empty() {
        return Err(format!("field `{name}` is empty"));
    }
    Ok(id)
}

/// Returns an optional finite number; an empty text counts as missing.
pub(super) fn number(row: &Value, name: &str) -> Result<Option<f64>, String> {
    let number = match optional(row, name) {
        None => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(Value::Number(number)) => number.as_f64(),
        Some(other) => return Err(format!("field `{name}` is {}, expected a number", kind(other))),
    };
    match number.filter(|n: &f64| n.is_finite()) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("field `{name}` is {}, expected a number", shown(&row[name]))),
    }
}

/// Returns an optional rating.
pub(super) fn rating(row: &Value, name: &str) -> Result<Option<f32>, String> {
    Ok(number(row, name)?.map(|n| n as f32).filter(|n| n.is_finite()))
}

/// Returns the texts of a list, or a single text as a list of one. Blank texts are left out.
pub(super) fn texts(row: &Value, name: &str) -> Result<Vec<String>, String> {
    let texts = match optional(row, name) {
        None => Vec::new(),
        Some(Value::Array(values)) => {
            values.iter().map(|value| as_text(value, name)).collect::<Result<_, _>>()?
        }
        Some(value) => vec![as_text(value, name)?],
    };
    Ok(texts.into_iter().filter(|text| !text.trim().is_empty()).collect())
}

/// Returns the field, or `None` if it is missing or null.
pub(super) fn optional<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    row.get(name).filter(|value| !value.is_null())
}

fn as_text(value: &Value, name: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
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

    #[test]
    fn fields_are_read_leniently_and_refused_with_their_name() {
        let row = json!({"a": 5, "b": " 4.5 ", "c": null, "d": "x", "e": ["p", "", 1], "f": {}, "g": "NaN"});
        assert_eq!(text(&row, "a"), Ok("5".into()));
        assert_eq!(number(&row, "b"), Ok(Some(4.5)));
        assert_eq!(number(&row, "c"), Ok(None));
        assert!(text(&row, "c").is_err_and(|e| e.contains("`c` is missing")));
        assert!(number(&row, "d").is_err_and(|e| e.contains("\"x\"")));
        assert!(number(&row, "g").is_err());
        assert_eq!(texts(&row, "e"), Ok(vec!["p".into(), "1".into()]));
        assert_eq!(texts(&row, "d"), Ok(vec!["x".into()]));
        assert!(text(&row, "f").is_err_and(|e| e.contains("an object")));
        assert!(identifier(&json!({"a": " "}), "a").is_err());
    }
}
