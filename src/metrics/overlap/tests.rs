//! Golden values of the reference implementations, and properties on arbitrary texts.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::nltk_words::sentence_words;
use super::porter::stem;
use super::punkt::Punkt;
use super::python::split;
use super::tokens_13a::tokenized_13a;
use super::*;

#[derive(serde::Deserialize)]
struct Golden {
    files: Vec<HashMap<String, String>>,
    cases: Vec<Case>,
    corpora: Vec<Corpus>,
    cut: Vec<Cut>,
    stems: Vec<(String, String)>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    prediction: String,
    reference: String,
    rouge1: f64,
    #[serde(rename = "rougeL")]
    rouge_l: f64,
    sentence_bleu: f64,
    bleu_counts: [u64; 10],
    meteor: f64,
    meteor_no_punkt: f64,
    meteor_exact_stem: f64,
    meteor_no_punkt_whole: f64,
}

#[derive(serde::Deserialize)]
struct Corpus {
    start: usize,
    end: usize,
    score: f64,
    precisions: [f64; 4],
    brevity_penalty: f64,
    length_ratio: f64,
}

#[derive(serde::Deserialize)]
struct Cut {
    text: String,
    sentences: Vec<String>,
    sentences_untrained: Vec<String>,
    words: Vec<String>,
    tokens_13a: String,
}

impl Golden {
    fn load() -> Self {
        let golden: Self =
            serde_json::from_str(include_str!("../../../tests/golden/metrics.json")).unwrap();
        assert!(golden.cases.len() > 200 && golden.cut.len() > 200 && golden.stems.len() > 1000);
        golden
    }

    /// An NLTK data folder with a small WordNet and small Punkt parameters.
    fn data_folder(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in &self.files[0] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }
}

#[track_caller]
fn near(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() < 1e-6, "{what}: {ours}, expected {theirs}");
}

#[test]
fn rouge_is_rouge_scores() {
    for case in Golden::load().cases {
        let rouge = Rouge::of(&case.prediction, &case.reference);
        near(rouge.rouge1, case.rouge1, &case.name);
        near(rouge.rouge_l, case.rouge_l, &case.name);
    }
}

#[test]
fn bleu_is_sacrebleus() {
    let golden = Golden::load();
    let mut counts = Vec::new();
    for case in &golden.cases {
        let ours = BleuCounts::of(&case.prediction, &case.reference);
        let flat =
            [&ours.n_matches[..], &ours.n_predicted, &[ours.prediction_len, ours.reference_len]];
        assert_eq!(flat.concat(), case.bleu_counts, "{}", case.name);
        near(ours.sentence().score, case.sentence_bleu, &case.name);
        counts.push(ours);
    }
    for corpus in golden.corpora {
        let what = format!("pairs {} to {}", corpus.start, corpus.end);
        let ours = counts[corpus.start..corpus.end].iter().copied().sum::<BleuCounts>().corpus();
        near(ours.score, corpus.score, &what);
        near(ours.brevity_penalty, corpus.brevity_penalty, &what);
        near(ours.length_ratio, corpus.length_ratio, &what);
        for (ours, theirs) in ours.precisions.into_iter().zip(corpus.precisions) {
            near(ours, theirs, &what);
        }
    }
}

#[test]
fn meteor_is_nltks() {
    let golden = Golden::load();
    let folder = golden.data_folder();
    let full = Meteor::open(folder.path()).unwrap();
    let no_punkt = Meteor::open(&folder.path().join("corpora/wordnet")).unwrap();
    let exact_stem = Meteor::exact_stem();
    assert_eq!(full.variant(), MeteorVariant::Full);
    assert_eq!(no_punkt.variant(), MeteorVariant::NoPunkt);
    assert_eq!(exact_stem.variant(), MeteorVariant::ExactStem);
    for case in &golden.cases {
        let (prediction, reference) = (&case.prediction, &case.reference);
        near(full.score(prediction, reference), case.meteor, &case.name);
        near(no_punkt.score(prediction, reference), case.meteor_no_punkt, &case.name);
        near(exact_stem.score(prediction, reference), case.meteor_exact_stem, &case.name);
    }
    let differ = |a: fn(&Case) -> f64, b: fn(&Case) -> f64| {
        golden.cases.iter().filter(|case| (a(case) - b(case)).abs() > 1e-3).count()
    };
    assert!(differ(|case| case.meteor, |case| case.meteor_no_punkt) > 10);
    assert!(differ(|case| case.meteor_no_punkt, |case| case.meteor_exact_stem) > 10);
}

