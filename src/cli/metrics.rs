//! `idiolect metrics`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use idiolect::evaluate::metrics::{
    COPIED_WORDS, Meteor, MeteorVariant, Scores, TextPair, has_words_unseen_by_rouge, score,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::context::Context;
use super::output;

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// File with the predicted texts, one JSON string per line
    #[arg(long, value_name = "FILE")]
    predictions: PathBuf,
    /// File with the reference texts, in the order of the predictions
    #[arg(long, value_name = "FILE")]
    references: PathBuf,
    /// File with the user's other texts, one JSON list of strings per line; give it to measure what
    /// share of each prediction is copied from them
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// File with the texts of other users, in the same form; give it to measure copying from them
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
    /// Folder of WordNet (of Debian's `wordnet-base`: /usr/share/wordnet) or of NLTK's data; without
    /// it METEOR knows no synonyms
    #[arg(long, env = "IDIOLECT_WORDNET", value_name = "DIR")]
    wordnet: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
ROUGE equals rouge-score 0.1.2 (f-measure, no stemmer), BLEU equals sacrebleu 2.5.1 (13a, exp).
The name of METEOR tells which data it used; values under different names are not comparable:
  meteor             as NLTK: WordNet and Punkt's English parameters (NLTK's data folder with
                     corpora/wordnet and tokenizers/punkt_tab)
  meteor_no_punkt    WordNet only: every abbreviation ends a sentence
  meteor_exact_stem  no data: equal words and equal stems

Examples:
  idiolect metrics --predictions p.jsonl --references r.jsonl
  idiolect metrics --predictions p.jsonl --references r.jsonl --wordnet ~/nltk_data --json";

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let predictions: Vec<String> = read(&args.predictions, A_STRING)?;
    let references: Vec<String> = read(&args.references, A_STRING)?;
    same_length(&args.predictions, predictions.len(), &args.references, references.len())?;
    if predictions.is_empty() {
        bail!(
            "{} has no lines; write one text per line, each as a JSON string",
            args.predictions.display()
        );
    }
    let lists = |path: &Option<PathBuf>| -> anyhow::Result<Option<Vec<Vec<String>>>> {
        let Some(path) = path else { return Ok(None) };
        let lists = read(path, A_LIST)?;
        same_length(&args.predictions, predictions.len(), path, lists.len())?;
        Ok(Some(lists))
    };
    let (history, peers) = (lists(&args.history)?, lists(&args.peers)?);
    let meteor = match &args.wordnet {
        Some(folder) => Meteor::open(folder).context("--wordnet")?,
        None => Meteor::exact_stem(),
    };
    let pairs: Vec<TextPair> = predictions
        .iter()
        .zip(&references)
        .enumerate()
        .map(|(i, (prediction, reference))| TextPair {
            prediction,
            reference,
            history: history.as_ref().map(|lists| lists[i].as_slice()),
            peers: peers.as_ref().map(|lists| lists[i].as_slice()),
        })
        .collect();
    let scores = score(&pairs, &meteor);
    let unseen = |pair: &&TextPair<'_>| {
        [pair.prediction, pair.reference].into_iter().any(has_words_unseen_by_rouge)
    };
    let n_unseen = pairs.iter().filter(unseen).count();
    if n_unseen > 0 {
        output::note(&format!("{n_unseen} of {} pairs {ROUGE_SEES_ASCII}", pairs.len()));
    }
    if context.globals.json {
        let mut object = scores.to_json();
        object["pairs_unseen_by_rouge"] = json!(n_unseen);
        return output::json(&object);
    }
    output::text(&table(&scores))
}

/// Warning about texts in other scripts, after their number.
pub(crate) const ROUGE_SEES_ASCII: &str = "have letters or digits beyond ASCII, which ROUGE does not see (as rouge-score); of texts in another \
     script it says nothing, so take BLEU, METEOR and distinct";

fn table(scores: &Scores) -> String {
    let bleu = scores.bleu;
    let meteor = match scores.meteor_variant {
        MeteorVariant::Full => "NLTK's: exact, stem, WordNet",
        MeteorVariant::NoPunkt => "exact, stem, WordNet; no Punkt parameters",
        MeteorVariant::ExactStem => "exact and stem only; --wordnet DIR adds synonyms",
    };
    let mut rows = vec![
        ("n", scores.pairs.len().to_string(), "pairs".to_owned()),
        ("rouge1", four(scores.rouge.rouge1), "f-measure, no stemmer; ASCII only".to_owned()),
        ("rougeL", four(scores.rouge.rouge_l), "f-measure, no stemmer; ASCII only".to_owned()),
        ("bleu", four(bleu.score), "of the corpus, 0 to 100; 13a, exp, cased".to_owned()),
        ("brevity_penalty", four(bleu.brevity_penalty), "part of bleu".to_owned()),
        (
            "length_ratio",
            four(bleu.length_ratio),
            "predicted tokens over reference tokens (13a)".to_owned(),
        ),
        (scores.meteor_variant.name(), four(scores.meteor), meteor.to_owned()),
        ("distinct1", four(scores.distinct.distinct1), "distinct words over words".to_owned()),
        ("distinct2", four(scores.distinct.distinct2), "distinct pairs over words".to_owned()),
    ];
    for (name, copied) in [
        ("copied_from_history", scores.copied_from_history),
        ("copied_from_peers", scores.copied_from_peers),
    ] {
        if let Some(copied) = copied {
            let note =
                format!("{} of {} runs of {COPIED_WORDS} words", copied.n_copied, copied.n_runs);
            rows.push((name, copied.share().map_or("-".to_owned(), four), note));
        }
    }
    rows.iter().map(|(name, value, note)| format!("{name:<19} {value:>9}  {note}\n")).collect()
}

fn four(value: f64) -> String {
    format!("{value:.4}")
}

/// Expected contents of a line, for error messages.
const A_STRING: &str = "a JSON string, such as \"It hums.\"";
const A_LIST: &str = "a JSON list of strings, such as [\"It hums.\"]";

/// Reads a file with one JSON value per line.
fn read<T: DeserializeOwned>(path: &Path, expected: &str) -> anyhow::Result<Vec<T>> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let lines = bytes.split(|&byte| byte == b'\n').zip(1..);
    lines
        .map(|(line, number)| {
            serde_json::from_slice(line).map_err(|_| {
                anyhow::anyhow!(
                    "{}, line {number}: expected {expected}, got {}",
                    path.display(),
                    found(line)
                )
            })
        })
        .collect()
}

/// Describes a line that has other contents than expected.
fn found(line: &[u8]) -> String {
    if line.trim_ascii().is_empty() {
        return "an empty line".to_owned();
    }
    match serde_json::from_slice(line) {
        Ok(Value::Null) => "null".to_owned(),
        Ok(Value::Bool(_)) => "a truth value".to_owned(),
        Ok(Value::Number(_)) => "a number".to_owned(),
        Ok(Value::String(_)) => "a string".to_owned(),
        Ok(Value::Array(_)) => "a list".to_owned(),
        Ok(Value::Object(_)) => "an object".to_owned(),
        Err(error) => {
            let message = error.to_string();
            let reason = message.split(" at line").next().unwrap_or_default();
            format!("invalid JSON ({reason}, column {})", error.column())
        }
    }
}

fn same_length(a: &Path, n_a: usize, b: &Path, n_b: usize) -> anyhow::Result<()> {
    if n_a != n_b {
        bail!(
            "{} has {n_a} lines and {} has {n_b}; write one line per prediction, in the same order",
            a.display(),
            b.display()
        );
    }
    Ok(())
}
