//! Writing style: sentences, words, punctuation and its habits.

use std::collections::HashMap;
use std::ops::Range;

use super::{
    Feature, FeatureUnit, Needs, RatedText, deviation, mean, nowhere, rate, rate_of, share, spans,
};
use crate::difference::measured::analyzed_text::{AnalyzedText, Mark, Sentence};
use crate::difference::measured::lexicon::Sense;
use crate::difference::measured::sentences::{SentenceEnd, Sign};
use crate::task::Measure;

/// Window of the lexical variety, in words; shorter texts have no value.
const VARIETY_WINDOW: usize = 25;

/// Minimum number of sentences for a spread of their lengths.
const MIN_SENTENCES: usize = 3;

pub(super) const FEATURES: [Feature; 25] = [
    Feature {
        measure: Measure::SentenceWords,
        unit: FeatureUnit::Log,
        needs: Needs::Nothing,
        value: |text| share(text.analyzed.words.len(), text.analyzed.sentences.len()).ln(),
        shown: nowhere,
    },
    Feature {
        measure: Measure::SentenceSpread,
        unit: FeatureUnit::Plain,
        needs: Needs::Nothing,
        value: sentence_spread,
        shown: nowhere,
    },
    Feature {
        measure: Measure::WordLetters,
        unit: FeatureUnit::Plain,
        needs: Needs::Nothing,
        value: word_letters,
        shown: nowhere,
    },
    Feature {
        measure: Measure::LexicalVariety,
        unit: FeatureUnit::Plain,
        needs: Needs::Nothing,
        value: lexical_variety,
        shown: nowhere,
    },
    Feature {
        measure: Measure::FullStops,
        unit: FeatureUnit::Percent,
        needs: Needs::Nothing,
        value: |text| ending(text, &[SentenceEnd::FullStop]),
        shown: |analyzed| ends(analyzed, &[SentenceEnd::FullStop]),
    },
    Feature {
        measure: Measure::Exclamations,
        unit: FeatureUnit::Percent,
        needs: Needs::Nothing,
        value: |text| ending(text, &[SentenceEnd::Exclamation, SentenceEnd::ExclamationRun]),
        shown: |analyzed| ends(analyzed, &[SentenceEnd::Exclamation, SentenceEnd::ExclamationRun]),
    },
    Feature {
        measure: Measure::ExclamationRuns,
        unit: FeatureUnit::Percent,
        needs: Needs::Nothing,
        value: |text| ending(text, &[SentenceEnd::ExclamationRun]),
        shown: |analyzed| ends(analyzed, &[SentenceEnd::ExclamationRun]),
    },
    Feature {
        measure: Measure::Questions,
        unit: FeatureUnit::Percent,
        needs: Needs::Nothing,
        value: |text| ending(text, &[SentenceEnd::Question]),
        shown: |analyzed| ends(analyzed, &[SentenceEnd::Question]),
    },
    Feature {
        measure: Measure::BareEndings,
        unit: FeatureUnit::Percent,
        needs: Needs::Nothing,
        value: |text| ending(text, &[SentenceEnd::Bare]),
        shown: |analyzed| ends(analyzed, &[SentenceEnd::Bare]),
    },
    Feature {
        measure: Measure::LowerStarts,
        unit: FeatureUnit::Percent,
        needs: Needs::Nothing,
        value: |text| {
            let cased = text.analyzed.sentences.iter().filter_map(|s| s.lower_start);
            mean(cased.map(|lower| f64::from(u8::from(lower))))
        },
        shown: |analyzed| {
            let lower = analyzed.sentences.iter().filter(|s| s.lower_start == Some(true));
            lower.map(|s| s.span.start..s.span.start + 1).collect()
        },
    },
    rate_of!(Ellipses, Nothing, Mark::Sign(Sign::Ellipsis)),
    rate_of!(Dashes, Nothing, Mark::Sign(Sign::Dash)),
    rate_of!(Parentheses, Nothing, Mark::Sign(Sign::Parenthesis)),
    rate_of!(Quotes, Nothing, Mark::Sign(Sign::Quote)),
    rate_of!(Semicolons, Nothing, Mark::Sign(Sign::Semicolon)),
    rate_of!(Commas, Nothing, Mark::Sign(Sign::Comma)),
    rate_of!(Emoji, Nothing, Mark::Sign(Sign::Emoji)),
    rate_of!(Emoticons, Nothing, Mark::Sign(Sign::Emoticon)),
    rate_of!(Capitals, Nothing, Mark::Capitals),
    rate_of!(LowerI, Words, Mark::LowerI),
    rate_of!(DroppedApostrophes, Words, Mark::Sense(Sense::Dropped)),
    rate_of!(Spellings, Words, Mark::Sense(Sense::Spelling)),
    Feature {
        measure: Measure::Contractions,
        unit: FeatureUnit::Percent,
        needs: Needs::Words,
        value: |text| {
            let n = text.analyzed.count(Mark::Sense(Sense::Contracted));
            share(n, n + text.analyzed.count(Mark::Contractible))
        },
        shown: |analyzed| spans(analyzed, Mark::Sense(Sense::Contracted)),
    },
    Feature {
        measure: Measure::Paragraphs,
        unit: FeatureUnit::Log,
        needs: Needs::Nothing,
        value: |text| (text.analyzed.paragraphs as f64).max(1.0).ln(),
        shown: nowhere,
    },
    Feature {
        measure: Measure::Lists,
        unit: FeatureUnit::Rate,
        needs: Needs::Nothing,
        value: |text| text.analyzed.count(Mark::ListLine) as f64,
        shown: |analyzed| spans(analyzed, Mark::ListLine),
    },
];