#[test]
fn meteor_with_the_whole_of_wordnet_is_nltks() {
    let folder = std::env::var_os("IDIOLECT_TEST_WORDNET")
        .map_or_else(|| PathBuf::from("/usr/share/wordnet"), PathBuf::from);
    if !folder.is_dir() {
        eprintln!(
            "skipped: no WordNet in {}; install wordnet-base or name it with IDIOLECT_TEST_WORDNET",
            folder.display()
        );
        return;
    }
    let meteor = Meteor::open(&folder).unwrap();
    for case in Golden::load().cases {
        let score = meteor.score(&case.prediction, &case.reference);
        near(score, case.meteor_no_punkt_whole, &case.name);
    }
}

#[test]
fn data_in_archives_is_the_same() {
    let golden = Golden::load();
    let (unpacked, packed) = (golden.data_folder(), tempfile::tempdir().unwrap());
    for (archive, prefix) in
        [("corpora/wordnet.zip", "corpora/"), ("tokenizers/punkt_tab.zip", "tokenizers/")]
    {
        let path = packed.path().join(archive);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        for (name, text) in &golden.files[0] {
            if let Some(inside) = name.strip_prefix(prefix) {
                zip.start_file(inside, zip::write::SimpleFileOptions::default()).unwrap();
                zip.write_all(text.as_bytes()).unwrap();
            }
        }
        zip.finish().unwrap();
    }
    let (unpacked, packed) =
        (Meteor::open(unpacked.path()).unwrap(), Meteor::open(packed.path()).unwrap());
    assert_eq!(packed.variant(), MeteorVariant::Full);
    for case in &golden.cases {
        let score = |meteor: &Meteor| meteor.score(&case.prediction, &case.reference).to_bits();
        assert_eq!(score(&unpacked), score(&packed), "{}", case.name);
    }
}

#[test]
fn data_that_is_absent_or_broken_is_named() {
    let golden = Golden::load();
    let says = |folder: &Path| Meteor::open(folder).unwrap_err().to_string();
    let empty = tempfile::tempdir().unwrap();
    assert!(says(empty.path()).contains("holds no WordNet"), "{}", says(empty.path()));
    for (name, from, to, expected) in [
        ("corpora/wordnet/data.verb", "", "", "index.verb"),
        ("corpora/wordnet/index.noun", "wolf n 1", "wolf n 2", "line 24: expected a lemma"),
        ("corpora/wordnet/data.noun", " 04 ", " 05 ", "index.noun"),
        ("corpora/wordnet/data.noun", "car 0 auto 0", "car 0 aut 0", "not that of a line"),
        ("tokenizers/punkt_tab/english/ortho_context.tab", "\t46", " 46", "ortho_context.tab"),
    ] {
        let folder = golden.data_folder();
        let path = folder.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let broken = if from.is_empty() { String::new() } else { text.replacen(from, to, 1) };
        assert_ne!(text, broken);
        std::fs::write(&path, broken).unwrap();
        let said = says(folder.path());
        assert!(said.contains(expected) && !said.contains('\n'), "{name}: {said}");
    }
    let folder = golden.data_folder();
    std::fs::remove_file(folder.path().join("corpora/wordnet/adj.exc")).unwrap();
    assert!(says(folder.path()).contains("reading adj.exc"), "{}", says(folder.path()));
}

