//! Emotional style: tone and its range, feeling words, ratings, humour, emphasis and address of the
//! reader.

use super::{
    Feature, FeatureUnit, Needs, RatedText, deviation, nowhere, per_100_words, rate, rate_of, spans,
};
use crate::difference::measured::analyzed_text::Mark;
use crate::difference::measured::lexicon::Sense;
use crate::difference::measured::sentences::Sign;
use crate::task::Measure;

pub(super) const FEATURES: [Feature; 9] = [
    Feature {
        measure: Measure::Tone,
        unit: FeatureUnit::Plain,
        needs: Needs::Words,
        value: tone,
        shown: nowhere,
    },
    Feature {
        measure: Measure::ToneRange,
        unit: FeatureUnit::Plain,
        needs: Needs::Words,
        value: |text| {
            let tones = text.analyzed.sentences.iter().map(|s| balance(s.tone));
            deviation(&tones.collect::<Vec<f64>>())
        },
        shown: nowhere,
    },
    Feature {
        measure: Measure::FeelingWords,
        unit: FeatureUnit::Rate,
        needs: Needs::Words,
        value: |text| {
            let n = text.analyzed.count(Mark::Positive) + text.analyzed.count(Mark::Negative);
            per_100_words(text, n)
        },
        shown: |analyzed| {
            [Mark::Positive, Mark::Negative].into_iter().flat_map(|m| spans(analyzed, m)).collect()
        },
    },
    Feature {
        measure: Measure::ToneAgainstRating,
        unit: FeatureUnit::Plain,
        needs: Needs::Words,
        // The rating is scaled to the range of the tone, -1 to 1; three of five stars are 0.
        value: |text| text.rating.map_or(f64::NAN, |r| tone(text) - (f64::from(r) - 3.0) / 2.0),
        shown: nowhere,
    },
    Feature {
        measure: Measure::Rating,
        unit: FeatureUnit::Plain,
        needs: Needs::Nothing,
        value: |text| text.rating.map_or(f64::NAN, f64::from),
        shown: nowhere,
    },
    Feature {
        measure: Measure::Humour,
        unit: FeatureUnit::Rate,
        needs: Needs::Words,
        value: |text| per_100_words(text, humour(text).len()),
        shown: |analyzed| {
            let winks = spans(analyzed, Mark::Sign(Sign::Emoticon));
            let winks = winks.into_iter().filter(|at| analyzed.text[at.clone()].starts_with(';'));
            spans(analyzed, Mark::Sense(Sense::Humour)).into_iter().chain(winks).collect()
        },
    },
    rate_of!(Boosters, Words, Mark::Sense(Sense::Booster)),
    rate_of!(Hedges, Words, Mark::Sense(Sense::Hedge)),
    rate_of!(Address, Words, Mark::Sense(Sense::Address)),
];

/// Tone of a text: (praise − blame) / (praise + blame + 1), -1 to 1. The 1 keeps a single word from
/// counting as much as many.
fn tone(text: &RatedText<'_>) -> f64 {
    let add = |a: (u32, u32), b: (u32, u32)| (a.0 + b.0, a.1 + b.1);
    balance(text.analyzed.sentences.iter().map(|s| s.tone).fold((0, 0), add))
}

fn balance((praise, blame): (u32, u32)) -> f64 {
    (f64::from(praise) - f64::from(blame)) / (f64::from(praise) + f64::from(blame) + 1.0)
}

fn humour(text: &RatedText<'_>) -> Vec<std::ops::Range<usize>> {
    let feature = FEATURES.iter().find(|feature| feature.measure == Measure::Humour);
    feature.map_or(Vec::new(), |feature| (feature.shown)(&text.analyzed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::measured::analyzed_text::AnalyzedText;
    use crate::difference::measured::lexicon::StyleLexicon;

    fn value(measure: Measure, text: &str, rating: Option<f32>) -> f64 {
        let lexicon = StyleLexicon::of(["the lid is on it and that is it"].into_iter());
        let text = RatedText { analyzed: AnalyzedText::of(text, lexicon), rating };
        let feature = FEATURES.iter().find(|feature| feature.measure == measure);
        feature.map_or(f64::NAN, |feature| (feature.value)(&text))
    }

    #[test]
    fn tone_counts_praise_against_blame() {
        let tone = |text| value(Measure::Tone, text, None);
        assert_eq!(tone("It is a lamp."), 0.0);
        assert_eq!(tone("A great lamp, but ugly."), 0.0);
        assert_eq!(tone("A great lamp. Not bad at all. I love it."), 0.75);
        assert!(tone("Terrible.") < 0.0 && tone("It is not good.") < 0.0);
        let against = value(Measure::ToneAgainstRating, "A terrible lamp.", Some(5.0));
        assert_eq!(against, -1.5);
        assert!(value(Measure::ToneAgainstRating, "A terrible lamp.", None).is_nan());
    }

    #[test]
    fn winks_and_laughs_are_humour() {
        assert_eq!(value(Measure::Humour, "Sat on it lol ;) so :)", None), 2.0 * 100.0 / 5.0);
    }
}
