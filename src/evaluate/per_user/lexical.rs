//! Lexical measures: generated texts against the real ones.

use std::collections::BTreeSet;

use super::PerUserValues;
use crate::Result;
use crate::cases::CaseResult;
use crate::plan::{Case, Plan};
use crate::run::MethodResults;
use idiolect_core::corpus::{Store, View};
use idiolect_metrics::overlap::{BleuCounts, Distinct, Meteor, PairScores, TextPair, score};

/// Texts that a generated text may have copied from.
pub(crate) struct CopySources {
    /// The user's texts that methods may read, by index of the case.
    history: Vec<Vec<String>>,
    /// Other users' texts about the target's item and the items of `history`, by index of the case.
    peers: Vec<Vec<String>>,
}

impl CopySources {
    /// Reads the texts of a plan's cases.
    ///
    /// # Errors
    /// Error if the store cannot be read.
    pub(crate) fn read(store: &Store, plan: &Plan) -> Result<Self> {
        let (mut history, mut peers) = (Vec::new(), Vec::new());
        for Case { review, hidden, .. } in &plan.cases {
            let user = &review.review.user;
            let view = View::all(store).without_all(hidden.iter().copied());
            let own = view.history(user)?;
            let mut items: BTreeSet<&str> = own.iter().map(|r| r.review.item.as_str()).collect();
            items.insert(&review.review.item);
            let mut others = Vec::new();
            for item in items {
                let written = view.reviews_of(item)?;
                others.extend(written.into_iter().filter(|r| r.review.user != *user));
            }
            history.push(own.into_iter().map(|r| r.review.text).collect());
            peers.push(others.into_iter().map(|r| r.review.text).collect());
        }
        Ok(Self { history, peers })
    }
}

/// Inputs of figures over all texts together.
pub(crate) struct CorpusTotals {
    /// BLEU counts of each text, with its user.
    pub(crate) bleu: Vec<(String, BleuCounts)>,
    pub(crate) distinct: Distinct,
}

/// Adds the lexical metrics to `values`; the gain of the right history over a wrong one has the
/// suffix `_gain`, values without the title have the suffix `_neutral`. Also adds the judge's
/// ratings.
pub(crate) fn add_lexical(
    plan: &Plan,
    results: &MethodResults,
    sources: &CopySources,
    meteor: &Meteor,
    values: &mut PerUserValues,
) -> CorpusTotals {
    let right = scored(plan, results, sources, meteor, |result| &result.texts);
    let wrong = scored(plan, results, sources, meteor, |result| &result.wrong_texts);
    let neutral = scored(plan, results, sources, meteor, |result| &result.neutral_texts);
    let named = |scores: &PairScores| named(scores, meteor);
    for (number, scores) in right.iter().enumerate() {
        let user = &plan.cases[number].review.review.user;
        let judged = results.cases[number].iter().flat_map(|result| &result.judged);
        judged.for_each(|share| values.push("judge", user, *share));
        for (seed, scores) in scores.iter().enumerate() {
            let of_text = named(scores);
            if let Some(wrong) = wrong[number].get(seed) {
                for ((name, right), (_, wrong)) in of_text.iter().zip(named(wrong)) {
                    values.push(&format!("{name}_gain"), user, right - wrong);
                }
            }
            of_text.iter().for_each(|(name, value)| values.push(name, user, *value));
            values.push("length_ratio", user, length_ratio(scores));
            let copied = [
                ("copied_from_history", scores.copied_from_history),
                ("copied_from_peers", scores.copied_from_peers),
            ];
            for (name, copied) in copied {
                if let Some(copied) = copied {
                    values.push(name, user, copied.share().unwrap_or(0.0));
                }
            }
        }
        for scores in &neutral[number] {
            for (name, value) in named(scores) {
                values.push(&format!("{name}_neutral"), user, value);
            }
        }
    }
    let bleu = right.iter().zip(&plan.cases).flat_map(|(scores, case)| {
        scores.iter().map(|scores| (case.review.review.user.clone(), scores.bleu))
    });
    let texts = results.cases.iter().flatten().flat_map(|result| &result.texts);
    CorpusTotals { bleu: bleu.collect(), distinct: Distinct::of(texts.map(String::as_str)) }
}

/// Scores by case and seed.
fn scored<'o>(
    plan: &Plan,
    results: &'o MethodResults,
    sources: &CopySources,
    meteor: &Meteor,
    texts: impl Fn(&'o CaseResult) -> &'o Vec<String>,
) -> Vec<Vec<PairScores>> {
    let of_cases: Vec<&[String]> = results
        .cases
        .iter()
        .map(|result| result.as_ref().map_or(&[][..], |result| texts(result).as_slice()))
        .collect();
    let pairs: Vec<TextPair<'_>> = of_cases
        .iter()
        .enumerate()
        .flat_map(|(number, texts)| {
            texts.iter().map(move |text| TextPair {
                prediction: text,
                reference: &plan.cases[number].review.review.text,
                history: Some(&sources.history[number]),
                peers: Some(&sources.peers[number]),
            })
        })
        .collect();
    let mut scores = score(&pairs, meteor).pairs.into_iter();
    of_cases.iter().map(|texts| scores.by_ref().take(texts.len()).collect()).collect()
}

fn named(scores: &PairScores, meteor: &Meteor) -> [(&'static str, f64); 4] {
    [
        ("rouge1", scores.rouge.rouge1),
        ("rougeL", scores.rouge.rouge_l),
        (meteor.variant().name(), scores.meteor),
        ("bleu_sentence", scores.bleu.sentence().score),
    ]
}

/// Length of the text divided by that of the real one, in BLEU tokens.
fn length_ratio(scores: &PairScores) -> f64 {
    scores.bleu.prediction_len as f64 / scores.bleu.reference_len.max(1) as f64
}
