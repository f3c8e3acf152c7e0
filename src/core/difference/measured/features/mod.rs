//! Features of a text: each has a value, and the spans that show it.

mod emotional;
mod semantic;
mod writing;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::analyzed_text::{AnalyzedText, Mark, RatedText};
use crate::task::Measure;

/// Unit of a feature, which determines how the mean of its values is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureUnit {
    /// Shown as it is.
    Plain,
    /// Count in 100 words or in a text, compared by logarithms.
    Rate,
    /// A share, 0 to 1, shown in percent.
    Percent,
    /// The logarithm of the shown value.
    Log,
}

/// Whether a feature needs the word lists of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Words,
}

/// One feature.
pub(super) struct Feature {
    pub(super) measure: Measure,
    pub(super) unit: FeatureUnit,
    pub(super) needs: Needs,
    /// The value of a text; NaN if it has none.
    pub(super) value: fn(&RatedText<'_>) -> f64,
    /// Spans that show it, bytes; empty for a feature that no single span shows.
    pub(super) shown: fn(&AnalyzedText<'_>) -> Vec<Range<usize>>,
}

/// Every feature.
pub(super) fn all() -> impl Iterator<Item = &'static Feature> {
    writing::FEATURES.iter().chain(&emotional::FEATURES).chain(&semantic::FEATURES)
}

fn nowhere(_: &AnalyzedText<'_>) -> Vec<Range<usize>> {
    Vec::new()
}

fn spans(analyzed: &AnalyzedText<'_>, mark: Mark) -> Vec<Range<usize>> {
    analyzed.marks.iter().filter(|(m, _)| *m == mark).map(|(_, span)| span.clone()).collect()
}

/// Occurrences of a mark per 100 words.
fn rate(text: &RatedText<'_>, mark: Mark) -> f64 {
    per_100_words(text, text.analyzed.count(mark))
}

fn per_100_words(text: &RatedText<'_>, n: usize) -> f64 {
    100.0 * share(n, text.analyzed.words.len())
}

/// The share `n / of`; NaN if `of` is 0.
fn share(n: usize, of: usize) -> f64 {
    n as f64 / of as f64 + if of == 0 { f64::NAN } else { 0.0 }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    sum / n
}

/// Sample standard deviation; NaN for fewer than two values.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if values.len() < 2 { f64::NAN } else { (squares / (values.len() - 1) as f64).sqrt() }
}

/// Makes a feature that counts a mark per 100 words.
macro_rules! rate_of {
    ($measure:ident, $needs:ident, $mark:expr) => {
        Feature {
            measure: Measure::$measure,
            unit: FeatureUnit::Rate,
            needs: Needs::$needs,
            value: |text| rate(text, $mark),
            shown: |analyzed| spans(analyzed, $mark),
        }
    };
}
use rate_of;
