//! Differences that are counted in the texts: no language model is called, and a user's review
//! takes microseconds.
//!
//! Every text of the user and of the representatives on the same items is analyzed once
//! (`analyzed_text`). Each feature (`features`), each word or phrase (`distinctive_phrases`) and,
//! if there are sentence vectors, each aspect (`aspects`) has a value in every text. The user's
//! value is compared with the others' on the same item (`paired_test`). A difference that is
//! significant (`significance`) becomes a finding (`finding`), which the task file words as a
//! statement, with quotes as evidence (`evidence`).

mod analyzed_text;
mod aspects;
mod distinctive_phrases;
mod evidence;
mod features;
mod finding;
mod lexicon;
mod paired_test;
mod phrases;
mod redundant;
mod sentences;
mod significance;
mod style_values;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ops::Range;

pub use aspects::SentenceVectors;
pub use features::FeatureUnit;
pub use style_values::{language_of, style_names, style_values};

use analyzed_text::{AnalyzedText, RatedText};
use aspects::Sentences;
use distinctive_phrases::DistinctivePhrases;
use evidence::Quoted;
use features::Needs;
use finding::{Finding, StatementWording};
use lexicon::StyleLexicon;
use paired_test::{PairedDifference, compare, compare_rates};
use significance::discoveries;

use super::{Compared, Result, Statement};
use crate::corpus::{ReviewId, StoredReview};
use crate::peers::Origin;
use crate::task::{Direction, Measure, Task};
use idiolect_metrics::text::for_each_word;

/// Which differences become statements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strictness {
    /// Accepted share of false statements (false discovery rate), over all families of measures
    /// together, 0 to 1.
    pub false_discovery_rate: f64,
    /// Minimum effect of a statement, in standard deviations after shrinking.
    pub min_effect: f64,
}

impl Strictness {
    /// Differences that may be told.
    pub const STATEMENTS: Self = Self { false_discovery_rate: 0.05, min_effect: 0.3 };
    /// Differences that are worth a trial; up to half of them may be chance.
    pub const CANDIDATES: Self = Self { false_discovery_rate: 0.5, min_effect: 0.15 };
}

/// Measured differences of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredDifferences {
    /// Statements about the user, strongest first.
    pub statements: Vec<Statement>,
    /// Number of the user's reviews that could be compared with others' of the same item.
    pub n_reviews: usize,
    /// Number of others' reviews that they were compared with.
    pub n_others: usize,
    /// Number of measures that were tried: the features, and one each for phrases, openings,
    /// closings, function words and aspects if any of them were compared.
    pub n_measures: usize,
    /// Language of the texts, if it is one with word lists: `en` or `de`.
    pub language: Option<&'static str>,
}

impl MeasuredDifferences {
    /// Whether measures were tried and none gave a statement.
    #[must_use]
    pub fn is_like_everybody(&self) -> bool {
        self.n_measures > 0 && self.statements.is_empty()
    }
}

/// Measures the differences between a user's texts and those of the representatives on the same
/// items.
///
/// Representatives with a review of another item ([`Origin::NearItem`]) are left out, since their
/// texts differ by subject. The result does not depend on the order of the reviews. With fewer than
/// four comparable reviews no measure is tried. If the user has several texts on an item, each of the
/// others' texts is compared with the first of them only, since comparisons that share a text are not
/// independent.
///
/// Features, words and phrases, and aspects are three families of tests. A difference becomes a
/// statement if it is a discovery in its family, with an expected share of false discoveries below
/// 5 % over all families (Benjamini and Hochberg 1995, each family with an equal part), and if its
/// effect is at least 0.3 after shrinking. `vectors` is optional; without it there are no aspects
/// and no coherence.
///
/// # Errors
/// Error if a template of the task fails, or if the vectors cannot be made.
pub fn measure(
    compared: &[Compared],
    task: &Task,
    vectors: Option<&dyn SentenceVectors>,
) -> Result<MeasuredDifferences> {
    measure_with(compared, task, vectors, Strictness::STATEMENTS)
}

