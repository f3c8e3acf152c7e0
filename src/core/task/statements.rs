//! Templates that word measured differences as statements.

use std::collections::BTreeMap;
use std::ops::Range;

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Error, Measure, Result, Task};

/// Direction of a user's difference from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The user has more of it.
    More,
    /// The user has less of it.
    Less,
}

/// Values that statement templates can use.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Figures {
    /// The user's mean, formatted in the unit of the measure.
    pub value: String,
    /// The others' mean, formatted likewise.
    pub others: String,
    /// Whether the user's mean is 0.
    pub never: bool,
    /// The word or phrase; empty for measures without one.
    pub phrase: String,
}

/// Statement templates by language and measure; each measure has its dimension.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct StatementTemplates(BTreeMap<String, Language>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Language {
    decimal: String,
    measures: BTreeMap<Measure, (String, Wording)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wording {
    more: Option<String>,
    less: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct LanguageTable {
    #[serde(default = "point")]
    decimal: String,
    #[serde(flatten)]
    dimensions: BTreeMap<String, BTreeMap<Measure, Wording>>,
}

fn point() -> String {
    ".".to_owned()
}

impl StatementTemplates {
    /// Checks the tables of a task file with these dimensions. An error has the byte range in the
    /// file, the field and the message.
    pub(super) fn of(
        tables: BTreeMap<String, Spanned<LanguageTable>>,
        dimensions: &[&str],
    ) -> std::result::Result<Self, (Range<usize>, String, String)> {
        let mut languages = BTreeMap::new();
        for (name, table) in tables {
            let (span, table) = (table.span(), table.into_inner());
            let mut measures = BTreeMap::new();
            for (dimension, wordings) in table.dimensions {
                let at = format!("statements.{name}.{dimension}");
                if !dimensions.contains(&dimension.as_str()) {
                    let known = dimensions.join(", ");
                    let message = format!("the standard has no such dimension; it has {known}");
                    return Err((span, at, message));
                }
                for (measure, wording) in wordings {
                    for template in [&wording.more, &wording.less].into_iter().flatten() {
                        let worded = word(template, &sample());
                        let wrong = worded.err().map(|error| format!("{measure:?}: {error}"));
                        if let Some(message) = wrong {
                            return Err((span, at, message));
                        }
                    }
                    let old = measures.insert(measure, (dimension.clone(), wording));
                    if old.is_some() {
                        let message = format!("{measure:?} is worded twice");
                        return Err((span, at, message));
                    }
                }
            }
            languages.insert(name, Language { decimal: table.decimal, measures });
        }
        Ok(Self(languages))
    }

    fn wording(&self, language: &str, measure: Measure) -> Option<&(String, Wording)> {
        self.0.get(language)?.measures.get(&measure)
    }
}

impl Task {
    /// Returns the language of the statements for a user who writes in `language` (`en`, `de`): the
    /// same if the task has templates in it, else English, else the first one of the task; `None`
    /// if the task has no templates.
    #[must_use]
    pub fn statement_language(&self, language: &str) -> Option<&str> {
        let languages = &self.statements.0;
        let named = |name: &str| languages.get_key_value(name).map(|(name, _)| name.as_str());
        named(language)
            .or_else(|| named("en"))
            .or_else(|| languages.keys().next().map(String::as_str))
    }

    /// Returns the decimal separator of statements in this language.
    #[must_use]
    pub fn decimal(&self, language: &str) -> &str {
        self.statements.0.get(language).map_or(".", |language| &language.decimal)
    }

    /// Returns the key of a measure's dimension; `None` if the task has no template for the measure
    /// in this language, or if the dimension is left out.
    #[must_use]
    pub fn dimension_of(&self, language: &str, measure: Measure) -> Option<&str> {
        let (dimension, _) = self.statements.wording(language, measure)?;
        let kept = self.standard.iter().any(|d| d.key == *dimension);
        kept.then_some(dimension.as_str())
    }

    /// Words a difference; `None` if the task has no template for this measure and direction.
    ///
    /// # Errors
    /// [`Error::Statement`] if the template fails on these figures.
    pub fn word(
        &self,
        language: &str,
        measure: Measure,
        direction: Direction,
        figures: &Figures,
    ) -> Result<Option<String>> {
        let Some((_, wording)) = self.statements.wording(language, measure) else {
            return Ok(None);
        };
        let template = match direction {
            Direction::More => &wording.more,
            Direction::Less => &wording.less,
        };
        let worded = template.as_ref().map(|template| word(template, figures)).transpose();
        worded.map_err(|error| Error::Statement {
            task: self.name.clone(),
            measure,
            message: error.to_string(),
        })
    }
}

fn word(template: &str, figures: &Figures) -> std::result::Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let words = environment.render_str(template, minijinja::value::Serde(figures))?;
    Ok(words.trim().to_owned())
}

fn sample() -> Figures {
    Figures { value: "2".into(), others: "1".into(), never: false, phrase: "w".into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn figures() -> Figures {
        Figures { value: "30".into(), others: "7.5".into(), never: false, phrase: "{{x}}".into() }
    }

    #[test]
    fn statements_are_worded_in_the_language_of_the_user() {
        let task = Task::load("review").unwrap();
        assert_eq!(task.statement_language("de"), Some("de"));
        assert_eq!(task.statement_language("fi"), Some("en"));
        assert_eq!((task.decimal("en"), task.decimal("de")), (".", ","));
        assert_eq!(task.dimension_of("en", Measure::Words), Some("semantic"));
        let words = |language| task.word(language, Measure::Phrase, Direction::More, &figures());
        assert!(words("en").unwrap().unwrap().contains("{{x}}"));
        assert_ne!(words("en").unwrap(), words("de").unwrap());
    }

    #[test]
    fn both_languages_word_the_same_measures_under_the_same_dimensions() {
        for name in ["review", "headline"] {
            let task = Task::load(name).unwrap();
            let [en, de] = ["en", "de"].map(|language| {
                let measures = &task.statements.0[language].measures;
                let place = |(measure, (dimension, wording)): (&Measure, &(String, Wording))| {
                    (*measure, dimension.clone(), wording.more.is_some(), wording.less.is_some())
                };
                measures.iter().map(place).collect::<Vec<_>>()
            });
            assert_eq!(en, de, "{name}");
        }
    }

    #[test]
    fn a_dimension_that_is_left_out_has_no_measures() {
        let task = Task::load("review").unwrap();
        let task = task.without_dimensions(&["writing".to_owned()]).unwrap();
        assert_eq!(task.dimension_of("en", Measure::Exclamations), None);
        assert_eq!(task.dimension_of("en", Measure::Tone), Some("emotional"));
    }

    #[test]
    fn what_is_no_measure_no_dimension_or_no_template_is_refused() {
        let text = include_str!("../../../data/tasks/review.toml");
        for (was, becomes, said) in [
            ("\nexclamations = ", "\nexclamation = ", "unknown variant `exclamation`"),
            ("[statements.en.emotional]", "[statements.en.mood]", "has no such dimension"),
            ("{{ value }}", "{{ valu }}", "undefined"),
            ("hedges = { more", "hedges = { mor", "unknown field `mor`"),
        ] {
            assert!(text.contains(was), "{was}");
            let wrong = text.replacen(was, becomes, 1);
            let error = Task::parse(std::path::Path::new("t"), &wrong).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
