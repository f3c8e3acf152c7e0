//! Dates in UTC of times in seconds since the Unix epoch.

use jiff::Timestamp;

/// Returns the date (`2014-07-06`) of a time in seconds since the Unix epoch, or the seconds
/// themselves if the time is outside the years -9999 to 9999.
///
/// ```
/// assert_eq!(idiolect_corpus::date::of_seconds(1_404_649_800), "2014-07-06");
/// ```
#[must_use]
pub fn of_seconds(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => format!("{seconds} s after 1970"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
        fn days_and_dates_are_inverse(days in -1_000_000..2_900_000_i64) {
            let text = of_seconds(days * 86_400);
            let date = jiff::civil::Date::strptime("%Y-%m-%d", &text).unwrap();
            let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
            prop_assert_eq!(midnight.timestamp().as_second(), days * 86_400);
        }

        #[test]
        fn any_time_has_a_date(seconds in any::<i64>()) {
            prop_assert!(of_seconds(seconds).len() >= 10);
        }
    }
}
