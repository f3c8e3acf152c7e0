//! Templates that word measured differences as statements.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::error::Mistake;
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

/// Tables of a task file by language, each with its measures by dimension.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(super) struct LanguageTables(BTreeMap<String, Spanned<LanguageTable>>);

#[derive(Deserialize, Default)]
struct LanguageTable {
    decimal: Option<String>,
    #[serde(flatten)]
    dimensions: BTreeMap<String, BTreeMap<Measure, Wording>>,
}

/// Measures that are worded as in the inherited task, by dimension.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(super) struct MeasureTable(BTreeMap<String, Spanned<Vec<Measure>>>);

impl MeasureTable {
    /// Dimension of each measure.
    fn dimensions(&self) -> std::result::Result<BTreeMap<Measure, &str>, Mistake> {
        let mut dimensions = BTreeMap::new();
        for (dimension, measures) in &self.0 {
            for measure in measures.get_ref() {
                if let Some(other) = dimensions.insert(*measure, dimension.as_str()) {
                    let message = format!("{measure:?} is also under `{other}`");
                    return Err((measures.span(), format!("measures.{dimension}"), message));
                }
            }
        }
        Ok(dimensions)
    }
}

impl LanguageTables {
    /// Adds the wordings of the inherited task for the measures that the own tables of a language
    /// do not word: those of `measures`, under the dimensions given there; if it is empty, all of
    /// them, under their own dimensions.
    pub(super) fn over(
        mut self,
        base: Self,
        measures: &MeasureTable,
    ) -> std::result::Result<Self, Mistake> {
        let wanted = measures.dimensions()?;
        for (dimension, listed) in &measures.0 {
            let missing = listed.get_ref().iter().find(|measure| !base.words(**measure));
            if let Some(measure) = missing {
                let message = format!("the inherited task does not word {measure:?}");
                return Err((listed.span(), format!("measures.{dimension}"), message));
            }
        }
        for (name, inherited) in base.0 {
            let (span, inherited) = (inherited.span(), inherited.into_inner());
            let (span, mut own) = match self.0.remove(&name) {
                Some(own) => (own.span(), own.into_inner()),
                None => (span, LanguageTable::default()),
            };
            own.decimal = own.decimal.or(inherited.decimal);
            let worded = own.dimensions.values().flat_map(BTreeMap::keys).copied();
            let worded: BTreeSet<Measure> = worded.collect();
            for (of_base, wordings) in inherited.dimensions {
                for (measure, wording) in wordings {
                    let dimension = match measures.0.is_empty() {
                        true => Some(of_base.as_str()),
                        false => wanted.get(&measure).copied(),
                    };
                    if let (Some(dimension), false) = (dimension, worded.contains(&measure)) {
                        let wordings = own.dimensions.entry(dimension.to_owned()).or_default();
                        wordings.insert(measure, wording);
                    }
                }
            }
            self.0.insert(name, Spanned::new(span, own));
        }
        Ok(self)
    }

    fn words(&self, measure: Measure) -> bool {
        let dimensions = self.0.values().flat_map(|table| table.get_ref().dimensions.values());
        dimensions.into_iter().any(|wordings| wordings.contains_key(&measure))
    }
}

impl StatementTemplates {
    /// Checks the tables of a task with these dimensions.
    pub(super) fn of(
        tables: LanguageTables,
        dimensions: &[&str],
    ) -> std::result::Result<Self, Mistake> {
        let mut languages = BTreeMap::new();
        for (name, table) in tables.0 {
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
            let decimal = table.decimal.unwrap_or_else(|| ".".to_owned());
            languages.insert(name, Language { decimal, measures });
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
    use crate::task::testing::{STAGES, as_one_file};

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
        let text = as_one_file("review");
        for (was, becomes, said) in [
            ("\nexclamations = ", "\nexclamation = ", "unknown variant `exclamation`"),
            ("[statements.en.emotional]", "[statements.en.mood]", "has no such dimension"),
            ("{{ value }}", "{{ valu }}", "undefined"),
            ("hedges = { more", "hedges = { mor", "unknown field `mor`"),
        ] {
            assert!(text.contains(was), "{was}");
            let wrong = text.replacen(was, becomes, 1);
            let task = Task::parse(std::path::Path::new("t"), &wrong);
            let error = task.and_then(|task| task.check(&STAGES)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