#[test]
fn texts_are_cut_as_the_references_cut_them() {
    let golden = Golden::load();
    let file = |name: &str| &golden.files[0][&format!("tokenizers/punkt_tab/english/{name}")];
    let trained = Punkt::parse(
        file("abbrev_types.txt"),
        file("collocations.tab"),
        file("sent_starters.txt"),
        file("ortho_context.tab"),
    )
    .unwrap();
    let untrained = Punkt::default();
    for cut in &golden.cut {
        assert_eq!(untrained.sentences(&cut.text), cut.sentences_untrained, "{:?}", cut.text);
        let sentences = trained.sentences(&cut.text);
        assert_eq!(sentences, cut.sentences, "{:?}", cut.text);
        let words: Vec<String> = sentences.into_iter().flat_map(sentence_words).collect();
        assert_eq!(words, cut.words, "{:?}", cut.text);
        let tokens = tokenized_13a(&cut.text);
        let tokens: Vec<&str> = split(&tokens).collect();
        assert_eq!(tokens.join(" "), cut.tokens_13a, "{:?}", cut.text);
    }
    let parameters_matter = |cut: &&Cut| cut.sentences != cut.sentences_untrained;
    assert!(golden.cut.iter().filter(parameters_matter).count() > 10);
}

#[test]
fn stems_are_nltks() {
    for (word, expected) in Golden::load().stems {
        assert_eq!(stem(&word), expected, "{word}");
    }
}

#[test]
fn scores_of_all_pairs_are_those_of_each() {
    let golden = Golden::load();
    let history: Vec<String> = golden.cases.iter().map(|case| case.reference.clone()).collect();
    let pair = |case: &'static Case| TextPair {
        prediction: &case.prediction,
        reference: &case.reference,
        history: None,
        peers: None,
    };
    let cases: &'static [Case] = golden.cases.leak();
    let history: &'static [String] = history.leak();
    let pairs: Vec<TextPair> =
        cases.iter().map(|case| TextPair { history: Some(history), ..pair(case) }).collect();
    let meteor = Meteor::exact_stem();
    let scores = score(&pairs, &meteor);
    let n = cases.len() as f64;
    near(scores.rouge.rouge1, cases.iter().map(|case| case.rouge1).sum::<f64>() / n, "rouge1");
    near(scores.rouge.rouge_l, cases.iter().map(|case| case.rouge_l).sum::<f64>() / n, "rougeL");
    near(scores.meteor, cases.iter().map(|case| case.meteor_exact_stem).sum::<f64>() / n, "meteor");
    assert_eq!(scores.pairs.len(), cases.len());
    assert!(scores.copied_from_history.unwrap().n_copied > 0 && scores.copied_from_peers.is_none());
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one_thread.install(|| score(&pairs, &meteor)), scores);
}

proptest! {
    #[test]
    fn any_texts_have_scores(a in any_text(), b in any_text()) {
        let texts = [b.clone()];
        let pair = TextPair { prediction: &a, reference: &b, history: Some(&texts), peers: None };
        let scores = score(&[pair], &Meteor::exact_stem());
        for value in [scores.rouge.rouge1, scores.rouge.rouge_l, scores.meteor] {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&value), "{}", value);
        }
        prop_assert!((0.0..=100.0 + 1e-9).contains(&scores.bleu.score));
        let of_itself = Rouge::of(&a, &a);
        prop_assert!(of_itself.rouge1 >= scores.rouge.rouge1);
        let sentences = Punkt::default().sentences(&a);
        prop_assert!(sentences.iter().map(|sentence| sentence.len()).sum::<usize>() <= a.len());
    }
}

/// Texts with many characters that tokenizers treat specially.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-zA-Z]{1,6}",
        r#"[ .,?!'"`():;&\-\n0-9]{1,3}"#,
        Just("can't gonna d'ye U.S. «é» ‘’ &amp; ſ İ".to_owned()),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

#[test]
fn very_long_texts_take_no_longer_than_their_length() {
    let words = "The kettle is loud... it's \"fine\", Dr. Smith! ".repeat(5_000);
    let runs =
        [".".repeat(200_000), "' ".repeat(100_000), ". ".repeat(100_000), "a".repeat(500_000)];
    for text in runs.iter().chain([&words]) {
        let pair = TextPair { prediction: text, reference: text, history: None, peers: None };
        let scores = score(&[pair], &Meteor::exact_stem());
        assert!(scores.meteor > 0.49, "{}", scores.meteor);
    }
}
