//! Whether the draft that a trained reward likes best is closer to its user than any of the drafts, by
//! measures that the reward does not contain.
//!
//! For each pair of users on one item both get N drafts. Closeness is that of the swap test: to the user's
//! own held-out texts minus to the other's. The draft picked with the user's own pairs, and the one
//! picked with another user's, are compared with all drafts of the same N.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::cases::{EvalContext, method_error, neutral};
use super::encoder_space::EncoderSpace;
use super::plan::{Plan, SwapCase};
use super::run::CaseProgress;
use super::{Error, Result};
use idiolect_core::corpus::StoredReview;
use idiolect_core::difference::SentenceVectors;
use idiolect_core::methods::{self, Given, History, Method, MethodOptions, TextReward};
use idiolect_engine::progress::{Progress, ProgressStage};
use idiolect_metrics::statistics::{Estimate, Settings, mean_of_pairs, sign_flip_p};
use idiolect_metrics::stylometry::{Delta, Features, StyleSpace};

/// Number of pairs for which drafts are written concurrently.
const CONCURRENT_PAIRS: usize = 2;
/// Number of character trigrams that Delta uses.
const TRIGRAMS: usize = 500;

/// A pick by one measure: the share of pairs whose texts are closer to their own user than crosswise, and
/// the margin of closeness.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BestOfPick {
    /// Share of pairs in the right order, a tie counted as half.
    pub accuracy: Estimate,
    /// That share minus the one of all drafts.
    pub accuracy_gain: Estimate,
    /// p-value of this difference, by sign flips over pairs.
    pub p_accuracy: f64,
    /// Closeness to the own user beyond that to the other, minus that of all drafts, in standard
    /// deviations of the drafts of a user.
    pub margin_gain: Estimate,
    /// p-value of this difference.
    pub p_margin: f64,
}

/// Figures of one measure of closeness.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BestOfMeasure {
    /// The measure.
    pub name: &'static str,
    /// Share of pairs in the right order with drafts taken at random.
    pub random: Estimate,
    /// Drafts picked with the user's own pairs.
    pub own: BestOfPick,
    /// Drafts picked with another user's pairs.
    pub wrong: BestOfPick,
}

/// Result of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BestOfEvaluation {
    /// The method.
    pub method: Method,
    /// Number of drafts of each user.
    pub drafts: usize,
    /// Number of pairs.
    pub pairs: usize,
    /// By measure of closeness.
    pub measures: Vec<BestOfMeasure>,
}

/// The drafts of a pair's users, and what is known of each.
struct PairDrafts<'p> {
    swap: &'p SwapCase,
    /// By user.
    drafts: [Vec<String>; 2],
    /// Index of the draft picked with the own pairs, by user.
    own: [usize; 2],
    /// With another user's pairs.
    wrong: [usize; 2],
    /// Log-probability per token under the held-out texts of each reader: `[writer][reader][draft]`.
    read: [[Vec<f64>; 2]; 2],
}

/// Writes drafts for each pair of the plan and compares picks with all drafts. Everything that is written
/// and scored is stored, so that a stopped call is continued by the next one. `encoder` is a further
/// measure; it must have chosen nothing in the plan or the method.
///
/// # Errors
/// Error if the context has no reward or the plan has fewer than two pairs; [`Error::Stopped`]; or the
/// error of a text.
pub async fn evaluate_best_of(
    context: &EvalContext<'_>,
    plan: &Plan,
    method: Method,
    n_drafts: usize,
    encoder: Option<&dyn SentenceVectors>,
    progress: &dyn Progress,
) -> Result<BestOfEvaluation> {
    let n_pairs = plan.swaps.len();
    if n_pairs < 2 {
        let (operation, what) = ("compare drafts", "pairs of users who wrote about one item");
        let (got, needed) = (n_pairs, 2);
        return Err(idiolect_metrics::Error::TooFew { operation, what, got, needed }.into());
    }
    let stage = ProgressStage::begin(progress, "writing drafts", Some(n_pairs as u64));
    let quiet = CaseProgress(progress);
    let pairs = (0..n_pairs).map(async |at| {
        // The users of the next pair, who have nothing to do with this one.
        let others = &plan.swaps[(at + 1) % n_pairs];
        let drafts =
            pair_drafts(context, plan, (method, n_drafts), (&plan.swaps[at], others), &quiet)
                .await?;
        stage.advance(1);
        if stage.stop_requested() { Err(Error::Stopped) } else { Ok(drafts) }
    });
    let pairs: Vec<Option<PairDrafts<'_>>> =
        stream::iter(pairs).buffered(CONCURRENT_PAIRS).try_collect().await?;
    let pairs: Vec<PairDrafts<'_>> = pairs.into_iter().flatten().collect();
    let settings = Settings { seed: plan.options.seed, ..Settings::default() };
    let mut measures = vec![measure(
        "likelihood",
        &pairs,
        |pair, writer, reader, draft| pair.read[writer][reader][draft],
        &settings,
    )?];
    let population: Vec<&str> =
        plan.own.values().flatten().map(|stored| stored.review.text.as_str()).collect();
    let trigrams = Delta::fit(Features::Trigrams(TRIGRAMS), &population)?;
    measures.push(in_space("trigrams", &trigrams, plan, &pairs, &settings)?);
    if let Some(encoder) = encoder {
        let written = pairs.iter().flat_map(|pair| pair.drafts.iter().flatten());
        let texts = written.map(String::as_str).chain(population.iter().copied());
        let space = EncoderSpace::of(encoder, texts)?;
        measures.push(in_space("encoder", &space, plan, &pairs, &settings)?);
    }
    Ok(BestOfEvaluation { method, drafts: n_drafts, pairs: pairs.len(), measures })
}

