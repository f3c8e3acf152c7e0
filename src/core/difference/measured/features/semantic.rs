//! Semantic style: how much is said, about what, and how densely.

use super::{Feature, FeatureUnit, Needs, nowhere, rate, rate_of, share, spans};
use crate::difference::measured::analyzed_text::Mark;
use crate::difference::measured::lexicon::Sense;
use crate::task::Measure;

pub(super) const FEATURES: [Feature; 7] = [
    Feature {
        measure: Measure::Words,
        unit: FeatureUnit::Log,
        needs: Needs::Nothing,
        value: |text| (text.analyzed.words.len() as f64).max(1.0).ln(),
        shown: nowhere,
    },
    Feature {
        measure: Measure::ContentWords,
        unit: FeatureUnit::Percent,
        needs: Needs::Words,
        value: |text| {
            let words = &text.analyzed.words;
            share(words.iter().filter(|word| !word.function).count(), words.len())
        },
        shown: nowhere,
    },
    rate_of!(Numbers, Nothing, Mark::Number),
    rate_of!(Names, Words, Mark::Name),
    rate_of!(FirstPerson, Words, Mark::FirstPerson),
    Feature {
        measure: Measure::FirstPersonAgainstItem,
        unit: FeatureUnit::Percent,
        needs: Needs::Words,
        value: |text| {
            let n = text.analyzed.count(Mark::FirstPerson);
            share(n, n + text.analyzed.count(Mark::Item))
        },
        shown: |analyzed| spans(analyzed, Mark::FirstPerson),
    },
    rate_of!(Comparisons, Words, Mark::Sense(Sense::Comparison)),
];
