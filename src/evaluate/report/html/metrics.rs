//! Presentation of the measures: label, group, number format and the value of no effect.

use super::numbers::Style;
use crate::report::EvalReport;

/// Groups of measures, in the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MetricSection {
    /// Bits per token of the real text.
    Likelihood,
    /// Generated texts against the real ones.
    Lexical,
    /// Gain of the right history over a wrong user's, on the lexical measures.
    WrongUser,
    /// The swap test: two texts matched to two users.
    Swap,
    /// Identification of the user among many.
    Identification,
    /// Ratings and preferences of a language model.
    Judge,
    /// Measures without the real title.
    NeutralTitle,
    /// Measures without a label on this page.
    Other,
}

impl MetricSection {
    /// All groups, in the order of the page.
    pub(super) const ALL: [Self; 8] = [
        Self::Likelihood,
        Self::Lexical,
        Self::WrongUser,
        Self::Swap,
        Self::Identification,
        Self::Judge,
        Self::NeutralTitle,
        Self::Other,
    ];
}

/// A measure as the page presents it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MetricView {
    /// Name in results.
    pub(super) name: String,
    /// Label on the page.
    pub(super) label: String,
    /// Group that the measure is shown in.
    pub(super) group: MetricSection,
    /// Number format.
    pub(super) style: Style,
    /// Value of no effect: chance, zero gain, or the length of the real text.
    pub(super) no_effect: Option<f64>,
    /// Whether lower values are better, as for bits.
    pub(super) less_is_better: bool,
    /// Definition.
    pub(super) meaning: String,
    /// Whether the measure is in the overview table.
    pub(super) first: bool,
    /// Whether the measure has a forest plot.
    pub(super) drawn: bool,
    order: (usize, usize),
}

struct KnownMetric {
    name: &'static str,
    label: &'static str,
    group: MetricSection,
    style: Style,
    no_effect: Option<f64>,
    meaning: &'static str,
    first: bool,
    drawn: bool,
}

