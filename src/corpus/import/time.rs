//! Reads times: numbers in one of four units, or dates as texts.

use jiff::Timestamp;
use serde_json::Value;

use super::dates::{self, DayOrder};
use super::notes::RowNotes;
use super::{fields, rating};

/// Numbers from these on are milliseconds, microseconds and nanoseconds: in the unit before they would
/// lie after the year 5000.
const UNITS: [(i128, i128); 3] = [
    (100_000_000_000_000_000, 1_000_000_000),
    (100_000_000_000_000, 1_000_000),
    (100_000_000_000, 1_000),
];

/// Reason why a number is not read.
const SENSELESS: &str = "no time between the years -9999 and 9999";

/// Returns seconds since the Unix epoch. A number is in seconds, milliseconds, microseconds or
/// nanoseconds, by its size; a text is a number or a date (see [`dates::seconds_of`]). 0 if the field is
/// missing; a value that is no time is noted.
pub(super) fn seconds(row: &Value, name: &str, notes: &mut RowNotes) -> i64 {
    seconds_in(row, name, None, notes)
}

/// As [`seconds`], with the order of day and month where only it decides.
pub(super) fn seconds_in(
    row: &Value,
    name: &str,
    order: Option<DayOrder>,
    notes: &mut RowNotes,
) -> i64 {
    noted(row, name, notes, read(row, name, order))
}

/// As [`seconds`], for fields whose numbers are in milliseconds at least, however small they are.
pub(super) fn seconds_of_milliseconds(row: &Value, name: &str, notes: &mut RowNotes) -> i64 {
    let small = fields::optional(row, name).and_then(Value::as_number).and_then(whole);
    let read = match small.filter(|n| n.abs() < UNITS[2].0) {
        Some(milliseconds) => in_range(milliseconds.div_euclid(1000)),
        None => read(row, name, None),
    };
    noted(row, name, notes, read)
}

fn noted(row: &Value, name: &str, notes: &mut RowNotes, read: Result<i64, &'static str>) -> i64 {
    read.unwrap_or_else(|reason| {
        notes.missing(
            name,
            reason,
            fields::optional(row, name).map(fields::shown).unwrap_or_default(),
        );
        0
    })
}

fn read(row: &Value, name: &str, order: Option<DayOrder>) -> Result<i64, &'static str> {
    match fields::optional(row, name) {
        None => Ok(0),
        Some(Value::Number(number)) => whole(number).ok_or(SENSELESS).and_then(of_number),
        Some(Value::String(text)) => of_text(text.trim(), order),
        Some(_) => Err(dates::NO_DATE),
    }
}

fn of_text(text: &str, order: Option<DayOrder>) -> Result<i64, &'static str> {
    if text.is_empty() {
        return Ok(0);
    }
    let text = &dates::ascii_digits(text);
    // Eight digits are a date (20140706) rather than a second of 1970.
    if text.len() == 8 && dates::seconds_of(text).is_ok() {
        return dates::seconds_of(text);
    }
    if let Ok(number) = text.parse::<i128>() {
        return of_number(number);
    }
    // A decimal comma.
    let number = match text.split_once(',') {
        Some((whole, part)) if part.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{whole}.{part}").parse::<f64>()
        }
        _ => text.parse(),
    };
    match number {
        Ok(number) if number.is_finite() => of_number(number.floor() as i128),
        _ if rating::is_missing(text) => Err(dates::NO_DATE),
        _ => dates::seconds_in(text, order),
    }
}

fn of_number(number: i128) -> Result<i64, &'static str> {
    // 14 digits are a date with its time (20140706123000) rather than a moment of the year 2600.
    let text = number.to_string();
    if text.len() == 14
        && let Ok(seconds) = dates::seconds_of(&format!("{}T{}", &text[..8], &text[8..]))
        && matches!(&text[..2], "19" | "20")
    {
        return Ok(seconds);
    }
    let unit = UNITS.iter().find(|(first, _)| number.unsigned_abs() >= first.unsigned_abs());
    in_range(unit.map_or(number, |(_, per_second)| number.div_euclid(*per_second)))
}

fn in_range(seconds: i128) -> Result<i64, &'static str> {
    let seconds = i64::try_from(seconds).map_err(|_| SENSELESS)?;
    Timestamp::from_second(seconds).map(|time| time.as_second()).map_err(|_| SENSELESS)
}

/// The whole part of a number; `None` if it is not finite.
fn whole(number: &serde_json::Number) -> Option<i128> {
    let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    exact.or_else(|| number.as_f64().filter(|n| n.is_finite()).map(|n| n.floor() as i128))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<i64, &'static str> {
        super::read(&json!({ "t": value }), "t", None)
    }

    #[test]
    fn the_usual_ways_to_write_one_moment() {
        for value in [
            json!(1_404_649_800),
            json!(1_404_649_800_000_i64),
            json!(1_404_649_800_999_999_i64),
            json!(1_404_649_800_999_999_999_i64),
            json!(1_404_649_800.25),
            json!("1404649800"),
            json!("1404649800000000000"),
            json!("1404649800.5"),
            json!("1404649800,5"),
            json!("１４０４６４９８００"),
            json!("20140706123000"),
            json!(20_140_706_123_000_i64),
            json!("2014-07-06T12:30:00Z"),
            json!("2014-07-06 12:30"),
            json!("2014-07-06 12:30:00.125 +00:00"),
            json!("2014-07-06T14:30:00+0200"),
            json!("2014-07-06T07:30-05"),
        ] {
            assert_eq!(read(value.clone()), Ok(1_404_649_800), "{value}");
        }
        assert_eq!(read(json!("1970-01-01")), Ok(0));
        assert_eq!(read(json!("1969-12-31")), Ok(-86_400));
        assert_eq!(read(json!("2000-02-29")), Ok(951_782_400));
        assert_eq!(read(json!(null)), Ok(0));
        assert_eq!(read(json!("")), Ok(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "yesterday",
            "2014-13-01",
            "2014-02-31",
            "2015-02-29",
            "2014-07-06T24:01",
            "2014-1",
            "31.06.2014",
            "2014-07-06T99:00",
            "2014-07-06T1",
            "NaN",
        ] {
            assert!(read(json!(text)).is_err(), "{text}");
        }
        assert!(read(json!([1])).is_err());
        assert_eq!(read(json!(1e30)), Err(SENSELESS));
        assert_eq!(read(json!("9".repeat(30))), Err(SENSELESS));
    }

    #[test]
    fn fields_in_milliseconds_stay_so_however_small() {
        let mut notes = RowNotes::default();
        let mut read =
            |value: Value| seconds_of_milliseconds(&json!({ "t": value }), "t", &mut notes);
        assert_eq!(read(json!(5999)), 5);
        assert_eq!(read(json!(-1)), -1);
        assert_eq!(read(json!(1_404_649_800_000_i64)), 1_404_649_800);
        assert_eq!(read(json!(1_404_649_800_000_000_i64)), 1_404_649_800);
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_an_error(text in ".*") {
            let _ = read(json!(text));
        }

        #[test]
        fn any_shape_of_a_date_is_a_time_or_an_error(text in "[0-9]{1,5}[-./]?[0-9]{1,3}[-./]?[0-9]{0,4}[T ]?[0-9:.]{0,9}[Z+é-]?[0-9:é]{0,5}") {
            let _ = read(json!(text));
        }

        #[test]
        fn any_number_is_a_time_or_an_error(number in any::<f64>(), whole in any::<i64>()) {
            let _ = (read(json!(number)), read(json!(whole)), read(json!(number.to_string())));
        }
    }
}
