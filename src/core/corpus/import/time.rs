//! Parser of the time formats of tables.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::fields;

/// Numbers from this on are milliseconds: as seconds they would lie after the year 5000.
const FIRST_MILLISECOND: f64 = 1e11;

/// Returns seconds since the Unix epoch, or 0 if the field is missing or empty. A number is in
/// seconds or milliseconds. A text is a date (`2014-07-06`) or a date and a time
/// (`2014-07-06T12:30:00Z`), which may have a space instead of the `T`, fractions of a second, and
/// an offset like `+02:00`. A time without an offset is UTC.
pub(super) fn seconds(row: &Value, name: &str) -> Result<i64, String> {
    let text = match fields::optional(row, name) {
        None => return Ok(0),
        Some(Value::String(text)) => text.trim(),
        Some(_) => "",
    };
    if !text.is_empty() && text.parse::<f64>().is_err() {
        return date_and_time(text).ok_or_else(|| {
            let shown = fields::shown(&row[name]);
            format!("field `{name}` is {shown}, expected seconds or a date like 2014-07-06")
        });
    }
    let number = fields::number(row, name)?.unwrap_or(0.0);
    Ok(if number.abs() >= FIRST_MILLISECOND { number / 1000.0 } else { number }.floor() as i64)
}

fn date_and_time(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time.trim()),
        None => (text, ""),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parts.next()?, digits(parts.next()?)?, digits(parts.next()?)?);
    if year.len() != 4 {
        return None;
    }
    let (year, month, day) = (digits(year)? as i16, i8::try_from(month), i8::try_from(day));
    let date = Date::new(year, month.ok()?, day.ok()?).ok()?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    Some(midnight + time_of_day(time)?)
}

/// Returns the time of day in seconds since midnight UTC.
fn time_of_day(time: &str) -> Option<i64> {
    if time.is_empty() {
        return Some(0);
    }
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], &time[at..]),
        None => (time, ""),
    };
    let clock = clock.trim_end().split('.').next()?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let second = parts.next().map_or(Some(0), digits)?;
    // 24:00 is the midnight that ends a day, and second 60 a leap second.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if !is_time && (hour, minute, second) != (24, 0, 0) {
        return None;
    }
    let ahead = match offset {
        "" | "Z" | "z" => 0,
        _ => {
            let (sign, rest) = offset.split_at(1);
            let (hours, minutes) = match rest.split_once(':') {
                Some((h, m)) => (digits(h)?, digits(m)?),
                None if rest.len() == 4 => (digits(&rest[..2])?, digits(&rest[2..])?),
                None => (digits(rest)?, 0),
            };
            (hours * 60 + minutes) * if sign == "-" { -60 } else { 60 }
        }
    };
    Some(hour * 3600 + minute * 60 + second - ahead)
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<i64, String> {
        seconds(&json!({ "t": value }), "t")
    }

    #[test]
    fn the_usual_ways_to_write_one_moment() {
        for value in [
            json!(1_404_649_800),
            json!(1_404_649_800_000_i64),
            json!("1404649800"),
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
            "06.07.2014",
            "2014-07-06T99:00",
            "2014-07-06T1",
            "NaN",
        ] {
            assert!(read(json!(text)).is_err(), "{text}");
        }
        assert!(read(json!([1])).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_an_error(text in ".*") {
            let _ = read(json!(text));
        }

        #[test]
        fn any_shape_of_a_date_is_a_time_or_an_error(text in "[0-9]{1,5}-[0-9]{1,3}-[0-9]{0,3}[T ]?[0-9:.]{0,9}[Z+é-]?[0-9:é]{0,5}") {
            let _ = read(json!(text));
        }
    }
}
