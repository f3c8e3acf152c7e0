//! Conversion between seconds since the Unix epoch and dates of the Gregorian calendar in UTC.

/// Returns the date (`2014-07-06`) of a time in seconds since the Unix epoch.
///
/// ```
/// assert_eq!(idiolect_core::corpus::date::of_seconds(1_404_649_800), "2014-07-06");
/// ```
#[must_use]
pub fn of_seconds(seconds: i64) -> String {
    let (year, month, day) = of_days(seconds.div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns the number of days from 1970-01-01 to a date. The computation starts years in March, so
/// that the leap day comes last.
pub(super) fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_EPOCH
}

/// Number of days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// Returns year, month and day of a number of days since 1970-01-01.
fn of_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    // 400 years have 146,097 days, 100 years 36,524, 4 years 1,461; the last of each group of years
    // is a day longer than the rest.
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(of_seconds(seconds), date);
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(days in -1_000_000..3_000_000_i64) {
            let (year, month, day) = of_days(days);
            prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
            prop_assert_eq!(days_since_epoch(year, month, day), days);
        }

        #[test]
        fn any_time_has_a_date(seconds in any::<i64>()) {
            prop_assert!(of_seconds(seconds).len() >= 10);
        }
    }
}