fn word_letters(text: &RatedText<'_>) -> f64 {
    let analyzed = &text.analyzed;
    let letters = |span: &Range<usize>| analyzed.text[span.clone()].chars().count() as f64;
    mean(analyzed.words.iter().map(|word| letters(&word.span)))
}

fn sentence_spread(text: &RatedText<'_>) -> f64 {
    let lengths: Vec<f64> = text.analyzed.sentences.iter().map(|s| s.words.len() as f64).collect();
    if lengths.len() < MIN_SENTENCES {
        f64::NAN
    } else {
        deviation(&lengths) / mean(lengths.iter().copied())
    }
}

/// The moving-average type-token ratio: the share of distinct words in a window, averaged over all
/// its positions (Covington and McFall, "Cutting the Gordian knot: the moving-average type-token
/// ratio (MATTR)", 2010), here with a window that fits short texts.
fn lexical_variety(text: &RatedText<'_>) -> f64 {
    let analyzed = &text.analyzed;
    let n = analyzed.words.len();
    if n < VARIETY_WINDOW {
        return f64::NAN;
    }
    let mut inside: HashMap<&str, usize> = HashMap::with_capacity(VARIETY_WINDOW);
    let mut sum = 0;
    for i in 0..n {
        *inside.entry(analyzed.lower(i)).or_default() += 1;
        if i + 1 < VARIETY_WINDOW {
            continue;
        }
        sum += inside.len();
        let first = analyzed.lower(i + 1 - VARIETY_WINDOW);
        if let Some(times) = inside.get_mut(first) {
            *times -= 1;
            if *times == 0 {
                inside.remove(first);
            }
        }
    }
    share(sum, VARIETY_WINDOW * (n + 1 - VARIETY_WINDOW))
}

fn ending(text: &RatedText<'_>, endings: &[SentenceEnd]) -> f64 {
    let sentences = &text.analyzed.sentences;
    share(sentences.iter().filter(|s| endings.contains(&s.ending)).count(), sentences.len())
}

/// Spans of the last characters of the sentences with one of these endings.
fn ends(analyzed: &AnalyzedText<'_>, endings: &[SentenceEnd]) -> Vec<Range<usize>> {
    let last = |sentence: &Sentence| {
        let text = &analyzed.text[sentence.span.clone()];
        let length = text.chars().next_back().map_or(0, char::len_utf8);
        sentence.span.end - length..sentence.span.end
    };
    analyzed.sentences.iter().filter(|s| endings.contains(&s.ending)).map(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> RatedText<'_> {
        RatedText { analyzed: AnalyzedText::of(text, None), rating: None }
    }

    #[test]
    fn variety_is_the_mean_over_windows() {
        let alternating = "a b ".repeat(20);
        assert!((lexical_variety(&text(&alternating)) - 2.0 / 25.0).abs() < 1e-12);
        let distinct: String = (0..30).map(|i| format!("w{i} ")).collect();
        assert!((lexical_variety(&text(&distinct)) - 1.0).abs() < 1e-12);
        // Two windows: one with 25 distinct words, one whose last word repeats the one before.
        let repeated: String = (0..25).map(|i| format!("w{i} ")).collect::<String>() + "w24";
        assert!((lexical_variety(&text(&repeated)) - (25.0 + 24.0) / 50.0).abs() < 1e-12);
        assert!(lexical_variety(&text("too short")).is_nan());
    }

    #[test]
    fn words_are_as_long_as_their_letters() {
        assert_eq!(word_letters(&text("größer 日本 is")), (6.0 + 2.0 + 2.0) / 3.0);
        assert!(word_letters(&text("!")).is_nan());
    }

    #[test]
    fn spread_is_in_shares_of_the_mean() {
        let spread = sentence_spread(&text("One. Two words. Here are three."));
        assert!((spread - 0.5).abs() < 1e-12);
        assert!(sentence_spread(&text("One. Two.")).is_nan());
    }
}
