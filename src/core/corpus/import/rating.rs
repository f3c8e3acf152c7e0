//! Reads ratings in the forms in which people and programs write them.

use serde_json::Value;

use super::fields;
use super::notes::RowNotes;

/// Rating that the full mark of a fraction becomes, so that `8/10` is 4.
const FULL_MARK: f64 = 5.0;

/// Texts that programs write where a value is missing.
const MISSING: [&str; 8] = ["nan", "null", "none", "n/a", "na", "-", "inf", "-inf"];

/// Returns an optional rating: a number, also with a decimal comma (`4,5`); a fraction (`4/5`,
/// `8 out of 10`), scaled to 5; or stars. A value that is none of these is noted.
pub(super) fn rating(row: &Value, name: &str, notes: &mut RowNotes) -> Option<f32> {
    let value = fields::optional(row, name)?;
    let read = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if is_missing(text) => return None,
        Value::String(text) => of_text(text),
        _ => None,
    };
    let read = read.map(|n| n as f32).filter(|n| n.is_finite());
    if read.is_none() {
        notes.missing(name, "no number", fields::shown(value));
    }
    read
}

/// Whether a text says that a value is missing.
pub(super) fn is_missing(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || MISSING.iter().any(|missing| text.eq_ignore_ascii_case(missing))
}

fn of_text(text: &str) -> Option<f64> {
    let text = text.trim().to_lowercase();
    if text.chars().all(|c| matches!(c, '★' | '☆')) {
        return Some(text.chars().filter(|c| *c == '★').count() as f64);
    }
    let text = ["stars", "star"].iter().find_map(|word| text.strip_suffix(word)).unwrap_or(&text);
    let parts = text.split_once('/').or_else(|| text.split_once("out of"));
    let Some((part, whole)) = parts else { return decimal(text) };
    let (part, whole) = (decimal(part)?, decimal(whole)?);
    (whole > 0.0 && (0.0..=whole).contains(&part)).then(|| part / whole * FULL_MARK)
}

/// A decimal number with a point or one comma.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let number = match text.split_once(',') {
        Some((whole, part)) if !part.contains([',', '.']) && !whole.contains('.') => {
            format!("{whole}.{part}").parse()
        }
        _ => text.parse(),
    };
    number.ok().filter(|n: &f64| n.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ratings_in_many_forms() {
        let mut notes = RowNotes::default();
        let mut read = |value: Value| rating(&json!({ "r": value }), "r", &mut notes);
        for (value, expected) in [
            (json!(4), 4.0),
            (json!("4.5"), 4.5),
            (json!(" 4,5 "), 4.5),
            (json!("4/5"), 4.0),
            (json!("8/10"), 4.0),
            (json!("3,5 / 5"), 3.5),
            (json!("4.0 out of 5 stars"), 4.0),
            (json!("1 star"), 1.0),
            (json!("★★★☆☆"), 3.0),
            (json!("-1"), -1.0),
        ] {
            assert_eq!(read(value.clone()), Some(expected), "{value}");
        }
        for missing in [json!(null), json!(""), json!("NaN"), json!("n/a"), json!("None")] {
            assert_eq!(read(missing), None);
        }
        assert!(format!("{notes:?}").ends_with("([])"), "{notes:?}");
    }

    #[test]
    fn others_are_noted() {
        for value in [
            json!("good"),
            json!([4]),
            json!({}),
            json!(true),
            json!("6/5"),
            json!("1/0"),
            json!("1,2,3"),
        ] {
            let mut notes = RowNotes::default();
            assert_eq!(rating(&json!({ "r": value }), "r", &mut notes), None, "{value}");
            assert!(format!("{notes:?}").contains("no number"), "{value}");
        }
    }
}
