//! Values of all features of one text, for nets that learn which of them tell people apart.

use super::analyzed_text::{AnalyzedText, RatedText};
use super::features::{self, Feature, FeatureUnit, Needs};
use super::lexicon::StyleLexicon;
use crate::task::Measure;

/// Detects the language of texts: `en` or `de`, if they have enough of its function words.
#[must_use]
pub fn language_of<'t>(texts: impl Iterator<Item = &'t str>) -> Option<&'static str> {
    StyleLexicon::of(texts).map(|lexicon| lexicon.language)
}

/// Names of the values of [`style_values`], in their order; without a language those that need word
/// lists are left out.
#[must_use]
pub fn style_names(language: Option<&str>) -> Vec<String> {
    let lexicon = language.and_then(StyleLexicon::named);
    let name = |feature: &Feature| {
        let name = serde_json::to_value(feature.measure).unwrap_or_default();
        name.as_str().unwrap_or_default().to_owned()
    };
    used(lexicon).map(name).collect()
}

/// Values of a text's features, none of which needs its rating: writing, emotional and semantic
/// style. Rates are logarithms, `ln(1 + n in 100 words)`; a value that the text does not have is NaN.
#[must_use]
pub fn style_values(text: &str, language: Option<&str>) -> Vec<f64> {
    let lexicon = language.and_then(StyleLexicon::named);
    let text = RatedText { analyzed: AnalyzedText::of(text, lexicon), rating: None };
    let value = |feature: &Feature| match feature.unit {
        FeatureUnit::Rate => (feature.value)(&text).ln_1p(),
        _ => (feature.value)(&text),
    };
    used(lexicon).map(value).collect()
}

fn used(lexicon: Option<&'static StyleLexicon>) -> impl Iterator<Item = &'static Feature> {
    features::all().filter(move |feature| {
        let rated = matches!(feature.measure, Measure::Rating | Measure::ToneAgainstRating);
        !rated && (feature.needs == Needs::Nothing || lexicon.is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_names_and_rates_are_logarithms() {
        let text = "The lid is on it, and that is it... SO it is.";
        let language = language_of([text].into_iter());
        assert_eq!(language, Some("en"));
        let (names, values) = (style_names(language), style_values(text, language));
        assert_eq!(names.len(), values.len());
        let value = |name: &str| names.iter().position(|n| n == name).map(|i| values[i]);
        assert_eq!(value("commas"), Some((100.0_f64 / 12.0).ln_1p()));
        assert_eq!(value("words"), Some(12.0_f64.ln()));
        assert_eq!(value("rating"), None);
        assert!(style_names(None).len() < names.len());
        assert_eq!(style_names(None).len(), style_values(text, None).len());
    }
}
