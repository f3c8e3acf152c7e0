//! Number formatting with a sensible number of digits.

use crate::report::Figure;

/// Number format of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// 0 to 1, or bits: three decimals.
    Plain,
    /// Two decimals.
    Coarse,
    /// A share in percent, one decimal.
    Percent,
}

impl Style {
    /// Factor from a value to its displayed number.
    pub(super) fn factor(self) -> f64 {
        if self == Self::Percent { 100.0 } else { 1.0 }
    }

    fn decimals(self) -> usize {
        match self {
            Self::Plain => 3,
            Self::Coarse => 2,
            Self::Percent => 1,
        }
    }

    fn unit(self) -> &'static str {
        // A narrow no-break space keeps the percent sign on the line of its number.
        if self == Self::Percent { "\u{202f}%" } else { "" }
    }

    /// Formats a value.
    pub(super) fn show(self, value: f64) -> String {
        format!("{}{}", fixed(value * self.factor(), self.decimals()), self.unit())
    }

    /// Formats a difference, with a plus sign if positive.
    pub(super) fn signed(self, value: f64) -> String {
        let shown = self.show(value);
        let nothing = shown.chars().all(|c| !('1'..='9').contains(&c));
        if value > 0.0 && !nothing { format!("+{shown}") } else { shown }
    }

    /// Formats a difference; differences of shares are in percentage points.
    pub(super) fn difference(self, value: f64) -> String {
        let signed = self.signed(value);
        if self == Self::Percent { signed.replace('%', "points") } else { signed }
    }

    /// Label of an axis mark. `value` and the distance `step` of marks are already multiplied by
    /// the factor.
    pub(super) fn mark(self, value: f64, step: f64) -> String {
        let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
        let unit = if self == Self::Percent { "%" } else { "" };
        format!("{}{unit}", fixed(value, decimals))
    }
}

/// Formats with a fixed number of decimals, a real minus sign, and no negative zero.
fn fixed(value: f64, decimals: usize) -> String {
    let shown = format!("{value:.decimals$}");
    let nothing = shown.chars().all(|c| !('1'..='9').contains(&c));
    match shown.strip_prefix('-') {
        Some(magnitude) if nothing => magnitude.to_owned(),
        Some(magnitude) => format!("\u{2212}{magnitude}"),
        None => shown,
    }
}

/// Formats the ends of an interval; `None` if the figure has none.
pub(super) fn interval(figure: &Figure, show: impl Fn(f64) -> String) -> Option<String> {
    let (low, high) = figure.low.zip(figure.high)?;
    Some(format!("{} to {}", show(low), show(high)))
}

/// Formats a p-value.
pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".to_owned(),
        p if p < 0.0995 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

/// Formats a count with separated thousands.
pub(super) fn count(n: f64) -> String {
    let digits = format!("{n:.0}");
    let mut shown = String::new();
    for (number, digit) in digits.chars().enumerate() {
        if number > 0 && (digits.len() - number) % 3 == 0 {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// Formats a count of a thing: `1 user`, `24 users`.
pub(super) fn many(n: usize, thing: &str) -> String {
    format!("{} {thing}{}", count(n as f64), if n == 1 { "" } else { "s" })
}

/// Formats a duration.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round();
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min {:.0} s", (whole / 60.0).floor(), whole % 60.0),
        _ => {
            format!("{:.0} h {:.0} min", (whole / 3600.0).floor(), (whole % 3600.0 / 60.0).floor())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_measure() {
        assert_eq!(Style::Plain.show(0.28449), "0.284");
        assert_eq!(Style::Percent.show(0.625), "62.5\u{202f}%");
        assert_eq!(Style::Coarse.signed(-1.005), "\u{2212}1.00");
        assert_eq!(Style::Plain.signed(0.0123), "+0.012");
        assert_eq!(Style::Plain.signed(0.0001), "0.000");
        assert_eq!(Style::Plain.signed(-0.0001), "0.000");
        assert_eq!(Style::Percent.difference(0.1), "+10.0\u{202f}points");
    }

    #[test]
    fn marks_have_the_decimals_of_their_step() {
        assert_eq!(Style::Plain.mark(0.25, 0.05), "0.25");
        assert_eq!(Style::Plain.mark(0.2, 0.1), "0.2");
        assert_eq!(Style::Percent.mark(60.0, 20.0), "60%");
        assert_eq!(Style::Coarse.mark(-2.0, 1.0), "\u{2212}2");
    }

    #[test]
    fn p_counts_and_durations() {
        assert_eq!(p_value(0.0001), "< 0.001");
        assert_eq!(p_value(0.0421), "0.042");
        assert_eq!(p_value(1.0), "1.00");
        assert_eq!(count(1_234_567.0), "1\u{202f}234\u{202f}567");
        assert_eq!(count(123.0), "123");
        assert_eq!(many(1, "user"), "1 user");
        assert_eq!(duration(3.21), "3.2 s");
        assert_eq!(duration(179.7), "3 min 0 s");
        assert_eq!(duration(7300.0), "2 h 1 min");
    }
}
