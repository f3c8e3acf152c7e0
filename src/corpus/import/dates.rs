//! Reads dates and times as texts in the forms in which mails, web services and people write them.

use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, strtime::BrokenDownTime};
use jiff::tz::TimeZone;

use super::civil::{digits, midnight, of_two_digits, time_of_day};
use super::named_months;

/// Reason why a text is no date.
pub(super) const NO_DATE: &str = "no date";
/// Reason why `03/02/2022` is not read.
pub(super) const AMBIGUOUS: &str = DayOrder::UNKNOWN;

/// Order of day and month in dates of numbers, such as `03/02/2022`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayOrder {
    /// 3 February.
    DayFirst,
    /// 2 March.
    MonthFirst,
}

impl DayOrder {
    /// Reason why a date counts as missing if the order is not known.
    pub const UNKNOWN: &str = "day and month cannot be told apart";
}

/// Amazon's `09 12, 2006`, month first.
const NUMBERED_MONTH: &str = "%m %d, %Y";
/// Forms that web services and `ctime` write: weekday, month, day, time, year.
const WEB: [&str; 2] = ["%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y"];
/// Returns the seconds since the Unix epoch of
/// - `2014-07-06`, also with `/`, points or without separators, with an optional time and offset
///   (ISO 8601); `2014-07` is its first day; `2014年7月6日`;
/// - `Mon, 7 Feb 2022 21:52:25 -0800`, as mails have it (RFC 2822; a wrong weekday does no harm);
/// - `Tue Mar 01 10:00:00 +0000 2022`, as web services have it;
/// - `November 5, 2011`, `5 Nov 2011`, `5. November 2011` ([`named_months::seconds_of`]), `06.07.2014` and
///   `06.07.14` (day first), `25/12/2014` (either order, if only one is possible or `order` decides), each
///   with an optional time.
///
/// A time without an offset is UTC.
pub(super) fn seconds_of(text: &str) -> Result<i64, &'static str> {
    seconds_in(text, None)
}

/// As [`seconds_of`], with the order of day and month where only it decides.
pub(super) fn seconds_in(text: &str, order: Option<DayOrder>) -> Result<i64, &'static str> {
    let text = &ascii_digits(trimmed(text));
    if let Some(seconds) = iso(&with_hyphens(text)) {
        return Ok(seconds);
    }
    if let Some(read) = numeric(text, order) {
        return read;
    }
    let named = || named_months::seconds_of(text).or_else(|| strptime(NUMBERED_MONTH, text));
    mail(text).or_else(|| web(text)).or_else(named).ok_or(NO_DATE)
}

/// Replaces decimal digits of other scripts (fullwidth, Arabic, Persian, Devanagari) by ASCII ones.
pub(super) fn ascii_digits(text: &str) -> String {
    const ZEROS: [char; 4] = ['\u{ff10}', '\u{660}', '\u{6f0}', '\u{966}'];
    let ascii = |c: char| {
        let value = ZEROS.iter().filter_map(|zero| u32::from(c).checked_sub(u32::from(*zero)));
        value.filter(|value| *value < 10).find_map(|value| char::from_digit(value, 10)).unwrap_or(c)
    };
    text.chars().map(ascii).collect()
}

/// A date that begins with its year, with hyphens in place of points or of `年月日` (`년월일`).
fn with_hyphens(text: &str) -> String {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    match text[year..].chars().next() {
        Some('.') if year == 4 => {
            let (date, time) = text.split_once(['T', ':']).map_or((text, ""), |_| split_time(text));
            let date = date.trim_end_matches('.').replace(". ", "-").replace('.', "-");
            format!("{date}{time}")
        }
        Some('年' | '년') if year == 4 => ["년 ", "월 ", "年", "月", "년", "월"]
            .iter()
            .fold(text.to_owned(), |text, sign| text.replacen(sign, "-", 1))
            .replacen(['日', '일'], "", 1),
        _ => text.to_owned(),
    }
}