/// Measures differences as [`measure`] does, with other bounds.
///
/// # Errors
/// As [`measure`].
pub fn measure_with(
    compared: &[Compared],
    task: &Task,
    vectors: Option<&dyn SentenceVectors>,
    strictness: Strictness,
) -> Result<MeasuredDifferences> {
    let items = ItemGroups::of(compared);
    let lexicon = StyleLexicon::of(items.own().map(|review| review.review.text.as_str()));
    let language = task.statement_language(lexicon.map_or("en", |lexicon| lexicon.language));
    let Some(language) = language else { return Ok(items.nothing(lexicon)) };
    let texts: Vec<RatedText<'_>> =
        items.texts.iter().map(|review| text(review, lexicon)).collect();
    let uses = |measure| task.dimension_of(language, measure).is_some();
    let sentences = match vectors {
        Some(encoder) if uses(Measure::Aspect) || uses(Measure::Coherence) => {
            Some(Sentences::new(&texts, &items.groups, encoder)?)
        }
        _ => None,
    };
    let share = strictness.false_discovery_rate / if sentences.is_some() { 3.0 } else { 2.0 };
    let ids: Vec<ReviewId> = items.texts.iter().map(|review| review.id).collect();
    let quoted = Quoted { texts: &texts, ids: &ids, groups: &items.groups };
    let mut measured = items.nothing(lexicon);
    let mut found: Vec<Finding> = Vec::new();

    let mut of_features: Vec<ComparedFeature> = features::all()
        .filter(|f| uses(f.measure) && (f.needs == Needs::Nothing || lexicon.is_some()))
        .filter_map(|f| {
            let values = texts.iter().map(f.value).collect();
            ComparedFeature::of(f.measure, f.unit, f.shown, values, &items.groups)
        })
        .collect();
    if let Some(sentences) = sentences.as_ref().filter(|_| uses(Measure::Coherence)) {
        let (nowhere, values) = (|_: &AnalyzedText<'_>| Vec::new(), sentences.coherence());
        let feature = ComparedFeature::of(
            Measure::Coherence,
            FeatureUnit::Plain,
            nowhere,
            values,
            &items.groups,
        );
        of_features.extend(feature);
    }
    measured.n_measures += of_features.len();
    let p: Vec<f64> = of_features.iter().map(|f| f.difference.p).collect();
    found.extend(discoveries(&p, share).into_iter().map(|i| of_features[i].finding(&quoted)));

    let phrases = DistinctivePhrases::new(&texts, &items.groups);
    let candidates = phrases.candidates(uses);
    measured.n_measures += distinctive_phrases::n_measures(&candidates);
    let p: Vec<f64> = candidates.iter().map(|candidate| candidate.difference.p).collect();
    let chosen = phrases.chosen(&candidates, &discoveries(&p, share));
    found.extend(chosen.into_iter().map(|phrase| {
        let unit = match phrase.measure {
            Measure::FunctionWord => FeatureUnit::Plain,
            _ => FeatureUnit::Percent,
        };
        let evidence = quoted.around(&phrase.shown);
        let (measure, phrase, difference) = (phrase.measure, phrase.phrase, phrase.difference);
        let spans = |text: usize| occurrences(&texts[text].analyzed, &phrase);
        let counts: Vec<f64> = (0..texts.len()).map(|text| spans(text).len() as f64).collect();
        let evidence = quoted.beside_others(evidence, &counts, spans, difference.direction());
        Finding { measure, unit, difference, phrase, evidence }
    }));

    if let (Some(sentences), Some(lexicon), true) = (&sentences, lexicon, uses(Measure::Aspect)) {
        let aspects = sentences.aspects(lexicon);
        measured.n_measures += usize::from(!aspects.is_empty());
        let p: Vec<f64> = aspects.iter().map(|aspect| aspect.difference.p).collect();
        found.extend(discoveries(&p, share).into_iter().map(|i| {
            let aspect = &aspects[i];
            let (phrase, difference) = (aspect.name.clone(), aspect.difference);
            let (measure, unit) = (Measure::Aspect, FeatureUnit::Percent);
            let evidence = quoted.around(&aspect.shown);
            Finding { measure, unit, difference, phrase, evidence }
        }));
    }

    found.retain(|f| f.difference.effect.abs() >= strictness.min_effect);
    redundant::remove(&mut found);
    let wording =
        StatementWording { task, language, reviews: items.own_ids(), against: items.other_ids() };
    measured.statements = wording.statements(found)?;
    Ok(measured)
}

/// A feature and its comparison.
struct ComparedFeature {
    measure: Measure,
    unit: FeatureUnit,
    shown: fn(&AnalyzedText<'_>) -> Vec<Range<usize>>,
    values: Vec<f64>,
    difference: PairedDifference,
}

impl ComparedFeature {
    fn of(
        measure: Measure,
        unit: FeatureUnit,
        shown: fn(&AnalyzedText<'_>) -> Vec<Range<usize>>,
        values: Vec<f64>,
        groups: &[Range<usize>],
    ) -> Option<Self> {
        let difference = match unit {
            FeatureUnit::Rate => compare_rates(&values, groups),
            _ => compare(&values, groups),
        }?;
        Some(Self { measure, unit, shown, values, difference })
    }

    fn finding(&self, quoted: &Quoted<'_, '_>) -> Finding {
        let direction = self.difference.direction();
        let spans = |text: usize| (self.shown)(&quoted.texts[text].analyzed);
        let shown: Vec<(usize, Range<usize>)> = match direction {
            Direction::More => quoted
                .own()
                .flat_map(|(text, _)| spans(text).into_iter().map(move |span| (text, span)))
                .collect(),
            Direction::Less => Vec::new(),
        };
        let evidence = match shown.is_empty() {
            true => quoted.extreme(&self.values, direction),
            false => quoted.around(&shown),
        };
        let evidence = quoted.beside_others(evidence, &self.values, spans, direction);
        let (measure, unit, difference) = (self.measure, self.unit, self.difference);
        Finding { measure, unit, difference, phrase: String::new(), evidence }
    }
}

/// Spans of a text in which the words of a phrase occur consecutively, ignoring case; bytes.
fn occurrences(analyzed: &AnalyzedText<'_>, phrase: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    for_each_word(phrase, |_, word| words.push(word.to_owned()));
    let n = words.len();
    if n == 0 || analyzed.words.len() < n {
        return Vec::new();
    }
    (0..=analyzed.words.len() - n)
        .filter(|&start| (0..n).all(|i| analyzed.lower(start + i) == words[i]))
        .map(|start| analyzed.words[start].span.start..analyzed.words[start + n - 1].span.end)
        .collect()
}

fn text<'t>(review: &'t StoredReview, lexicon: Option<&StyleLexicon>) -> RatedText<'t> {
    let rating = review.review.rating.filter(|rating| rating.is_finite());
    RatedText { analyzed: AnalyzedText::of(&review.review.text, lexicon), rating }
}

/// The texts in groups about the same item; the user's own text is the first of each group.
struct ItemGroups<'c> {
    texts: Vec<&'c StoredReview>,
    groups: Vec<Range<usize>>,
}

