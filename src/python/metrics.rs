//! Metrics of predicted texts.

use std::path::PathBuf;

use idiolect_metrics::overlap::{Meteor, TextPair, has_words_unseen_by_rouge, score};
use pyo3::prelude::*;
use serde_json::json;

use crate::failure::CallFailure;
use crate::progress::CallProgress;

/// Compares predicted texts with reference texts: the object of `idiolect metrics --json`, and the values of
/// each pair.
#[pyfunction]
#[pyo3(signature = (predictions, references, history=None, peers=None, wordnet=None))]
pub(crate) fn metrics(
    py: Python<'_>,
    predictions: Vec<String>,
    references: Vec<String>,
    history: Option<Vec<Vec<String>>>,
    peers: Option<Vec<Vec<String>>>,
    wordnet: Option<PathBuf>,
) -> PyResult<String> {
    CallProgress::run(py, None, |_| {
        let n = predictions.len();
        if n == 0 {
            return Err(CallFailure::argument("there are no predictions"));
        }
        let lengths = [
            ("references", Some(references.len())),
            ("history", history.as_ref().map(Vec::len)),
            ("peers", peers.as_ref().map(Vec::len)),
        ];
        for (what, length) in lengths {
            if length.is_some_and(|length| length != n) {
                let length = length.unwrap_or_default();
                let message =
                    format!("{n} predictions and {length} {what}; give one for each prediction");
                return Err(CallFailure::argument(message));
            }
        }
        let meteor = match &wordnet {
            Some(folder) => Meteor::open(folder)?,
            None => Meteor::exact_stem(),
        };
        let pairs: Vec<TextPair<'_>> = predictions
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
        let mut object = scores.to_json();
        let unseen = pairs.iter().filter(|pair| {
            [pair.prediction, pair.reference].into_iter().any(has_words_unseen_by_rouge)
        });
        object["pairs_unseen_by_rouge"] = json!(unseen.count());
        let of_pairs: Vec<_> = scores
            .pairs
            .iter()
            .map(|pair| {
                json!({
                    "rouge1": pair.rouge.rouge1,
                    "rougeL": pair.rouge.rouge_l,
                    "bleu": pair.bleu.sentence().score,
                    scores.meteor_variant.name(): pair.meteor,
                })
            })
            .collect();
        Ok(json!({ "scores": object, "pairs": of_pairs }).to_string())
    })
}
