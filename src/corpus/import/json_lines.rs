//! Parses a line as a JSON object, or as a Python dict as `repr` prints it.

use serde_json::Value;

use super::{fields, json_repair, python_literal};

/// Parses one object: JSON, JSON with what programs write beside it (see [`json_repair`]), or a Python
/// literal, as several public review sets have. A record separator before it (RFC 7464) is passed over.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| invalid_utf8(&error))?;
    let text = text.trim_start_matches('\u{1e}');
    let value = match serde_json::from_str::<Value>(text) {
        Ok(value) => value,
        Err(error) => repaired(text, &error)?,
    };
    if !value.is_object() {
        return Err(format!("{} where an object was expected", fields::kind(&value)));
    }
    Ok(value)
}

/// Parses any value: JSON, or JSON with what programs write beside it.
pub(super) fn value(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| invalid_utf8(&error))?;
    serde_json::from_str(text).or_else(|error| {
        let fixed = json_repair::repaired(text).and_then(|fixed| serde_json::from_str(&fixed).ok());
        fixed.ok_or_else(|| not_json(&error))
    })
}

fn repaired(text: &str, error: &serde_json::Error) -> Result<Value, String> {
    if let Some(fixed) = json_repair::repaired(text)
        && let Ok(value) = serde_json::from_str(&fixed)
    {
        return Ok(value);
    }
    // A JSON object begins with `{"`; `repr` prefers single quotes.
    let json_like = text.trim_start_matches(['{', ' ']).starts_with('"');
    let dict_like = text.trim_start().starts_with(['{', '(']);
    python_literal::parse_row(text).map(python_literal::Literal::into_json).map_err(|python| {
        match json_like || !dict_like {
            true => not_json(error),
            false => python.to_string(),
        }
    })
}

/// The parser's message without its number of the line, which is always 1.
fn not_json(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let (reason, _) = message.rsplit_once(" at line ").unwrap_or((&message, ""));
    format!("not JSON: {reason} at column {}", error.column())
}

pub(super) fn invalid_utf8(error: &std::str::Utf8Error) -> String {
    format!("invalid UTF-8 after byte {}", error.valid_up_to())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_what_programs_write_in_its_place() {
        for (line, expected) in [
            (r#"{"a": 1, "b": NaN}"#, json!({"a": 1, "b": null})),
            (r#"{"a": "x\/y", "b": Infinity}"#, json!({"a": "x/y", "b": null})),
            (
                r#"{'a': 1, u'b': u'caf\xe9', 'c': None, 'd': nan}"#,
                json!({"a": 1, "b": "café", "c": null, "d": null}),
            ),
            (r#"{"a": True, 'b': "it's"}"#, json!({"a": true, "b": "it's"})),
            ("\u{1e}{\"a\": 1}", json!({"a": 1})),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(expected), "{line}");
        }
    }

    #[test]
    fn a_reason_names_one_position() {
        let reason = parse(br#"{"user": "ann"},"#).unwrap_err();
        assert_eq!(reason, "not JSON: trailing characters at column 16");
        assert!(parse(b"nonsense").unwrap_err().starts_with("not JSON: "));
        assert!(parse(b"{'a': }").unwrap_err().contains("Python"));
        assert_eq!(parse(b"[1]").unwrap_err(), "a list where an object was expected");
    }
}
