//! Repairs what programs write as JSON and JSON does not allow.

/// Returns `text` as JSON if it differs from JSON only in numbers that are none (`NaN`, `Infinity`, as
/// Python writes a missing number; they become `null`), control characters within strings, and halves of
/// surrogate pairs (`\ud83d`; they become U+FFFD). `None` if nothing was to be repaired.
pub(super) fn repaired(text: &str) -> Option<String> {
    let mut fixed = String::with_capacity(text.len() + 16);
    let (mut rest, mut in_string, mut is_changed) = (text, false, false);
    while let Some(c) = rest.chars().next() {
        let (piece, taken) = match c {
            '"' => {
                in_string = !in_string;
                ("\"", 1)
            }
            '\\' if in_string => match lone_surrogate(rest) {
                Some(true) => ("\\ufffd", 6),
                // A whole pair is taken at once, or its second half would look like a lone one.
                Some(false) => (&rest[..12], 12),
                None => {
                    let taken = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                    (&rest[..taken], taken)
                }
            },
            _ if in_string && c < ' ' => {
                fixed.push_str(&format!("\\u{:04x}", u32::from(c)));
                ("", 1)
            }
            _ if !in_string => match NO_NUMBERS.iter().find(|name| rest.starts_with(**name)) {
                Some(name) => ("null", name.len()),
                None => (&rest[..c.len_utf8()], c.len_utf8()),
            },
            _ => (&rest[..c.len_utf8()], c.len_utf8()),
        };
        is_changed |= piece != &rest[..taken];
        fixed.push_str(piece);
        rest = &rest[taken..];
    }
    is_changed.then_some(fixed)
}

const NO_NUMBERS: [&str; 4] = ["-Infinity", "Infinity", "NaN", "-NaN"];

/// Whether the escape at the start of `text` is half of a surrogate pair without its other half; `None`
/// if it is no surrogate.
fn lone_surrogate(text: &str) -> Option<bool> {
    let code = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    match code(0)? {
        0xd800..0xdc00 => Some(!code(6).is_some_and(|low| (0xdc00..0xe000).contains(&low))),
        0xdc00..0xe000 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn numbers_that_are_none_become_null_and_texts_stay() {
        let fixed = repaired(r#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity"}"#);
        let read: Value = serde_json::from_str(&fixed.unwrap()).unwrap();
        assert_eq!(read, json!({"a": null, "b": [null, null], "c": "NaN \" Infinity"}));
        assert_eq!(repaired(r#"{"a": 1, "c": "NaN \\"}"#), None);
    }

    #[test]
    fn broken_characters_are_mended() {
        let fixed = repaired("{\"a\": \"tab\there \\ud83d! \\ud83d\\ude00 \\ude00\"}").unwrap();
        let read: Value = serde_json::from_str(&fixed).unwrap();
        assert_eq!(read, json!({"a": "tab\there \u{fffd}! \u{1f600} \u{fffd}"}));
    }

    proptest! {
        #[test]
        fn json_needs_no_repair(value in crate::import::python_literal_tests::any_json()) {
            prop_assert_eq!(repaired(&value.to_string()), None);
        }

        #[test]
        fn any_text_comes_to_an_end(text in "(\\\\|\\\\u[0-9a-f]{0,5}|\"|NaN|.)*") {
            let _ = repaired(&text);
        }
    }
}
