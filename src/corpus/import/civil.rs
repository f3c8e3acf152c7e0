//! Days, and times of a day, of which dates are made.

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Names of time zones and their offsets in minutes, beside those that mails have.
const ZONES: [(&str, i64); 21] = [
    ("utc", 0),
    ("gmt", 0),
    ("wet", 0),
    ("bst", 60),
    ("west", 60),
    ("cet", 60),
    ("mez", 60),
    ("cest", 120),
    ("mesz", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("jst", 540),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
];

/// The year of two digits, 1970 to 2069.
pub(super) fn of_two_digits(year: i64) -> i64 {
    if year < 70 { 2000 + year } else { 1900 + year }
}

/// Seconds since the epoch of the midnight that begins a day, UTC.
pub(super) fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let part = |n: i64| i8::try_from(n).ok();
    let date = Date::new(i16::try_from(year).ok()?, part(month)?, part(day)?).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Returns the time of day in seconds since midnight UTC; 0 for an empty text.
pub(super) fn time_of_day(time: &str) -> Option<i64> {
    if time.is_empty() {
        return Some(0);
    }
    let (time, zone) = without_zone(time);
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], &time[at..]),
        None => (time, ""),
    };
    let clock = clock.trim_end().to_ascii_lowercase();
    let (clock, half) = match (clock.strip_suffix("am"), clock.strip_suffix("pm")) {
        (Some(clock), _) => (clock.trim_end(), Some(0)),
        (_, Some(clock)) => (clock.trim_end(), Some(12)),
        _ => (clock.as_str(), None),
    };
    // Commas are decimal points in ISO 8601 as well.
    let clock = clock.split(['.', ',']).next()?;
    let (hour, minute, second) = match clock.contains(':') {
        true => {
            let mut parts = clock.splitn(3, ':');
            let (hour, minute) = (digits(parts.next()?)?, digits(parts.next()?)?);
            (hour, minute, parts.next().map_or(Some(0), digits)?)
        }
        false if clock.len() == 6 => {
            (digits(clock.get(..2)?)?, digits(clock.get(2..4)?)?, digits(clock.get(4..)?)?)
        }
        false => return None,
    };
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(half) => hour % 12 + half,
        None => hour,
    };
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
                None if rest.len() == 4 => (digits(rest.get(..2)?)?, digits(rest.get(2..)?)?),
                None => (digits(rest)?, 0),
            };
            (hours * 60 + minutes) * if sign == "-" { -60 } else { 60 }
        }
    };
    Some(hour * 3600 + minute * 60 + second - ahead - zone * 60)
}

/// A time without the name of its zone, and the zone's offset in minutes.
fn without_zone(time: &str) -> (&str, i64) {
    let Some((before, name)) = time.rsplit_once(' ') else { return (time, 0) };
    let zone = ZONES.iter().find(|(zone, _)| name.eq_ignore_ascii_case(zone));
    zone.map_or((time, 0), |(_, offset)| (before.trim_end(), *offset))
}

/// A number of up to four digits.
pub(super) fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