/// A date with spaces behind its points, and the time behind it with its space.
fn split_time(text: &str) -> (&str, &str) {
    let at = text.find(':').and_then(|colon| text[..colon].rfind([' ', 'T']));
    at.map_or((text, ""), |at| text.split_at(at))
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
            let (year, month) = (parts.next()?, parts.next()?);
            match parts.next() {
                Some(day) => (year, digits(month)?, digits(day)?),
                None if month.len() == 2 && time.is_empty() => (year, digits(month)?, 1),
                None => return None,
            }
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
/// A year of two digits needs points or an order, since `01/02/03` may begin with it.
fn numeric(text: &str, order: Option<DayOrder>) -> Option<Result<i64, &'static str>> {
    let (date, time) = text.split_once(' ').map_or((text, ""), |(d, t)| (d, t.trim()));
    let separator = date.chars().find(|c| !c.is_ascii_digit())?;
    if !matches!(separator, '.' | '/' | '-') {
        return None;
    }
    let parts: Vec<&str> = date.trim_end_matches(',').split(separator).collect();
    let [first, second, last] = parts[..] else { return None };
    if first.len().max(second.len()) > 2 {
        return None;
    }
    let (first, second) = (digits(first)?, digits(second)?);
    let year = match last.len() {
        4 => digits(last)?,
        2 => of_two_digits(digits(last)?),
        _ => return None,
    };
    let time = time_of_day(time)?;
    let (day, month) = match (separator, order) {
        ('.', _) | (_, Some(DayOrder::DayFirst)) => (first, second),
        (_, Some(DayOrder::MonthFirst)) => (second, first),
        _ if last.len() == 2 => return Some(Err(AMBIGUOUS)),
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

fn strptime(form: &str, text: &str) -> Option<i64> {
    let read = BrokenDownTime::parse(form, text).ok()?;
    if read.offset().is_some() {
        return Some(read.to_timestamp().ok()?.as_second());
    }
    let civil = read.to_datetime().or_else(|_| read.to_date().map(DateTime::from)).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
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
            "2014-07-06 14:30 CEST",
            "2014.07.06 12:30",
            "2014. 7. 6. 12:30",
            "2014年7月6日 12:30",
            "2014년 7월 6일 12:30",
            "٢٠١٤-٠٧-٠٦ ١٢:٣٠",
            "06.07.14 12:30",
            "6. Juli 2014 12:30",
            "July 6th, 2014 at 12:30 PM",
            "06-Jul-2014 12:30:00",
            "Sun Jul  6 14:30:00 CEST 2014",
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
            "2014.07.06",
            "2014. 7. 6.",
            "２０１４年７月６日",
            "6.7.14",
            "6 juillet 2014",
        ] {
            assert_eq!(seconds_of(text), Ok(DAY), "{text}");
        }
        assert_eq!(seconds_of("25/12/2014"), seconds_of("12/25/2014"));
        assert_eq!(seconds_of("07/07/2014"), Ok(DAY + 86_400));
        assert_eq!(seconds_of("03/02/2022"), Err(AMBIGUOUS));
        assert_eq!(seconds_of("3-2-2022"), Err(AMBIGUOUS));
        assert_eq!(seconds_of("25/12/14"), Err(AMBIGUOUS));
        assert_eq!(seconds_of("2014-07"), seconds_of("2014-07-01"));
        assert_eq!(seconds_of("July 2014"), seconds_of("2014-07-01"));
        for (text, order, same) in [
            ("03/02/2022", DayOrder::DayFirst, "2022-02-03"),
            ("03/02/2022 10:00", DayOrder::MonthFirst, "2022-03-02 10:00"),
            ("3/2/22", DayOrder::MonthFirst, "2022-03-02"),
        ] {
            assert_eq!(seconds_in(text, Some(order)), seconds_of(same), "{text}");
        }
        for text in ["2014-13-01", "the other day", "10:00", "2014-07-06 25:00", "Jul 14", "2014"] {
            assert_eq!(seconds_of(text), Err(NO_DATE), "{text}");
        }
    }
}
