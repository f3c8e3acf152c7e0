//! Reads dates and times as texts in the forms in which mails, web services and people write them.

use jiff::civil::{Date, DateTime};
use jiff::fmt::{rfc2822, strtime::BrokenDownTime};
use jiff::tz::TimeZone;

/// Reason why a text is no date.
pub(super) const NO_DATE: &str = "no date";
/// Reason why `03/02/2022` is not read.
pub(super) const AMBIGUOUS: &str = "day and month cannot be told apart";

/// Forms of a date with the name of its month, and of Amazon's `09 12, 2006` (month first).
const NAMED_MONTHS: [&str; 7] =
    ["%B %d, %Y", "%B %d %Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%d %b %Y", "%m %d, %Y"];
/// Forms of a time of day behind such a date.
const TIMES: [&str; 6] = ["", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S %z"];
/// Forms that web services and `ctime` write: weekday, month, day, time, year.
const WEB: [&str; 2] = ["%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y"];

/// Returns the seconds since the Unix epoch of
/// - `2014-07-06`, also with `/` or without separators, with an optional time and offset (ISO 8601);
/// - `Mon, 7 Feb 2022 21:52:25 -0800`, as mails have it (RFC 2822; a wrong weekday does no harm);
/// - `Tue Mar 01 10:00:00 +0000 2022`, as web services have it;
/// - `November 5, 2011`, `5 Nov 2011`, `06.07.2014` (day first), `25/12/2014` (either order, if only one
///   is possible), each with an optional time.
///
/// A time without an offset is UTC.
pub(super) fn seconds_of(text: &str) -> Result<i64, &'static str> {
    let text = trimmed(text);
    if let Some(seconds) = iso(text) {
        return Ok(seconds);
    }
    if let Some(read) = numeric(text) {
        return read;
    }
    mail(text).or_else(|| web(text)).or_else(|| named_month(text)).ok_or(NO_DATE)
}

/// Without a leading `Posted` and a final point, which web pages put around dates, and without the name
/// of a time zone in brackets behind an offset.
fn trimmed(text: &str) -> &str {
    let text = text.trim().trim_end_matches('.');
    let text = text.split_once('[').map_or(text, |(before, _)| before);
    let lead = text.get(..7).filter(|lead| lead.eq_ignore_ascii_case("posted "));
    lead.map_or(text, |lead| &text[lead.len()..]).trim()
}

fn iso(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time.trim()),
        None => (text, ""),
    };
    let (year, month, day) = match date.contains(['-', '/']) {
        true => {
            let mut parts = date.splitn(3, ['-', '/']);
            (parts.next()?, digits(parts.next()?)?, digits(parts.next()?)?)
        }
        false if date.len() == 8 => {
            (date.get(..4)?, digits(date.get(4..6)?)?, digits(date.get(6..)?)?)
        }
        false => return None,
    };
    if year.len() != 4 {
        return None;
    }
    midnight(digits(year)?, month, day)?.checked_add(time_of_day(time)?)
}

/// Dates of three numbers with the year last: `06.07.2014`, `25/12/2014`. `None` if it is no such date.
fn numeric(text: &str) -> Option<Result<i64, &'static str>> {
    let (date, time) = text.split_once(' ').map_or((text, ""), |(d, t)| (d, t.trim()));
    let separator = date.chars().find(|c| !c.is_ascii_digit())?;
    if !matches!(separator, '.' | '/' | '-') {
        return None;
    }
    let parts: Vec<&str> = date.trim_end_matches(',').split(separator).collect();
    let [first, second, year] = parts[..] else { return None };
    let (first, second) = (digits(first)?, digits(second)?);
    let year = digits(year).filter(|_| year.len() == 4)?;
    let time = time_of_day(time)?;
    let (day, month) = match separator {
        '.' => (first, second),
        _ if first > 12 || first == second => (first, second),
        _ if second > 12 => (second, first),
        _ => return Some(Err(AMBIGUOUS)),
    };
    midnight(year, month, day).map(|seconds| Ok(seconds + time))
}

fn mail(text: &str) -> Option<i64> {
    let parser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let read =
        parser.parse_timestamp(text).or_else(|_| parser.parse_timestamp(format!("{text} +0000")));
    read.ok().map(|time| time.as_second())
}

fn web(text: &str) -> Option<i64> {
    let numbered =
        [" UTC ", " GMT "].iter().fold(text.to_owned(), |t, zone| t.replace(zone, " +0000 "));
    WEB.iter().find_map(|form| strptime(form, &numbered))
}

fn named_month(text: &str) -> Option<i64> {
    NAMED_MONTHS
        .iter()
        .flat_map(|date| TIMES.iter().map(move |time| format!("{date}{time}")))
        .find_map(|form| strptime(&form, text))
}

fn strptime(form: &str, text: &str) -> Option<i64> {
    let read = BrokenDownTime::parse(form, text).ok()?;
    if read.offset().is_some() {
        return Some(read.to_timestamp().ok()?.as_second());
    }
    let civil = read.to_datetime().or_else(|_| read.to_date().map(DateTime::from)).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Seconds since the epoch of the midnight that begins a day, UTC.
fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let part = |n: i64| i8::try_from(n).ok();
    let date = Date::new(i16::try_from(year).ok()?, part(month)?, part(day)?).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Returns the time of day in seconds since midnight UTC; 0 for an empty text.
fn time_of_day(time: &str) -> Option<i64> {
    if time.is_empty() {
        return Some(0);
    }
    let zones = [" UTC", " GMT"];
    let time = zones.iter().find_map(|zone| time.strip_suffix(zone)).unwrap_or(time);
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
    use super::*;

    const MOMENT: i64 = 1_404_649_800;
    const DAY: i64 = 1_404_604_800;

    #[test]
    fn mails_services_and_people_write_one_moment() {
        for text in [
            "Sun, 6 Jul 2014 12:30:00 +0000",
            "Sun, 06 Jul 2014 05:30:00 -0700 (PDT)",
            "6 Jul 2014 12:30:00 GMT",
            "Mon, 6 Jul 2014 12:30:00 +0000",
            "Sun Jul 06 12:30:00 +0000 2014",
            "Sun Jul 06 14:30:00 +0200 2014",
            "Sun Jul 06 12:30:00 UTC 2014",
            "Sun Jul  6 12:30:00 2014",
            "20140706T123000Z",
            "2014-07-06 12:30:00 UTC",
            "2014/07/06 12:30",
            "2014-07-06 12:30 PM",
            "06.07.2014 12:30",
            "06.07.2014, 12:30:00",
            "July 6, 2014 12:30",
            "2014-07-06T14:30:00+02:00[Europe/Berlin]",
        ] {
            assert_eq!(seconds_of(text), Ok(MOMENT), "{text}");
        }
    }

    #[test]
    fn days_without_a_time() {
        for text in [
            "20140706",
            "6.7.2014",
            "July 6, 2014",
            "Jul 6, 2014",
            "6 July 2014",
            "6 Jul 2014",
            "07 6, 2014",
            "Posted July 6, 2014.",
            "2014/7/6",
        ] {
            assert_eq!(seconds_of(text), Ok(DAY), "{text}");
        }
        assert_eq!(seconds_of("25/12/2014"), seconds_of("12/25/2014"));
        assert_eq!(seconds_of("07/07/2014"), Ok(DAY + 86_400));
        assert_eq!(seconds_of("03/02/2022"), Err(AMBIGUOUS));
        assert_eq!(seconds_of("3-2-2022"), Err(AMBIGUOUS));
    }
}
