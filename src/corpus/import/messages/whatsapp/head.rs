//! Date and time at the head of a message. Their form depends on the phone's system, language and region,
//! so the order of day, month and year is found from the whole chat.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Characters at the beginning of lines, around names and numbers that only set the direction of text.
pub(super) const MARKS: [char; 13] = [
    '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}', '\u{feff}', '\u{61c}',
];
/// Maximum number of bytes of a date and a time.
const MAX_BYTES: usize = 90;
/// Seconds by which a message may be older than the one before it: times of a chat go forward, but for
/// messages that arrived late and changes of time zone.
const TOLERANCE: i64 = 36 * 3600;

/// Words for the first half of the day, without points, in lower case.
const FIRST_HALF: &[&str] = &[
    "am",
    "a",
    "上午",
    "凌晨",
    "早上",
    "清晨",
    "오전",
    "午前",
    "πμ",
    "ص",
    "öö",
    "de",
    "sa",
    "ق",
    "قظ",
    "дп",
    "vm",
    "fm",
    "पूर्वाह्न",
    "পূর্বাহ্ণ",
    "morning",
];
/// Words for the second half of the day.
const SECOND_HALF: &[&str] = &[
    "pm",
    "p",
    "下午",
    "中午",
    "晚上",
    "오후",
    "午後",
    "μμ",
    "م",
    "ös",
    "du",
    "ch",
    "بظ",
    "пп",
    "nm",
    "em",
    "अपराह्न",
    "অপরাহ্ণ",
    "afternoon",
    "evening",
    "night",
];
/// Signs behind numbers in Chinese, Japanese and Korean: `2023年12月31日`.
const UNITS: &str = "年月日년월일時时分秒시분초";
/// Words that say nothing: `klo 14.08`, `31.12.23 г., 21:41 ч.`.
const FILLERS: &[&str] = &[
    "klo", "kl", "г", "ч", "at", "um", "uhr", "à", "às", "as", "alle", "ore", "be", "lúc", "u",
    "h", "og", "den", "m", "in", "the", "las",
];

/// Order of day, month and year in dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateOrder {
    /// `31/12/2023`.
    DayMonthYear,
    /// `12/31/2023`.
    MonthDayYear,
    /// `2023-12-31`.
    YearMonthDay,
}

const ORDERS: [DateOrder; 3] =
    [DateOrder::DayMonthYear, DateOrder::MonthDayYear, DateOrder::YearMonthDay];

/// A date of three numbers in unknown order, and a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadTime {
    date: [DatePart; 3],
    /// Seconds since midnight.
    of_day: i64,
    /// Whether `AM` or `PM` stands there in capitals, as in the United States.
    capitals: bool,
    /// Whether the date has slashes.
    slashes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DatePart {
    value: i64,
    digits: usize,
}

/// Splits a line that begins a message into its time and the rest, which begins with the author.
pub(super) fn split(line: &str) -> Option<(HeadTime, &str)> {
    let line = line.trim_start_matches(MARKS);
    if let Some(inner) = line.strip_prefix('[') {
        let end = inner.find(']').filter(|end| *end <= MAX_BYTES)?;
        let rest = inner[end + 1..].strip_prefix(' ').unwrap_or(&inner[end + 1..]);
        return Some((read(&inner[..end])?, rest.strip_prefix("- ").unwrap_or(rest)));
    }
    if !line.chars().next().is_some_and(|c| digit(c).is_some() || c.is_alphabetic()) {
        return None;
    }
    [" - ", " – ", ": "].into_iter().find_map(|dash| {
        let at = line.find(dash).filter(|at| *at <= MAX_BYTES)?;
        Some((read(&line[..at])?, &line[at + dash.len()..]))
    })
}

/// Value of a decimal digit of any script that WhatsApp writes dates in.
fn digit(c: char) -> Option<u32> {
    let zero = match c {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{966}'..='\u{96f}' => '\u{966}',
        '\u{9e6}'..='\u{9ef}' => '\u{9e6}',
        _ => return None,
    };
    Some(u32::from(c) - u32::from(zero))
}