/// A known measure. `places` is `t` for the overview table, `d` for a forest plot, `td` for both,
/// `-` for neither.
const fn known(
    name: &'static str,
    group: MetricSection,
    (style, no_effect): (Style, Option<f64>),
    places: &'static str,
    [label, meaning]: [&'static str; 2],
) -> KnownMetric {
    let places = places.as_bytes();
    let (first, drawn) = (places[0] == b't', places[places.len() - 1] == b'd');
    KnownMetric { name, label, group, style, no_effect, meaning, first, drawn }
}

use MetricSection::{Identification, Judge, Lexical, Likelihood, Swap};
use Style::{Coarse, Percent, Plain};

#[rustfmt::skip]
const KNOWN: [KnownMetric; 30] = [
    known("likelihood_lift", Likelihood, (Plain, Some(0.0)), "td", ["Likelihood lift",
        "bits a token with other users' histories less bits with the user's own"]),
    known("bits_right", Likelihood, (Plain, None), "td", ["Bits, own history",
        "bits a token of the real text after the user's own history; fewer is better"]),
    known("bits_wrong", Likelihood, (Plain, None), "-", ["Bits, others' history",
        "the same after the histories of matched other users"]),
    known("bits_none", Likelihood, (Plain, None), "-", ["Bits, no history",
        "the same after no history"]),
    known("rouge1", Lexical, (Plain, None), "td", ["ROUGE-1",
        "words of ASCII letters shared with the real text, F-measure, 0 to 1"]),
    known("rougeL", Lexical, (Plain, None), "d", ["ROUGE-L",
        "longest run of words (ASCII letters) in the same order, gaps allowed, F-measure, 0 to 1"]),
    known("meteor", Lexical, (Plain, None), "td", ["METEOR",
        "words shared, with stems and synonyms, mostly recall, 0 to 1"]),
    known("meteor_no_punkt", Lexical, (Plain, None), "td", ["METEOR, sentences not split",
        "METEOR without the sentence splitter of NLTK; near METEOR, not equal to it"]),
    known("meteor_exact_stem", Lexical, (Plain, None), "td", ["METEOR, exact and stem",
        "METEOR without WordNet's synonyms; lower than METEOR"]),
    known("bleu", Lexical, (Coarse, None), "td", ["BLEU",
        "runs of up to four words shared, over all texts together, 0 to 100"]),
    known("brevity_penalty", Lexical, (Plain, Some(1.0)), "-", ["Brevity penalty",
        "what BLEU is multiplied by because texts are shorter than the real ones; 1 is no penalty"]),
    known("corpus_length_ratio", Lexical, (Coarse, Some(1.0)), "-", ["Length ratio, all texts",
        "length of all texts together over that of the real ones, as BLEU counts it"]),
    known("bleu_sentence", Lexical, (Coarse, None), "-", ["BLEU by text",
        "BLEU of each text by itself, 0 to 100"]),
    known("length_ratio", Lexical, (Coarse, Some(1.0)), "td", ["Length ratio",
        "length of the text over that of the real one; 1 is the same"]),
    known("distinct1", Lexical, (Plain, None), "-", ["Distinct-1",
        "different words over all words, of all texts together"]),
    known("distinct2", Lexical, (Plain, None), "-", ["Distinct-2",
        "different pairs of neighbouring words over all words, of all texts together"]),
    known("copied_from_history", Lexical, (Percent, None), "-", ["Copied, own past",
        "share of runs of eight words that stand in the user's past texts"]),
    known("copied_from_peers", Lexical, (Percent, None), "-", ["Copied, peers",
        "share of runs of eight words that stand in others' texts on the same items"]),
    known("swap_stylometry", Swap, (Percent, Some(0.5)), "td", ["Swap, Delta of trigrams",
        "closeness is Burrows' Delta on runs of three characters"]),
    known("swap_function_words", Swap, (Percent, Some(0.5)), "d", ["Swap, Delta of function words",
        "closeness is Burrows' Delta on function words, which carry no topic"]),
    known("swap_lambda_g", Swap, (Percent, Some(0.5)), "td", ["Swap, LambdaG",
        "closeness is the likelihood ratio of the user's grammar and others', content words masked"]),
    known("swap_tfidf", Swap, (Percent, Some(0.5)), "d", ["Swap, TF-IDF",
        "closeness is the cosine of character runs weighted by TF-IDF"]),
    known("swap_encoder", Swap, (Percent, Some(0.5)), "d", ["Swap, encoder",
        "closeness is the cosine of a sentence encoder that chose nothing here"]),
    known("swap_likelihood", Swap, (Percent, Some(0.5)), "td", ["Swap, likelihood",
        "closeness is the text's likelihood after the user's held-out texts"]),
    known("lambda_g_llr", Swap, (Coarse, Some(0.0)), "d", ["LambdaG, log10 likelihood ratio",
        "calibrated ratio of the text by the user's grammar and others'; 1 is ten times likelier to \
         be the user's, 0 says nothing"]),
    known("identified_mrr", Identification, (Plain, None), "td", ["Reciprocal rank",
        "mean of one over the true user's rank; 1 is always first"]),
    known("identified_first", Identification, (Percent, None), "-", ["First",
        "share of texts whose true user comes first"]),
    known("identified_auc", Identification, (Plain, Some(0.5)), "d", ["AUC",
        "share of the other users that are less close than the true one; 0.5 is chance"]),
    known("judge", Judge, (Plain, None), "td", ["Judge",
        "similarity to the real text in the judge's eyes: its points as a share of all points, 0 to 1"]),
    known("judge_wins", Judge, (Percent, Some(0.5)), "td", ["Judge, pairs",
        "share of the other methods' texts that come less near to the real text, asked in both orders; \
         ties count by half"]),
];

impl MetricView {
    /// Presentation of a measure, by its name in results.
    pub(super) fn of(name: &str) -> Self {
        let found = |base: &str| KNOWN.iter().enumerate().find(|(_, known)| known.name == base);
        let (base, suffix) = ["_gain", "_neutral", "_random", "_nearest"]
            .into_iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, suffix)))
            .unwrap_or((name, ""));
        let Some((number, known)) = found(name).or_else(|| found(base)) else {
            return Self::unknown(name);
        };
        let plain = Self {
            name: name.to_owned(),
            label: known.label.to_owned(),
            group: known.group,
            style: known.style,
            no_effect: known.no_effect,
            less_is_better: known.name.starts_with("bits_"),
            meaning: known.meaning.to_owned(),
            first: known.first,
            drawn: known.drawn,
            order: (number, 0),
        };
        match suffix {
            "_gain" => Self {
                label: format!("{} gain", known.label),
                group: MetricSection::WrongUser,
                no_effect: Some(0.0),
                meaning: format!(
                    "{} with the right history less that with another user's",
                    known.label
                ),
                first: name == "rouge1_gain",
                ..plain
            },
            "_neutral" => Self {
                label: format!("{}, no title", known.label),
                group: MetricSection::NeutralTitle,
                first: false,
                ..plain
            },
            "_random" | "_nearest" => {
                let (pairs, variant) = match suffix {
                    "_random" => ("pairs drawn at random", 1),
                    _ => ("pairs of users near each other by embedding, the harder ones", 2),
                };
                Self {
                    label: format!("{}, {} pairs", known.label, &suffix[1..]),
                    meaning: format!("{}; {pairs}", known.meaning),
                    first: false,
                    drawn: false,
                    order: (number, variant),
                    ..plain
                }
            }
            _ => plain,
        }
    }

    fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: name.replace('_', " "),
            group: MetricSection::Other,
            style: Style::Plain,
            no_effect: None,
            less_is_better: false,
            meaning: name.to_owned(),
            first: false,
            drawn: true,
            order: (KNOWN.len(), 0),
        }
    }

    /// Label of a column or plot within its group, without what the group's heading already says.
    pub(super) fn in_group(&self) -> String {
        match self.label.strip_prefix("Swap, ") {
            Some(rest) if self.group == MetricSection::Swap => {
                let (first, rest) = rest.split_at(1);
                format!("{}{rest}", first.to_uppercase())
            }
            _ => self.label.clone(),
        }
    }

    /// Whether values are differences, which are shown with a sign.
    pub(super) fn is_difference(&self) -> bool {
        self.no_effect == Some(0.0)
    }

    /// Formats a value.
    pub(super) fn show(&self, value: f64) -> String {
        if self.is_difference() { self.style.signed(value) } else { self.style.show(value) }
    }
}

