//! What is measured of each text: a value, and the spans that show it.

mod emotional;
mod semantic;
mod writing;

use std::ops::Range;

use super::reading::{Mark, Reading};
use crate::task::Measure;

/// A text with what goes with it.
#[derive(Debug)]
pub(super) struct Text<'t> {
    pub(super) reading: Reading<'t>,
    pub(super) rating: Option<f32>,
}

/// How the mean of a feature's values is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// As it is.
    Plain,
    /// Times in 100 words or in a text, compared by logarithms.
    Rate,
    /// A share, in percent.
    Percent,
    /// The logarithm of what is shown.
    Log,
}

/// Whether a feature needs the words of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Words,
}

/// One feature.
pub(super) struct Feature {
    pub(super) measure: Measure,
    pub(super) unit: Unit,
    pub(super) needs: Needs,
    /// The value of a text; not a number where it has none.
    pub(super) value: fn(&Text<'_>) -> f64,
    /// Where a text shows it, bytes; nothing for what shows in no single place.
    pub(super) shown: fn(&Reading<'_>) -> Vec<Range<usize>>,
}

/// Every feature.
pub(super) fn all() -> impl Iterator<Item = &'static Feature> {
    writing::FEATURES.iter().chain(&emotional::FEATURES).chain(&semantic::FEATURES)
}

fn nowhere(_: &Reading<'_>) -> Vec<Range<usize>> {
    Vec::new()
}

fn spans(reading: &Reading<'_>, mark: Mark) -> Vec<Range<usize>> {
    reading.marks.iter().filter(|(m, _)| *m == mark).map(|(_, span)| span.clone()).collect()
}

/// How often a mark occurs in 100 words.
fn rate(text: &Text<'_>, mark: Mark) -> f64 {
    per_100_words(text, text.reading.count(mark))
}

fn per_100_words(text: &Text<'_>, n: usize) -> f64 {
    100.0 * share(n, text.reading.words.len())
}

/// Not a number where there is nothing to take a share of.
fn share(n: usize, of: usize) -> f64 {
    n as f64 / of as f64 + if of == 0 { f64::NAN } else { 0.0 }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    sum / n
}

/// Standard deviation, of two values or more.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if values.len() < 2 { f64::NAN } else { (squares / (values.len() - 1) as f64).sqrt() }
}

/// A feature that counts marks in 100 words.
macro_rules! rate_of {
    ($measure:ident, $needs:ident, $mark:expr) => {
        Feature {
            measure: Measure::$measure,
            unit: Unit::Rate,
            needs: Needs::$needs,
            value: |text| rate(text, $mark),
            shown: |reading| spans(reading, $mark),
        }
    };
}
use rate_of;