/// Drafts for both users of a pair; `None` if one of them has no past text.
async fn pair_drafts<'p>(
    context: &EvalContext<'_>,
    plan: &Plan,
    (method, n_drafts): (Method, usize),
    (swap, others): (&'p SwapCase, &SwapCase),
    progress: &dyn Progress,
) -> Result<Option<PairDrafts<'p>>> {
    let users = [&swap.pair.a, &swap.pair.b];
    let strangers = [&others.pair.a, &others.pair.b];
    let view = context.swap_view(plan, swap)?;
    let inputs = context.material(view.clone(), progress);
    let mut drafts: [Vec<String>; 2] = Default::default();
    let (mut own, mut wrong) = ([0; 2], [0; 2]);
    for (at, user) in users.into_iter().enumerate() {
        let fail = |source| method_error(method, user, &swap.item, source);
        let target = neutral(user, swap);
        let options = one_draft(context, 0);
        let prepared = match method.prepare(&inputs, &target, &options).await {
            Ok(prepared) => prepared,
            Err(methods::Error::NoHistory { .. }) => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        for draw in 0..n_drafts {
            let options = one_draft(context, draw as u64);
            let written = prepared.clone().write(&inputs, &options, None).await.map_err(fail)?;
            drafts[at].push(written.text);
        }
        let none = || methods::Error::NoReward { method: method.name() };
        let reward = context.reward.ok_or_else(none).map_err(fail)?;
        let texts: Vec<&str> = drafts[at].iter().map(String::as_str).collect();
        let pick = |user: &str, reward: &dyn TextReward| {
            let rewards = reward.rewards(&view, user, &texts).map_err(|source| {
                fail(methods::Error::Reward { user: user.to_owned(), n: texts.len(), source })
            })?;
            Ok::<usize, Error>(first_of_the_greatest(&rewards))
        };
        own[at] = pick(user, reward)?;
        wrong[at] = pick(strangers[at], reward)?;
    }
    let mut read: [[Vec<f64>; 2]; 2] = Default::default();
    for (writer, texts) in drafts.iter().enumerate() {
        let given: Vec<Given<'_>> = texts.iter().map(|text| Given::from(text.as_str())).collect();
        for (reader, user) in users.into_iter().enumerate() {
            read[writer][reader] = context.read_by(plan, swap, user, &given, progress).await?;
        }
    }
    Ok(Some(PairDrafts { swap, drafts, own, wrong, read }))
}

fn one_draft(context: &EvalContext<'_>, draw: u64) -> MethodOptions {
    let seed = context.options.seed.wrapping_add(draw);
    let mut options = context.options(History::Own, seed);
    options.idiolect.best_of = 1;
    options
}

fn first_of_the_greatest(values: &[f32]) -> usize {
    (0..values.len()).rev().max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0)
}

/// Figures by the similarity to the users' held-out texts in a space of style.
fn in_space(
    name: &'static str,
    space: &dyn StyleSpace,
    plan: &Plan,
    pairs: &[PairDrafts<'_>],
    settings: &Settings,
) -> Result<BestOfMeasure> {
    let texts = |reviews: &'_ [StoredReview]| -> Vec<String> {
        reviews.iter().map(|stored| stored.review.text.clone()).collect()
    };
    let mut own = BTreeMap::new();
    for (user, reviews) in &plan.own {
        let texts = texts(reviews);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        own.insert(user.as_str(), space.profile(&texts));
    }
    measure(
        name,
        pairs,
        |pair, writer, reader, draft| {
            let user = [pair.swap.pair.a.as_str(), pair.swap.pair.b.as_str()][reader];
            let Some(own) = own.get(user) else { return 0.0 };
            space.similarity(&space.profile(&[&pair.drafts[writer][draft]]), own)
        },
        settings,
    )
}

