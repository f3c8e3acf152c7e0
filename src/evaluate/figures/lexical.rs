//! Lexical measures: generated texts against the real ones.

use std::collections::BTreeSet;

use super::Rows;
use crate::Result;
use crate::plan::{Case, Plan};
use crate::run::MethodOutcomes;
use crate::trial::Outcome;
use idiolect_core::corpus::{Store, View};
use idiolect_metrics::overlap::{BleuCounts, Distinct, Meteor, Pair, PairScores, score};

/// Texts that a generated text may have copied from.
pub struct LexicalInputs {
    /// The user's texts that methods may read, by index of the case.
    history: Vec<Vec<String>>,
    /// Other users' texts about the target's item and the items of `history`, by index of the case.
    peers: Vec<Vec<String>>,
}

impl LexicalInputs {
    /// Reads the texts of a plan's cases.
    ///
    /// # Errors
    /// Error if the store cannot be read.
    pub fn read(store: &Store, plan: &Plan) -> Result<Self> {
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
pub(crate) struct OfCorpus {
    /// BLEU counts of each text, with its user.
    pub(crate) bleu: Vec<(String, BleuCounts)>,
    pub(crate) distinct: Distinct,
}

/// Adds the lexical metrics to `rows`; the gain of the right history over a wrong one has the
/// suffix `_gain`, values without the title have the suffix `_neutral`. Also adds the judge's
/// ratings.
pub(crate) fn rows(
    plan: &Plan,
    outcomes: &MethodOutcomes,
    material: &LexicalInputs,
    meteor: &Meteor,
    rows: &mut Rows,
) -> OfCorpus {
    let right = scored(plan, outcomes, material, meteor, |outcome| &outcome.texts);
    let wrong = scored(plan, outcomes, material, meteor, |outcome| &outcome.wrong_texts);
    let neutral = scored(plan, outcomes, material, meteor, |outcome| &outcome.neutral_texts);
    let named = |scores: &PairScores| named(scores, meteor);
    for (number, scores) in right.iter().enumerate() {
        let user = &plan.cases[number].review.review.user;
        let judged = outcomes.cases[number].iter().flat_map(|outcome| &outcome.judged);
        judged.for_each(|share| rows.push("judge", user, *share));
        for (seed, scores) in scores.iter().enumerate() {
            let values = named(scores);
            if let Some(wrong) = wrong[number].get(seed) {
                for ((name, right), (_, wrong)) in values.iter().zip(named(wrong)) {
                    rows.push(&format!("{name}_gain"), user, right - wrong);
                }
            }
            values.iter().for_each(|(name, value)| rows.push(name, user, *value));
            rows.push("length_ratio", user, length_ratio(scores));
            let copied = [
                ("copied_from_history", scores.copied_from_history),
                ("copied_from_peers", scores.copied_from_peers),
            ];
            for (name, copied) in copied {
                if let Some(copied) = copied {
                    rows.push(name, user, copied.share().unwrap_or(0.0));
                }
            }
        }
        for scores in &neutral[number] {
            for (name, value) in named(scores) {
                rows.push(&format!("{name}_neutral"), user, value);
            }
        }
    }
    let bleu = right.iter().zip(&plan.cases).flat_map(|(scores, case)| {
        scores.iter().map(|scores| (case.review.review.user.clone(), scores.bleu))
    });
    let texts = outcomes.cases.iter().flatten().flat_map(|outcome| &outcome.texts);
    OfCorpus { bleu: bleu.collect(), distinct: Distinct::of(texts.map(String::as_str)) }
}

/// Scores by case and seed.
fn scored<'o>(
    plan: &Plan,
    outcomes: &'o MethodOutcomes,
    material: &LexicalInputs,
    meteor: &Meteor,
    texts: impl Fn(&'o Outcome) -> &'o Vec<String>,
) -> Vec<Vec<PairScores>> {
    let of_cases: Vec<&[String]> = outcomes
        .cases
        .iter()
        .map(|outcome| outcome.as_ref().map_or(&[][..], |outcome| texts(outcome).as_slice()))
        .collect();
    let pairs: Vec<Pair<'_>> = of_cases
        .iter()
        .enumerate()
        .flat_map(|(number, texts)| {
            texts.iter().map(move |text| Pair {
                prediction: text,
                reference: &plan.cases[number].review.review.text,
                history: Some(&material.history[number]),
                peers: Some(&material.peers[number]),
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