/// All measures that any method has, in the order of the page.
pub(super) fn of_report(report: &EvalReport) -> Vec<MetricView> {
    let names = report.methods.values().flat_map(|method| method.figures.keys());
    let mut measures: Vec<MetricView> = names.map(|name| MetricView::of(name)).collect();
    measures.sort_by(|a, b| (a.group, a.order, &a.name).cmp(&(b.group, b.order, &b.name)));
    measures.dedup_by(|a, b| a.name == b.name);
    measures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_told_from_their_measure() {
        let gain = MetricView::of("rougeL_gain");
        assert_eq!((gain.group, gain.no_effect), (MetricSection::WrongUser, Some(0.0)));
        assert_eq!(gain.show(0.01), "+0.010");
        assert_eq!(MetricView::of("likelihood_lift_neutral").group, MetricSection::NeutralTitle);
        let nearest = MetricView::of("swap_tfidf_nearest");
        assert_eq!((nearest.group, nearest.no_effect), (MetricSection::Swap, Some(0.5)));
        assert!(nearest.meaning.contains("near each other"));
        assert!(MetricView::of("bits_right").less_is_better);
        let grammar = MetricView::of("swap_lambda_g_random");
        assert_eq!((grammar.group, grammar.no_effect), (MetricSection::Swap, Some(0.5)));
        assert_eq!(grammar.in_group(), "LambdaG, random pairs");
        assert_eq!(MetricView::of("lambda_g_llr").show(0.5), "+0.50");
    }

    #[test]
    fn measures_without_words_are_shown_too() {
        let other = MetricView::of("shoe_size_gain");
        assert_eq!((other.group, other.label.as_str()), (MetricSection::Other, "shoe size gain"));
    }
}