fn read(head: &str) -> Option<HeadTime> {
    let mut numbers: Vec<DatePart> = Vec::new();
    // Signs before the first number and behind each of them.
    let mut signs = vec![String::new()];
    let mut words: Vec<String> = Vec::new();
    let (mut in_number, mut in_word, mut in_chinese) = (false, false, false);
    for c in head.chars().filter(|c| !MARKS.contains(c)) {
        if let Some(value) = digit(c) {
            if !in_number {
                if numbers.len() == 6 {
                    return None;
                }
                numbers.push(DatePart { value: 0, digits: 0 });
                signs.push(String::new());
            }
            (in_number, in_word) = (true, false);
            let number = numbers.last_mut()?;
            number.value = number.value * 10 + i64::from(value);
            number.digits += 1;
            if number.digits > 4 {
                return None;
            }
            continue;
        }
        in_number = false;
        if UNITS.contains(c) {
            (in_chinese, in_word) = (true, false);
        } else if c.is_alphabetic() || is_combining(c) {
            if !in_word {
                words.push(String::new());
            }
            in_word = true;
            words.last_mut()?.push(c);
        } else if c.is_whitespace() {
            in_word = false;
        } else {
            // `a.m.` is one word.
            in_word &= c == '.';
            if !in_word {
                signs.last_mut()?.push(c);
            }
        }
    }
    let (mut half, mut capitals) = (None, false);
    for word in &words {
        let lower = word.to_lowercase();
        if FIRST_HALF.contains(&lower.as_str()) {
            half = Some(0);
        } else if SECOND_HALF.contains(&lower.as_str()) {
            half = Some(12);
        } else if !FILLERS.contains(&lower.as_str()) {
            return None;
        }
        capitals |= word == "AM" || word == "PM";
    }
    // `21:41, 31/12/2023` has its colons first.
    let n_colons = signs[1..].iter().take_while(|sign| *sign == ":").count();
    let (date, time, first) = match (n_colons, numbers.len()) {
        (1 | 2, n) if n == n_colons + 4 => (&numbers[n - 3..], &numbers[..n - 3], n - 3),
        (0, 5 | 6) => (&numbers[..3], &numbers[3..], 0),
        _ => return None,
    };
    let is_date = match (signs[first + 1].as_str(), signs[first + 2].as_str()) {
        ("", "") => in_chinese,
        (one, two) => one == two && matches!(one, "/" | "." | "-"),
    };
    if !is_date {
        return None;
    }
    let slashes = signs[first + 1] == "/";
    let part = |at: usize| time.get(at).map_or(0, |part| part.value);
    let (hour, minute, second) = (part(0), part(1), part(2));
    if hour > 24 || minute > 59 || second > 60 || time.iter().any(|part| part.digits > 2) {
        return None;
    }
    let hour = match half {
        Some(half) if hour <= 12 => hour % 12 + half,
        _ => hour,
    };
    let of_day = hour * 3600 + minute * 60 + second;
    Some(HeadTime { date: date.try_into().ok()?, of_day, capitals, slashes })
}

/// Whether a character belongs to the letter before it, as vowel signs of Indian scripts do.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{9ff}' | '\u{300}'..='\u{36f}')
}

impl HeadTime {
    /// Seconds since the epoch, as if the phone's clock showed UTC; `None` if there is no such day.
    pub(super) fn seconds(&self, order: DateOrder) -> Option<i64> {
        let [a, b, c] = self.date;
        let (year, month, day) = match order {
            DateOrder::DayMonthYear => (c, b, a),
            DateOrder::MonthDayYear => (c, a, b),
            DateOrder::YearMonthDay => (a, b, c),
        };
        let value = match (year.digits, year.value) {
            (4, 2400..) => year.value - 543, // Thai years
            (4, 2000..) => year.value,
            (2, _) => year.value + 2000,
            _ => return None,
        };
        let part = |part: DatePart| i8::try_from(part.value).ok().filter(|_| part.digits <= 2);
        let (year, month, day) = (i16::try_from(value).ok()?, part(month)?, part(day)?);
        let midnight = DateTime::new(year, month, day, 0, 0, 0, 0).ok()?;
        let midnight = midnight.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        Some(midnight + self.of_day)
    }
}

/// Evidence against an order.
#[derive(Debug, Default)]
struct OrderTrial {
    /// Number of dates that do not exist.
    n_invalid: u64,
    /// Number of steps back in time.
    n_back: u64,
    first: Option<i64>,
    last: Option<i64>,
}

impl OrderTrial {
    /// Seconds from the first to the last message.
    fn span(&self) -> i64 {
        self.last.unwrap_or(0) - self.first.unwrap_or(0)
    }
}

