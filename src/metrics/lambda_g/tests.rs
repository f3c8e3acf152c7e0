//! Golden values of the package `lambdag`, a plain reference of the model, and properties.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::score::mean_ratios;
use super::*;
use crate::Error;

#[derive(serde::Deserialize)]
struct Golden {
    models: Vec<GoldenModel>,
    ratios: Vec<GoldenRatio>,
    calibration: GoldenCalibration,
}

/// Sentences have white space between their tokens.
#[derive(serde::Deserialize)]
struct GoldenModel {
    order: usize,
    known: Vec<String>,
    text: Vec<String>,
    probabilities: Vec<f64>,
}

#[derive(serde::Deserialize)]
struct GoldenRatio {
    order: usize,
    known: Vec<String>,
    text: Vec<String>,
    reference: Vec<String>,
    samples: Vec<Vec<usize>>,
    lambda_g: f64,
}

#[derive(serde::Deserialize)]
struct GoldenCalibration {
    same: Vec<f64>,
    different: Vec<f64>,
    slope: f64,
    intercept: f64,
    scores: Vec<f64>,
    probabilities: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/lambda-g.json")).unwrap()
}

fn split(sentences: &[String]) -> Vec<Vec<String>> {
    let tokens = |s: &String| s.split_whitespace().map(str::to_owned).collect();
    sentences.iter().map(tokens).collect()
}

