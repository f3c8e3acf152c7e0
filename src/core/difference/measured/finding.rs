//! Findings, which are measured differences to report, and their wording as statements.

use super::features::FeatureUnit;
use super::paired_test::PairedDifference;
use crate::corpus::ReviewId;
use crate::difference::{ComparedMeans, Evidence, Result, Statement, StatementSource};
use crate::task::{Figures, Measure, Task};

/// A measured difference to report.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) measure: Measure,
    pub(super) unit: FeatureUnit,
    pub(super) difference: PairedDifference,
    /// The word, phrase or aspect; empty for features.
    pub(super) phrase: String,
    pub(super) evidence: Vec<Evidence>,
}

/// Words differences in one language.
pub(super) struct StatementWording<'a> {
    pub(super) task: &'a Task,
    pub(super) language: &'a str,
    pub(super) reviews: Vec<ReviewId>,
    pub(super) against: Vec<ReviewId>,
}

impl StatementWording<'_> {
    /// The statements, strongest first. A difference is left out if the task has no template for
    /// it, if its shown figures are equal for the user and the others, or if a stronger one has the
    /// same key.
    pub(super) fn statements(&self, mut found: Vec<Finding>) -> Result<Vec<Statement>> {
        found.sort_by(|a, b| {
            let by_effect = b.difference.effect.abs().total_cmp(&a.difference.effect.abs());
            by_effect.then(a.measure.cmp(&b.measure)).then_with(|| a.phrase.cmp(&b.phrase))
        });
        let mut statements: Vec<Statement> = Vec::new();
        for found in found {
            let key = key(found.measure, &found.phrase);
            if let Some(statement) = self.statement(found, key)?
                && statements.iter().all(|s| s.key != statement.key)
            {
                statements.push(statement);
            }
        }
        Ok(statements)
    }

    fn statement(&self, found: Finding, key: String) -> Result<Option<Statement>> {
        let Finding { measure, unit, difference, phrase, evidence } = found;
        let Some(dimension) = self.task.dimension_of(self.language, measure) else {
            return Ok(None);
        };
        let decimal = self.task.decimal(self.language);
        let [value, others] =
            [difference.own, difference.others].map(|mean| shown(mean, unit, decimal));
        if value == others {
            return Ok(None);
        }
        let figures = Figures { never: value == "0", value, others, phrase };
        let text = self.task.word(self.language, measure, difference.direction(), &figures)?;
        Ok(text.map(|text| Statement {
            key,
            dimension: dimension.to_owned(),
            text,
            source: StatementSource::Measured,
            effect: Some(difference.effect),
            figures: Some(means(&difference, unit)),
            reviews: self.reviews.clone(),
            against: self.against.clone(),
            evidence,
        }))
    }
}

/// The means of a comparison with the interval of their difference.
fn means(difference: &PairedDifference, unit: FeatureUnit) -> ComparedMeans {
    let &PairedDifference { own, others, margin, .. } = difference;
    let (low, high) = (own - others - margin, own - others + margin);
    ComparedMeans { own, others, low, high, unit }
}

/// Key of a statement: the name of the measure, with its phrase if it has one.
fn key(measure: Measure, phrase: &str) -> String {
    let name = serde_json::to_value(measure).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
    if phrase.is_empty() { name.to_owned() } else { format!("{name}:{phrase}") }
}

/// A mean as statements show it: with two digits, or more if they are before the decimal point.
fn shown(mean: f64, unit: FeatureUnit, decimal: &str) -> String {
    let mean = match unit {
        FeatureUnit::Plain | FeatureUnit::Rate => mean,
        FeatureUnit::Percent => (100.0 * mean).round(),
        FeatureUnit::Log => mean.exp(),
    };
    let digits = match mean.abs() {
        size if size >= 10.0 => 0,
        size if size >= 1.0 => 1,
        _ => 2,
    };
    let number = format!("{mean:.digits$}");
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => &number,
    };
    let number = if number == "-0" { "0" } else { number };
    number.replace('.', decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_shown_with_two_digits() {
        for (mean, unit, expected) in [
            (123.4, FeatureUnit::Plain, "123"),
            (100.0, FeatureUnit::Plain, "100"),
            (9.96, FeatureUnit::Plain, "10"),
            (1.25, FeatureUnit::Plain, "1,2"),
            (0.256, FeatureUnit::Plain, "0,26"),
            (0.001, FeatureUnit::Plain, "0"),
            (-0.001, FeatureUnit::Plain, "0"),
            (0.333, FeatureUnit::Percent, "33"),
            (3.4012, FeatureUnit::Log, "30"),
        ] {
            assert_eq!(shown(mean, unit, ","), expected, "{mean}");
        }
    }

    #[test]
    fn keys_are_names_of_measures() {
        assert_eq!(key(Measure::ExclamationRuns, ""), "exclamation_runs");
        assert_eq!(key(Measure::Phrase, "so it goes"), "phrase:so it goes");
    }
}