/// Finds the order of dates in a chat: one in which every date exists, and in which time goes forward.
#[derive(Debug, Default)]
pub(super) struct OrderEvidence {
    orders: [OrderTrial; 3],
    /// Number of times.
    n: u64,
    /// Number of times in the form of the United States.
    n_american: u64,
    /// Number of dates with a day or month of one digit.
    n_short: u64,
}

impl OrderEvidence {
    pub(super) fn add(&mut self, time: &HeadTime) {
        self.n += 1;
        self.n_american += u64::from(time.capitals && time.slashes);
        self.n_short += u64::from(time.date[..2].iter().any(|part| part.digits == 1));
        for (order, trial) in ORDERS.into_iter().zip(&mut self.orders) {
            match time.seconds(order) {
                None => trial.n_invalid += 1,
                Some(seconds) => {
                    let last = trial.last.replace(seconds);
                    trial.first = trial.first.or(trial.last);
                    trial.n_back += u64::from(last.is_some_and(|last| seconds < last - TOLERANCE));
                }
            }
        }
    }

    /// Number of times added.
    pub(super) fn n(&self) -> u64 {
        self.n
    }

    /// The order with the fewest dates that do not exist, then with the fewest steps back in time. If that
    /// leaves several, those in which the chat takes more than twice as long are given up: days that go on
    /// would be months. If there are still several, as in a chat of one day: month first with capitals `AM`
    /// or `PM` and days of one digit, which only the United States write, else day first.
    pub(super) fn order(&self) -> DateOrder {
        let is_american = self.n_american * 2 > self.n && self.n_short > 0;
        let rank = |order: DateOrder| match order {
            DateOrder::MonthDayYear => i32::from(!is_american),
            DateOrder::DayMonthYear => i32::from(is_american),
            DateOrder::YearMonthDay => 2,
        };
        let against = |trial: &OrderTrial| (trial.n_invalid, trial.n_back);
        let least = self.orders.iter().map(against).min();
        let left = ORDERS.into_iter().zip(&self.orders);
        let left: Vec<_> = left.filter(|(_, trial)| Some(against(trial)) == least).collect();
        let shortest = left.iter().map(|(_, trial)| trial.span()).min().unwrap_or(0);
        let is_short = |trial: &OrderTrial| {
            trial.span() <= shortest.saturating_mul(2).saturating_add(TOLERANCE)
        };
        let best = left.into_iter().filter(|(_, trial)| is_short(trial));
        best.min_by_key(|(order, _)| rank(*order))
            .map_or(DateOrder::DayMonthYear, |(order, _)| order)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const MOMENT: i64 = 1_704_058_860; // 2023-12-31 21:41

    #[test]
    fn heads_of_many_regions_are_one_moment() {
        for (line, order) in [
            ("12/31/23, 9:41\u{202f}PM - Ann: x", DateOrder::MonthDayYear),
            ("31/12/2023, 21:41 - Ann: x", DateOrder::DayMonthYear),
            ("31.12.23, 21:41 - Ann: x", DateOrder::DayMonthYear),
            ("31-12-2023 21:41 - Ann: x", DateOrder::DayMonthYear),
            ("2023-12-31, 21:41 - Ann: x", DateOrder::YearMonthDay),
            ("2023/12/31 21:41 - Ann: x", DateOrder::YearMonthDay),
            ("31/12/23 9:41 p. m. - Ann: x", DateOrder::DayMonthYear),
            ("31/12/23, 9:41 p.\u{a0}m. - Ann: x", DateOrder::DayMonthYear),
            ("2023. 12. 31. 오후 9:41 - Ann: x", DateOrder::YearMonthDay),
            ("2023/12/31 下午9:41 - Ann: x", DateOrder::YearMonthDay),
            ("31.12.23 г., 21:41 ч. - Ann: x", DateOrder::DayMonthYear),
            ("[31.12.23, 21:41:00] Ann: x", DateOrder::DayMonthYear),
            ("\u{200e}[31/12/2023, 9:41:00 pm] Ann: x", DateOrder::DayMonthYear),
            ("[31.12.2023 klo 21.41.00] Ann: x", DateOrder::DayMonthYear),
            ("[2023/12/31 午後9:41:00] Ann: x", DateOrder::YearMonthDay),
            ("[23/12/31 下午9:41:00] Ann: x", DateOrder::YearMonthDay),
            ("[31/12/2566 21:41:00] Ann: x", DateOrder::DayMonthYear),
            ("\u{200f}٣١\u{200f}/١٢\u{200f}/٢٠٢٣، ٩:٤١ م - Ann: x", DateOrder::DayMonthYear),
            ("[21:41, 31/12/2023] Ann: x", DateOrder::DayMonthYear),
            ("31.12.23 21:41:00: Ann: x", DateOrder::DayMonthYear),
            ("31. 12. 2023. 21:41 - Ann: x", DateOrder::DayMonthYear),
            ("2023年12月31日 21:41 - Ann: x", DateOrder::YearMonthDay),
        ] {
            let (time, rest) = split(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(time.seconds(order), Some(MOMENT), "{line}");
            assert_eq!(rest, "Ann: x", "{line}");
        }
        for (line, hour) in [
            ("1/1/24, 12:05 AM - A: x", 0),
            ("1/1/24, 12:05 PM - A: x", 12),
            ("1/1/24, 0:05 PM - A: x", 12),
        ] {
            assert_eq!(split(line).unwrap().0.of_day, hour * 3600 + 300, "{line}");
        }
    }

    #[test]
    fn other_lines_are_no_heads() {
        for line in [
            "",
            "[",
            "Ann: x",
            "12 - 5",
            "1. Milk 2. Eggs 3. Bread 4 - 5: x",
            "[12:00] later",
            "we meet 31.12.23, 21:41 - ok",
            "31.12.23 - Ann: x",
            "99/99/99, 99:99 - A: x",
            "https://a.example/2023/12/31/21:41 - x",
            "+49 151 2345678 - x",
        ] {
            assert!(split(line).is_none(), "{line}");
        }
    }

    fn order(dates: &[&str]) -> DateOrder {
        let mut evidence = OrderEvidence::default();
        for date in dates {
            evidence.add(&split(&format!("{date} - Ann: x")).unwrap().0);
        }
        evidence.order()
    }

    #[test]
    fn the_whole_chat_decides_the_order() {
        assert_eq!(order(&["3/2/22, 10:00", "3/13/22, 10:00"]), DateOrder::MonthDayYear);
        assert_eq!(order(&["03/02/22, 10:00", "13/02/22, 10:00"]), DateOrder::DayMonthYear);
        // No value is above 12: days go on within a month.
        assert_eq!(
            order(&["3/2/22, 10:00", "4/2/22, 10:00", "1/3/22, 10:00"]),
            DateOrder::DayMonthYear
        );
        assert_eq!(
            order(&["2/3/22, 10:00", "2/4/22, 10:00", "3/1/22, 10:00"]),
            DateOrder::MonthDayYear
        );
        assert_eq!(
            order(&["22/03/02, 10:00", "22/04/01, 10:00", "23/01/05, 10:00"]),
            DateOrder::YearMonthDay
        );
        // Days go on, not months.
        assert_eq!(
            order(&["1/2/22, 10:00", "2/2/22, 10:00", "3/2/22, 10:00", "4/2/22, 10:00"]),
            DateOrder::DayMonthYear
        );
        assert_eq!(
            order(&["2/1/22, 10:00", "2/2/22, 10:00", "2/3/22, 10:00", "2/4/22, 10:00"]),
            DateOrder::MonthDayYear
        );
        // Nothing decides.
        assert_eq!(order(&["3/2/22, 9:00 AM"]), DateOrder::MonthDayYear);
        assert_eq!(order(&["03/02/22, 9:00 am"]), DateOrder::DayMonthYear);
        assert_eq!(order(&["03.02.22, 09:00"]), DateOrder::DayMonthYear);
        // One damaged date does not outvote the others.
        assert_eq!(
            order(&["3/13/22, 10:00", "31/1/22, 10:00", "3/14/22, 10:00", "3/15/22, 10:00"]),
            DateOrder::MonthDayYear
        );
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "\\[?([0-9]{1,5}|[/.:, -]|AM|[٠-٩]|\u{200e}|年|\\]|.){0,30}") {
            if let Some((time, rest)) = split(&line) {
                prop_assert!(line.ends_with(rest));
                let mut evidence = OrderEvidence::default();
                evidence.add(&time);
                let _ = time.seconds(evidence.order());
            }
        }
    }
}
