//! All overlap metrics over many pairs.

use rayon::prelude::*;
use serde_json::{Value, json};

use super::{Bleu, BleuCounts, Copied, Distinct, Meteor, MeteorVariant, Rouge};

/// A predicted text, its reference, and texts it may have copied from.
#[derive(Debug, Clone, Copy)]
pub struct TextPair<'a> {
    /// Predicted (generated) text.
    pub prediction: &'a str,
    /// Reference text, written by the user.
    pub reference: &'a str,
    /// The user's other texts, to count copies from them; `None` skips the count.
    pub history: Option<&'a [String]>,
    /// Other users' texts, to count copies from them; `None` skips the count.
    pub peers: Option<&'a [String]>,
}

/// Metrics of one pair.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct PairScores {
    /// ROUGE-1 and ROUGE-L.
    pub rouge: Rouge,
    /// Counts for BLEU; [`BleuCounts::sentence`] is the pair's own value.
    pub bleu: BleuCounts,
    /// METEOR in the variant of the [`Meteor`] that computed it.
    pub meteor: f64,
    /// 8-grams copied from the history.
    pub copied_from_history: Option<Copied>,
    /// 8-grams copied from peers.
    pub copied_from_peers: Option<Copied>,
}

/// Metrics over pairs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Scores {
    /// Metrics of each pair, in the given order.
    pub pairs: Vec<PairScores>,
    /// Means over pairs; 0 if there are none.
    pub rouge: Rouge,
    /// Corpus BLEU.
    pub bleu: Bleu,
    /// Mean over pairs; 0 if there are none.
    pub meteor: f64,
    /// Variant, and so the name, of [`Self::meteor`] and of the pairs' values.
    pub meteor_variant: MeteorVariant,
    /// Distinct-1 and distinct-2 of the predictions.
    pub distinct: Distinct,
    /// Sum over all pairs with a history.
    pub copied_from_history: Option<Copied>,
    /// Sum over all pairs with peers.
    pub copied_from_peers: Option<Copied>,
}

impl Scores {
    /// The scores over all pairs as a JSON object. The name of METEOR tells which data it used.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let bleu = self.bleu;
        let mut object = json!({
            "n": self.pairs.len(),
            "rouge1": self.rouge.rouge1,
            "rougeL": self.rouge.rouge_l,
            "bleu": bleu.score,
            "brevity_penalty": bleu.brevity_penalty,
            "length_ratio": bleu.length_ratio,
            "prediction_tokens": self.pairs.iter().map(|pair| pair.bleu.prediction_len).sum::<u64>(),
            "reference_tokens": self.pairs.iter().map(|pair| pair.bleu.reference_len).sum::<u64>(),
            self.meteor_variant.name(): self.meteor,
            "distinct1": self.distinct.distinct1,
            "distinct2": self.distinct.distinct2,
        });
        for (name, copied) in [
            ("copied_from_history", self.copied_from_history),
            ("copied_from_peers", self.copied_from_peers),
        ] {
            if let Some(copied) = copied {
                let Copied { n_copied, n_runs } = copied;
                object[name] =
                    json!({ "share": copied.share(), "n_copied": n_copied, "n_runs": n_runs });
            }
        }
        object
    }
}

/// Scores pairs in parallel; the result does not depend on the number of threads.
#[must_use]
pub fn score(pairs: &[TextPair], meteor: &Meteor) -> Scores {
    let of_pairs: Vec<PairScores> = pairs
        .par_iter()
        .map(|pair| PairScores {
            rouge: Rouge::of(pair.prediction, pair.reference),
            bleu: BleuCounts::of(pair.prediction, pair.reference),
            meteor: meteor.score(pair.prediction, pair.reference),
            copied_from_history: pair.history.map(|texts| Copied::of(pair.prediction, texts)),
            copied_from_peers: pair.peers.map(|texts| Copied::of(pair.prediction, texts)),
        })
        .collect();
    let mean = |value: fn(&PairScores) -> f64| mean(of_pairs.iter().map(value));
    let copied = |value: fn(&PairScores) -> Option<Copied>| {
        of_pairs.iter().filter_map(value).reduce(|a, b| [a, b].into_iter().sum())
    };
    Scores {
        rouge: Rouge {
            rouge1: mean(|pair| pair.rouge.rouge1),
            rouge_l: mean(|pair| pair.rouge.rouge_l),
        },
        bleu: of_pairs.iter().map(|pair| pair.bleu).sum::<BleuCounts>().corpus(),
        meteor: mean(|pair| pair.meteor),
        meteor_variant: meteor.variant(),
        distinct: Distinct::of(pairs.iter().map(|pair| pair.prediction)),
        copied_from_history: copied(|pair| pair.copied_from_history),
        copied_from_peers: copied(|pair| pair.copied_from_peers),
        pairs: of_pairs,
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len().max(1);
    values.sum::<f64>() / n as f64
}