impl<'c> ItemGroups<'c> {
    fn of(compared: &'c [Compared]) -> Self {
        let mut sorted: Vec<&Compared> = compared.iter().collect();
        sorted.sort_by_key(|compared| compared.own.id);
        sorted.dedup_by_key(|compared| compared.own.id);
        let mut items = Self { texts: Vec::new(), groups: Vec::new() };
        let mut used = HashSet::new();
        for compared in sorted {
            let mut others: Vec<&StoredReview> = compared
                .representatives
                .iter()
                .filter(|other| other.origin == Origin::SameItem)
                .map(|other| &other.review)
                .filter(|other| other.review.user != compared.own.review.user)
                .collect();
            others.sort_by_key(|other| other.id);
            others.retain(|other| used.insert(other.id));
            if !others.is_empty() {
                let start = items.texts.len();
                items.texts.push(&compared.own);
                items.texts.extend(others);
                items.groups.push(start..items.texts.len());
            }
        }
        items
    }

    fn own(&self) -> impl Iterator<Item = &'c StoredReview> {
        self.groups.iter().map(|group| self.texts[group.start])
    }

    fn own_ids(&self) -> Vec<ReviewId> {
        self.own().map(|review| review.id).collect()
    }

    fn other_ids(&self) -> Vec<ReviewId> {
        let others = self.groups.iter().flat_map(|group| &self.texts[group.start + 1..group.end]);
        let mut ids: Vec<ReviewId> = others.map(|review| review.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn nothing(&self, lexicon: Option<&'static StyleLexicon>) -> MeasuredDifferences {
        MeasuredDifferences {
            statements: Vec::new(),
            n_reviews: self.groups.len(),
            n_others: self.texts.len() - self.groups.len(),
            n_measures: 0,
            language: lexicon.map(|lexicon| lexicon.language),
        }
    }
}