fn assert_near(ours: f64, expected: f64, what: &str) {
    assert!((ours - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{what}: {ours} {expected}");
}

#[test]
fn probabilities_are_those_of_lambdag() {
    let models = golden().models;
    assert!(models.iter().any(|model| model.order == LambdaG::ORDER));
    for GoldenModel { order, known, text, probabilities } in models {
        let (known, text) = (split(&known), split(&text));
        let index = SentenceIndex::new(order, &known);
        let all: Vec<usize> = (0..index.len()).collect();
        let ours = GrammarModel::new(&index, &all).probabilities(&index.questioned(&text));
        assert_eq!(ours.len(), probabilities.len());
        for (ours, expected) in ours.into_iter().zip(probabilities) {
            assert_near(ours, expected, &format!("order {order}"));
        }
    }
}

#[test]
fn ratios_are_those_of_lambdag() {
    for of in golden().ratios {
        let (known, text, reference) = (split(&of.known), split(&of.text), split(&of.reference));
        let index = SentenceIndex::new(of.order, known.iter().chain(&reference));
        let text = [index.questioned(&text)];
        let samples = of.samples.iter().map(|sample| {
            assert_eq!(sample.len(), known.len());
            sample.iter().map(|number| known.len() + number).collect()
        });
        let all: Vec<usize> = (0..known.len()).collect();
        assert_near(mean_ratios(&index, &text, &all, samples)[0], of.lambda_g, "ratio");
    }
}

#[test]
fn the_calibration_is_that_of_lambdag() {
    let of = golden().calibration;
    let fitted = Calibration::fit(&of.same, &of.different).unwrap();
    let log_odds = |score: f64| fitted.log10_lr(score) * std::f64::consts::LN_10;
    assert!((log_odds(0.0) - of.intercept).abs() < 1e-6, "{fitted:?}");
    assert!((log_odds(1.0) - of.intercept - of.slope).abs() < 1e-6, "{fitted:?}");
    for (score, expected) in of.scores.into_iter().zip(of.probabilities) {
        let ours = 1.0 / (1.0 + (-log_odds(score)).exp());
        assert!((ours - expected).abs() < 1e-6, "{ours} {expected}");
    }
}

/// The model by its definition: counts of n-grams by search over all distinct n-grams.
struct PlainModel {
    order: usize,
    /// All n-grams up to the order whose last token is predicted, with their occurrences.
    ngrams: BTreeMap<Vec<String>, f64>,
}

const BEGIN: &str = "<begin>";
const END: &str = "<end>";

impl PlainModel {
    fn new(order: usize, sentences: &[Vec<String>]) -> Self {
        let mut ngrams: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        for sentence in sentences {
            let padded = padded(order, sentence);
            for end in order..=padded.len() {
                for length in 1..=order {
                    *ngrams.entry(padded[end - length..end].to_vec()).or_default() += 1.0;
                }
            }
        }
        Self { order, ngrams }
    }

    /// Occurrences of a context before a predicted token.
    fn occurrences(&self, context: &[String]) -> f64 {
        let begins = |n: &&Vec<String>| n.len() == context.len() + 1 && n.starts_with(context);
        self.ngrams.keys().filter(begins).map(|ngram| self.ngrams[ngram]).sum()
    }

    /// Number of distinct tokens before an n-gram.
    fn before(&self, ngram: &[String]) -> f64 {
        let ends = |n: &&Vec<String>| n.len() == ngram.len() + 1 && n.ends_with(ngram);
        self.ngrams.keys().filter(ends).count() as f64
    }

    /// Distinct tokens after a context.
    fn after(&self, context: &[String]) -> BTreeSet<&String> {
        let begins = |n: &&Vec<String>| n.len() == context.len() + 1 && n.starts_with(context);
        self.ngrams.keys().filter(begins).filter_map(|ngram| ngram.last()).collect()
    }

    fn probability(&self, context: &[String], token: &str) -> f64 {
        if self.occurrences(context) == 0.0 {
            return self.probability(&context[1..], token);
        }
        let with = |token: &str| [context, &[token.to_owned()]].concat();
        let after = self.after(context);
        let count = |token: &str| match context.len() + 1 == self.order {
            true => self.ngrams.get(&with(token)).copied().unwrap_or(0.0),
            false => self.before(&with(token)),
        };
        let total: f64 = after.iter().map(|token| count(token)).sum();
        let shorter = match context {
            [] => 1.0 / (after.len() + 1) as f64,
            [_, rest @ ..] => self.probability(rest, token),
        };
        ((count(token) - 0.75).max(0.0) + 0.75 * after.len() as f64 * shorter) / total
    }
}

fn padded(order: usize, sentence: &[String]) -> Vec<String> {
    let begin = std::iter::repeat_n(BEGIN.to_owned(), order - 1);
    begin.chain(sentence.iter().cloned()).chain([END.to_owned()]).collect()
}

fn sentence() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[abcd]", 0..7)
}

fn sentences(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<String>>> {
    proptest::collection::vec(sentence(), n)
}

proptest! {
    #[test]
    fn the_model_is_the_plain_one(
        order in 1_usize..5,
        known in sentences(1..7),
        others in sentences(0..5),
        mut text in sentences(1..4),
    ) {
        text.push(["a", "strange", "b"].map(str::to_owned).to_vec());
        let index = SentenceIndex::new(order, known.iter().chain(&others));
        let all: Vec<usize> = (0..known.len()).collect();
        let ours = GrammarModel::new(&index, &all).probabilities(&index.questioned(&text));
        let plain = PlainModel::new(order, &known);
        let mut ours = ours.into_iter();
        for sentence in &text {
            let padded = padded(order, sentence);
            for at in order - 1..padded.len() {
                let expected = plain.probability(&padded[at + 1 - order..at], &padded[at]);
                let found = ours.next().unwrap();
                prop_assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
        prop_assert!(ours.next().is_none());
    }

    #[test]
    fn probabilities_after_any_context_sum_to_one(
        order in 1_usize..11,
        known in sentences(1..9),
        others in sentences(0..5),
        context in sentence(),
    ) {
        let index = SentenceIndex::new(order, known.iter().chain(&others));
        let all: Vec<usize> = (0..known.len()).collect();
        let model = GrammarModel::new(&index, &all);
        // The end of the sentence, the known vocabulary, and the unknown token.
        let at = context.len();
        let mut sum = model.probabilities(&index.questioned(std::slice::from_ref(&context)))[at];
        let words: BTreeSet<&String> = known.iter().flatten().collect();
        let unknown = "strange".to_owned();
        for word in words.into_iter().chain([&unknown]) {
            let sentence = [&context[..], std::slice::from_ref(word)].concat();
            let p = model.probabilities(&index.questioned(&[sentence]))[at];
            prop_assert!(p > 0.0 && p <= 1.0);
            sum += p;
        }
        prop_assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn equal_grammars_have_a_ratio_of_one(known in sentences(1..6), text in sentences(0..4)) {
        let index = SentenceIndex::new(LambdaG::ORDER, known.iter().chain(&known));
        let n = known.len();
        let (own, same): (Vec<usize>, Vec<usize>) = ((0..n).collect(), (n..2 * n).collect());
        let text = [index.questioned(&text)];
        let measure = LambdaG { references: 3, seed: 1 };
        let lambda = measure.scores(&index, &text, &own, &same).unwrap()[0];
        prop_assert!(lambda.abs() < 1e-9, "{lambda}");
    }

    #[test]
    fn any_text_is_masked_and_scored(text in "\\PC{0,60}", other in "(?s).{0,40}") {
        let masking = Masking::of(&[[text.as_str()], [other.as_str()]]);
        let sentences = masking.sentences(&text);
        prop_assert!(sentences.iter().all(|sentence| !sentence.is_empty()));
        prop_assert!(sentences.iter().flatten().all(|token| !token.is_empty()));
        let index = SentenceIndex::new(LambdaG::ORDER, &sentences);
        let all: Vec<usize> = (0..index.len()).collect();
        let likelihood =
            GrammarModel::new(&index, &all).log10_likelihood(&index.questioned(&sentences));
        prop_assert!(likelihood.is_finite() && likelihood <= 0.0);
    }
}

fn english() -> Masking {
    Masking::of(&[["It is what it is, and that is all there is to it."]])
}

fn masked(masking: &Masking, text: &str) -> Vec<String> {
    masking.sentences(text).iter().map(|sentence| sentence.join(" ")).collect()
}

#[test]
fn content_words_are_masked_and_grammar_is_kept() {
    let of = |text: &str| masked(&english(), text);
    assert_eq!(
        of("The Kettle boils LOUDLY; I don\u{2019}t like it!!! It boiled 2 litres (3.5 pints)."),
        ["the W Ws Wly ; i don't like it !!!", "it Wed D Ws ( D . D Ws ) ."]
    );
    assert_eq!(of("My sister's cat, running.\nno stop"), ["my W's W , Wing .", "no W"]);
    assert_eq!(
        of("It is\u{201c}so\u{201d} \u{1F600}\u{1F44D}\u{1F3FD} \u{20AC}!!!!!"),
        ["it is \" so \" S S S !!!"]
    );
    // Short words whose end is no ending, and words that Porter's rules spare.
    assert_eq!(of("red king bring need bus class"), ["W W W need W W"]);
    // A full stop inside a word or before a bracket ends no sentence.
    assert_eq!(
        of("e.g. this (is it?) \"No.\" Fine"),
        ["W . W .", "this ( is it ? )", "\" no . \"", "W"]
    );
    assert_eq!(of("... well"), ["...", "W"]);
    assert_eq!(of(" \n\t"), [""; 0]);
}

#[test]
fn other_languages_keep_what_most_authors_use() {
    let masking = Masking::of(&[
        ["La bouilloire siffle et la lampe est belle."],
        ["La radio est forte et elle marche."],
        ["Une lampe est une lampe."],
    ]);
    assert_eq!(
        masked(&masking, "La lampe est cassée 3 fois et tombée."),
        ["la lampe est W D W et W ."]
    );
    let chinese = Masking::of(&[["好书。好！"]]);
    assert_eq!(chinese.sentences("好书。好！").len(), 2);
}

#[test]
fn a_text_is_nearest_to_the_grammar_of_its_writer() {
    let hedging = [
        "It might perhaps be said that it was of some use to the others.",
        "Perhaps it would have been of more use to those who had a need for it.",
        "It could have been said that there was not much that it might be used for.",
        "It would perhaps have been of use if there had been a need for it.",
        "Perhaps it might have been said that it was not of much use.",
        "It might have been of some use to those who had been there.",
    ];
    let shouting = [
        "I love it and you have to get it for me and for you!!!",
        "You need this and you will love it and so will all of us!!!",
        "Get one now and get one for me and you will love me so much!!!",
        "I want this and I got it and you will get it for us!!!",
        "You have to get one for me and I will love it so much!!!",
        "I need one and you will need one and we will love it!!!",
    ];
    let plain = [
        "The lid is loose, the cord is short, the base is fine, the box is torn.",
        "The switch is stiff, the spout is wide, the handle is warm.",
        "The dial is small, the label is off, the seam is thin, the grip is good.",
        "The foot is bent, the manual is long, the colour is grey.",
        "The hinge is stiff, the screw is loose, the finish is dull.",
        "The weight is right, the lid is warm, the cord is fine.",
    ];
    let masking = Masking::of(&[hedging, shouting, plain]);
    let all = |texts: &[&str]| -> Vec<Vec<String>> {
        texts.iter().flat_map(|text| masking.sentences(text)).collect()
    };
    let authors = [hedging, shouting, plain];
    let sentences = authors.map(|texts| all(&texts[..5])).concat();
    assert_eq!(sentences.len(), 15);
    let index = SentenceIndex::new(LambdaG::ORDER, &sentences);
    let texts = authors.map(|texts| index.questioned(&all(&texts[5..])));
    let scores = |measure: LambdaG, author: usize| {
        let own: Vec<usize> = (5 * author..5 * author + 5).collect();
        let others: Vec<usize> = (0..15).filter(|number| !own.contains(number)).collect();
        measure.scores(&index, &texts, &own, &others).unwrap()
    };
    for author in 0..3 {
        let found = scores(LambdaG::default(), author);
        // Grammars of five sentences are too small for the sign of others' texts to mean much.
        for (writer, lambda) in found.iter().enumerate() {
            let is_own = writer == author;
            assert!(is_own || found[author] > lambda + 3.0, "{author}: {found:?}");
        }
        assert!(found[author] > 1.0, "{author}: {found:?}");
        assert_eq!(found, scores(LambdaG::default(), author));
        assert_ne!(found, scores(LambdaG { seed: 1, ..LambdaG::default() }, author));
    }
    let empty = [index.questioned(&all(&[""]))];
    assert_eq!(LambdaG::default().scores(&index, &empty, &[0], &[5, 6]).unwrap(), [0.0]);
}

#[test]
fn too_few_sentences_are_refused() {
    let sentences = split(&["a b".to_owned(), "c".to_owned()]);
    let index = SentenceIndex::new(LambdaG::ORDER, &sentences);
    let text = [index.questioned(&sentences)];
    let refused = |known: &[usize], reference: &[usize]| {
        let result = LambdaG::default().scores(&index, &text, known, reference);
        matches!(result, Err(Error::TooFew { .. }))
    };
    assert!(refused(&[], &[0, 1]));
    assert!(refused(&[0, 1], &[1]));
    assert!(refused(&[0], &[]));
    assert!(!refused(&[0], &[1]));
    assert!(SentenceIndex::new(LambdaG::ORDER, &[]).is_empty());
}

#[test]
fn calibrated_ratios_cost_less_than_none() {
    let same = [4.0, 7.5, 1.0, -0.5, 3.0, 9.0];
    let different = [-6.0, -2.0, 0.5, -4.0, -8.0, 1.5, -3.0, -5.0];
    let fitted = Calibration::fit(&same, &different).unwrap();
    let [of_same, of_different] =
        [&same[..], &different].map(|x| x.iter().map(|s| fitted.log10_lr(*s)).collect::<Vec<_>>());
    let cost = c_llr(&of_same, &of_different).unwrap();
    assert!(cost > 0.0 && cost < 0.6, "{cost}");
    // No information costs one bit, wrong ratios more.
    assert!((c_llr(&[0.0], &[0.0, 0.0]).unwrap() - 1.0).abs() < 1e-12);
    assert!(c_llr(&of_different, &of_same).unwrap() > 1.0);
    assert_near(c_llr(&[1.0], &[-1.0]).unwrap(), 1.1_f64.log2(), "ratios of ten");
    assert!(c_llr(&[400.0], &[-400.0]).unwrap() < 1e-12);
    assert_eq!(c_llr(&[], &[1.0]), None);
}

#[test]
fn a_calibration_needs_both_classes_and_finite_scores() {
    assert!(matches!(Calibration::fit(&[], &[1.0]), Err(Error::TooFew { .. })));
    assert!(matches!(Calibration::fit(&[1.0], &[]), Err(Error::TooFew { .. })));
    assert!(matches!(Calibration::fit(&[f64::NAN], &[1.0]), Err(Error::NotFinite { .. })));
    // Classes that a threshold separates, far apart or with equal scores, still have a fit.
    let apart = Calibration::fit(&[500.0, 900.0], &[-700.0]).unwrap();
    assert!(apart.log10_lr(600.0) > 0.0 && apart.log10_lr(-600.0) < 0.0, "{apart:?}");
    let equal = Calibration::fit(&[2.0, 2.0], &[2.0]).unwrap();
    assert!(equal.log10_lr(2.0).abs() < 1e-6, "{equal:?}");
}
