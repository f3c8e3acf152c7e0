//! Dates with the name of their month, in the languages that exports of mails and shops have.

use super::civil::{midnight, of_two_digits, time_of_day};

/// Names of the months in English, German, French, Spanish, Italian, Portuguese, Dutch and Russian (as in
/// dates), and abbreviations that do not begin one of them.
const MONTHS: [&[&str]; 12] = [
    &["january", "januar", "jänner", "janvier", "enero", "gennaio", "janeiro", "januari", "января"],
    &["february", "februar", "février", "fevrier", "febrero", "febbraio", "fevereiro", "февраля"],
    &["march", "märz", "maerz", "mars", "marzo", "março", "maart", "mrz", "mrt", "марта"],
    &["april", "avril", "abril", "aprile", "апреля"],
    &["may", "mai", "mayo", "maggio", "maio", "mei", "мая"],
    &["june", "juni", "juin", "junio", "giugno", "junho", "июня"],
    &["july", "juli", "juillet", "julio", "luglio", "julho", "июля"],
    &["august", "août", "aout", "agosto", "augustus", "августа"],
    &["september", "septembre", "septiembre", "settembre", "setembro", "сентября"],
    &["october", "oktober", "octobre", "octubre", "ottobre", "outubro", "октября"],
    &["november", "novembre", "noviembre", "novembro", "ноября"],
    &[
        "december",
        "dezember",
        "décembre",
        "decembre",
        "diciembre",
        "dicembre",
        "dezembro",
        "декабря",
    ],
];

/// Words between the parts of a date.
const FILLERS: [&str; 14] =
    ["of", "the", "at", "um", "den", "de", "del", "di", "le", "à", "a", "às", "kl", "г"];

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Returns the seconds since the Unix epoch of `November 5, 2011`, `5 Nov 2011 10:00`, `1st of March 2022`,
/// `01-Mar-2022`, `Tue Mar  1 10:00:00 CET 2022`, `1. März 2022`, `March 2022` (its first day). A year of
/// two digits counts if the day precedes it (`1 Mar 22`); `Mar 22` is no date. `None` if it is no such date.
pub(super) fn seconds_of(text: &str) -> Option<i64> {
    let text = text.to_lowercase();
    let text = without_weekday(&text).replace(',', " ");
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        // `01-Mar-2022`, but not an offset or a time.
        let is_one_date = word.matches('-').count() == 2 && month_in(word).is_some();
        match is_one_date {
            true => words.extend(word.split('-')),
            false => words.push(word),
        }
    }
    let at = words.iter().position(|word| month_of(word).is_some())?;
    let month = month_of(words.remove(at))?;
    let (mut numbers, mut time) = (Vec::new(), Vec::new());
    for word in words {
        match number_of(word) {
            _ if FILLERS.contains(&word.trim_end_matches('.')) && time.is_empty() => {}
            // Behind a time there may still be the year, as in `ctime`.
            Some(number) if time.is_empty() || number >= 1000 => numbers.push((number, word)),
            _ => time.push(word),
        }
    }
    let is_year = |(number, word): &(i64, &str)| *number >= 1000 && word.len() == 4;
    let (day, year) = match numbers[..] {
        [year] if is_year(&year) => (1, year.0),
        [day, year] if is_year(&year) => (day.0, year.0),
        [year, day] if is_year(&year) => (day.0, year.0),
        // The month stood between them.
        [day, (year, word)] if at > 0 && word.len() == 2 => (day.0, of_two_digits(year)),
        _ => return None,
    };
    midnight(year, month, day)?.checked_add(time_of_day(&time.join(" "))?)
}

/// The number of a day or a year: `1`, `01`, `1.`, `1st`, `1er`, `1º`.
fn number_of(word: &str) -> Option<i64> {
    let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    let end = &word[digits.len()..];
    let is_ordinal = matches!(end, "" | "." | "st" | "nd" | "rd" | "th" | "er" | "º" | "ª" | "e");
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (is_ordinal && is_number && digits.len() <= 4).then(|| digits.parse().ok())?
}

/// The month of the second part of `01-mar-2022`.
fn month_in(word: &str) -> Option<i64> {
    word.split('-').nth(1).and_then(month_of)
}

/// The month that a word names or, with three letters or more, abbreviates without doubt.
fn month_of(word: &str) -> Option<i64> {
    let word = word.trim_end_matches('.');
    if word.chars().count() < 3 {
        return None;
    }
    let named = |names: &&[&str]| names.contains(&word);
    let begun = |names: &&[&str]| names.iter().any(|name| name.starts_with(word));
    let place = |fits: &dyn Fn(&&[&str]) -> bool| {
        let mut found = (1..).zip(&MONTHS).filter(|(_, names)| fits(names));
        let first = found.next().map(|(number, _)| number);
        first.filter(|_| found.next().is_none())
    };
    place(&named).or_else(|| place(&begun))
}

/// Without a weekday before the date: an English one, or any word that a comma follows.
fn without_weekday(text: &str) -> &str {
    let word = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let rest = text[word.len()..].trim_start_matches('.');
    let is_english = WEEKDAYS.iter().any(|day| {
        word == *day || (word.starts_with(day) && word.ends_with("day") && word.len() <= 9)
    });
    let is_weekday =
        !word.is_empty() && month_of(word).is_none() && (is_english || rest.starts_with(','));
    if is_weekday { rest } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn months_in_many_languages_and_places() {
        let day = 1_646_092_800; // 2022-03-01
        for text in [
            "1 March 2022",
            "March 1st, 2022",
            "the 1st of March 2022",
            "01-Mar-2022",
            "1. März 2022",
            "1er mars 2022",
            "1 de marzo de 2022",
            "1 марта 2022 г.",
            "1 Mar 22",
            "2022 Mar 1",
            "March 2022",
            "Tuesday, March 1, 2022",
            "Dienstag, 1. März 2022",
        ] {
            assert_eq!(seconds_of(text), Some(day), "{text}");
        }
        for text in [
            "Mar 1, 2022, 10:00 AM",
            "Mar 1, 2022 at 10:00",
            "Tue Mar  1 11:00:00 CET 2022",
            "1 March 2022 10:00:00 +0000",
            "Mar 1 2022 10:00:00 UTC",
        ] {
            assert_eq!(seconds_of(text), Some(day + 36_000), "{text}");
        }
        for text in [
            "Mar 22",
            "March",
            "32 March 2022",
            "1 jui 2022",
            "soon 1 March 2022",
            "1 March 2022 or so",
            "may",
        ] {
            assert_eq!(seconds_of(text), None, "{text}");
        }
        for (word, month) in
            [("juil.", Some(7)), ("sept", Some(9)), ("ott", Some(10)), ("jui", None), ("ma", None)]
        {
            assert_eq!(month_of(word), month, "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in ".{0,40}") {
            let _ = seconds_of(&text);
        }
    }
}
