//! Reads ratings in the forms in which people and programs write them.

use serde_json::Value;

use super::dates::ascii_digits;
use super::fields;
use super::notes::RowNotes;

/// Rating that the full mark of a fraction becomes, so that `8/10` is 4.
const FULL_MARK: f64 = 5.0;

/// Texts that programs write where a value is missing.
const MISSING: [&str; 8] = ["nan", "null", "none", "n/a", "na", "-", "inf", "-inf"];

/// Words between the parts of a fraction, longest first.
const OF: [&str; 9] = ["out of", " von ", " sur ", " van ", " of ", " de ", " di ", " su ", " из "];

/// Words that may follow a number.
const UNITS: [&str; 17] = [
    "stars",
    "star",
    "sternen",
    "sterne",
    "stern",
    "étoiles",
    "étoile",
    "estrellas",
    "estrella",
    "estrelas",
    "estrela",
    "stelle",
    "stella",
    "sterren",
    "ster",
    "points",
    "pts",
];

/// Returns an optional rating: a number, also with a decimal comma (`4,5`); a fraction (`4/5`,
/// `8 out of 10`, `80 %`), scaled to 5; or stars. A value that is none of these is noted.
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
    let text = ascii_digits(text.trim()).to_lowercase();
    if let Some(stars) = stars(&text) {
        return Some(stars);
    }
    let text = UNITS.iter().find_map(|word| text.strip_suffix(word)).unwrap_or(&text);
    if let Some(percent) = text.trim_end().strip_suffix('%') {
        return share(decimal(percent)?, 100.0);
    }
    let parts = text.split_once('/').or_else(|| OF.iter().find_map(|of| text.split_once(of)));
    match parts {
        Some((part, whole)) => share(decimal(part)?, decimal(whole)?),
        None => decimal(text),
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0 && (0.0..=whole).contains(&part)).then(|| part / whole * FULL_MARK)
}

/// The number of stars or discs, of which a last one may be half.
fn stars(text: &str) -> Option<f64> {
    let (mut full, mut signs) = (0.0, 0);
    for c in text.chars() {
        match c {
            '★' | '⭐' | '●' => full += 1.0,
            '½' | '⯨' => full += 0.5,
            '☆' | '○' | '\u{fe0f}' => {}
            _ => return None,
        }
        signs += u32::from(c != '½');
    }
    (signs > 0).then_some(full)
}

/// A decimal number with a point or one comma, or with a half: `3½`, `½`.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Some(whole) = text.strip_suffix('½') {
        return if whole.is_empty() {
            Some(0.5)
        } else {
            whole.trim().parse::<u32>().ok().map(|n| f64::from(n) + 0.5)
        };
    }
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
            (json!("80%"), 4.0),
            (json!("70 %"), 3.5),
            (json!("4 von 5 Sternen"), 4.0),
            (json!("4,5 sur 5"), 4.5),
            (json!("9 из 10"), 4.5),
            (json!("3½"), 3.5),
            (json!("½"), 0.5),
            (json!("★★★½"), 3.5),
            (json!("⭐️⭐️⭐️⭐️"), 4.0),
            (json!("●●●○○"), 3.0),
            (json!("４"), 4.0),
            (json!("4 estrellas"), 4.0),
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
            json!("120 %"),
            json!("-2/5"),
            json!("4 apples"),
        ] {
            let mut notes = RowNotes::default();
            assert_eq!(rating(&json!({ "r": value }), "r", &mut notes), None, "{value}");
            assert!(format!("{notes:?}").contains("no number"), "{value}");
        }
    }
}