/// Figures by a closeness of a draft to a reader: pair, writer, reader, draft.
fn measure(
    name: &'static str,
    pairs: &[PairDrafts<'_>],
    closeness: impl Fn(&PairDrafts<'_>, usize, usize, usize) -> f64,
    settings: &Settings,
) -> Result<BestOfMeasure> {
    // Closeness to the own user minus that to the other: `[pair][writer][draft]`.
    let margins: Vec<[Vec<f64>; 2]> = pairs
        .iter()
        .map(|pair| {
            [0, 1].map(|writer| {
                let margin = |draft: usize| {
                    let to = |reader| closeness(pair, writer, reader, draft);
                    to(writer) - to(1 - writer)
                };
                (0..pair.drafts[writer].len()).map(margin).collect()
            })
        })
        .collect();
    let spread = spread(&margins);
    let all: Vec<f64> = margins.iter().map(|[a, b]| share_of_all(a, b)).collect();
    let named = |values: &[f64]| -> Vec<(String, String, f64)> {
        let of = |(pair, value): (&PairDrafts<'_>, &f64)| {
            (pair.swap.pair.a.clone(), pair.swap.pair.b.clone(), *value)
        };
        pairs.iter().zip(values).map(of).collect()
    };
    let mean = |values: &[f64]| -> Result<Estimate> {
        let named = named(values);
        let named: Vec<(&str, &str, f64)> =
            named.iter().map(|(a, b, value)| (a.as_str(), b.as_str(), *value)).collect();
        Ok(mean_of_pairs(&named, settings)?)
    };
    let pick = |chosen: fn(&PairDrafts<'_>) -> [usize; 2]| -> Result<BestOfPick> {
        let (mut right, mut gain, mut margin) = (Vec::new(), Vec::new(), Vec::new());
        for ((pair, [a, b]), all) in pairs.iter().zip(&margins).zip(&all) {
            let [of_a, of_b] = chosen(pair);
            let correct = correct(a[of_a] + b[of_b]);
            right.push(correct);
            gain.push(correct - all);
            margin.push((a[of_a] + b[of_b] - average(a) - average(b)) / spread);
        }
        Ok(BestOfPick {
            accuracy: mean(&right)?,
            accuracy_gain: mean(&gain)?,
            p_accuracy: sign_flip_p(&gain, settings)?,
            margin_gain: mean(&margin)?,
            p_margin: sign_flip_p(&margin, settings)?,
        })
    };
    Ok(BestOfMeasure {
        name,
        random: mean(&all)?,
        own: pick(|pair| pair.own)?,
        wrong: pick(|pair| pair.wrong)?,
    })
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Standard deviation of the margins of a user's drafts around their mean; 1 if all are equal.
fn spread(margins: &[[Vec<f64>; 2]]) -> f64 {
    let (mut squares, mut n) = (0.0, 0);
    for drafts in margins.iter().flatten() {
        let mean = average(drafts);
        squares += drafts.iter().map(|margin| (margin - mean).powi(2)).sum::<f64>();
        n += drafts.len().saturating_sub(1);
    }
    let spread = (squares / n.max(1) as f64).sqrt();
    if spread > 0.0 { spread } else { 1.0 }
}

/// 1 if two texts are closer as assigned, 0 if they are closer exchanged, 0.5 for a tie.
fn correct(margin: f64) -> f64 {
    match margin.partial_cmp(&0.0) {
        Some(std::cmp::Ordering::Greater) => 1.0,
        Some(std::cmp::Ordering::Less) => 0.0,
        _ => 0.5,
    }
}

/// Share of right orders over all pairs of drafts.
fn share_of_all(a: &[f64], b: &[f64]) -> f64 {
    let all = a.iter().flat_map(|a| b.iter().map(move |b| correct(a + b)));
    all.sum::<f64>() / (a.len() * b.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_drafts_count_alike_and_ties_as_half() {
        assert_eq!(share_of_all(&[1.0, -1.0], &[2.0, -1.0]), (1.0 + 0.5 + 1.0) / 4.0);
        assert_eq!(first_of_the_greatest(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(spread(&[[vec![1.0, 3.0], vec![2.0, 2.0]]]), 1.0);
        assert_eq!(spread(&[[vec![2.0, 2.0], vec![2.0]]]), 1.0);
    }
}
