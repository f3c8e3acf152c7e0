//! Evaluation of token rewards on users who were in no training: in how many pairs the guidance raises the
//! own text more than a peer's as long (policy accuracy).

use std::collections::BTreeSet;

use idiolect_metrics::statistics::{Settings as StatisticsSettings, sign_flip_p};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::PadSettings;
use super::head::PadHead;
use super::net::{HeadRows, TraceBatch};
use super::pairs::{PadInputs, PadPair, codes, draw_pairs};
use super::traces::{PairTraces, trace_pairs};
use super::trained_pad::{TracedPairs, key, train_on};
use crate::np::{
    EVALUATED, HeadPlace, NpHead, NpSettings, NpShare, StyleTexts, mean_share, train_head_on,
};
use crate::{Error, Result};

/// Kind of the rewards in the store; nobody writes with them.
const KIND: &str = "pad-evaluation";
/// Newest texts of a user that are judged, and peers of each.
const TARGETS: usize = 2;
const PEERS: usize = 2;
/// Most texts of a training user that are in pairs, and peers of each.
const MOST_TEXTS: usize = 4;
const MOST_PEERS: usize = 1;

/// Options of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PadEvaluationOptions {
    /// Most users to evaluate, drawn at random; at most half of those with pairs.
    pub users: usize,
    /// Seed of the choice of users.
    pub seed: u64,
}

/// One reward, evaluated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PadRow {
    /// Description.
    pub name: &'static str,
    /// Users in its training.
    pub training_users: usize,
    /// Best step, and validation loss there; `ln 2` is chance.
    pub best_step: u64,
    /// See `best_step`.
    pub validation_loss: f64,
    /// Share of pairs in which the own text is raised more.
    pub own: NpShare,
    /// p-value of the difference to a half, by sign flips over users.
    pub p: f64,
    /// The share with another user's gate; `None` without a gate.
    pub wrong: Option<NpShare>,
    /// p-value of the difference between the own gate and another's.
    pub p_wrong: Option<f64>,
}

/// Evaluation of token rewards on one corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PadEvaluation {
    /// Its options.
    pub options: PadEvaluationOptions,
    /// Settings of the plain reward.
    pub settings: PadSettings,
    /// Users evaluated.
    pub users: usize,
    /// Pairs evaluated.
    pub pairs: usize,
    /// Pairs trained on.
    pub training_pairs: usize,
    /// The rewards.
    pub rows: Vec<PadRow>,
}

/// Trains token rewards on all users but those drawn for evaluation: plain, gated by the reward head
/// `np`, and both with ownership shuffled. Traces and results are stored, so that the same evaluation again
/// computes nothing.
///
/// # Errors
/// [`Error::TooLittle`] if fewer than four users have pairs; [`Error::Stopped`]; or the store or the
/// language model fails.
pub async fn evaluate_pad(
    inputs: &PadInputs<'_>,
    options: &PadEvaluationOptions,
    (settings, np_settings): (&PadSettings, &NpSettings),
) -> Result<PadEvaluation> {
    let view = inputs.view;
    let texts = StyleTexts::read(view)?;
    let everybody: BTreeSet<usize> = (0..texts.n_users()).collect();
    let drawn = draw_pairs(view, &texts, &everybody, (usize::MAX, TARGETS, PEERS), settings)?;
    let mut users: Vec<String> = drawn.iter().map(|pair| pair.user.clone()).collect();
    users.sort_unstable();
    users.dedup();
    if users.len() < 4 {
        let (operation, what) = ("evaluate token rewards", "users with pairs");
        return Err(Error::TooLittle { operation, what, got: users.len(), needed: 4 });
    }
    users.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
    users.truncate(options.users.min(users.len() / 2).max(2));
    let judged: BTreeSet<&str> = users.iter().map(String::as_str).collect();
    let cases: Vec<PadPair> =
        drawn.into_iter().filter(|pair| judged.contains(pair.user.as_str())).collect();
    let among = (0..texts.n_users()).filter(|user| !judged.contains(texts.name_of(*user)));
    let amount = (settings.pairs, MOST_TEXTS, MOST_PEERS);
    let among: BTreeSet<usize> = among.collect();
    let pairs = draw_pairs(view, &texts, &among, amount, settings)?;
    let place = HeadPlace { view, kind: EVALUATED, progress: inputs.progress };
    let np = train_head_on(&texts, &among, np_settings, &place)?;
    let traces = trace_pairs(inputs, &pairs, settings).await?;
    let case_traces = trace_pairs(inputs, &cases, settings).await?;
    let of_users = CaseCodes::of(inputs, &users, &cases, &np)?;
    let mut rows = Vec::new();
    for (name, gated, shuffled) in [
        ("plain", false, false),
        ("gated by np", true, false),
        ("plain, owners shuffled", false, true),
        ("gated by np, owners shuffled", true, true),
    ] {
        let settings = PadSettings { gated, shuffled, ..settings.clone() };
        let np = Some(&np).filter(|_| gated);
        let codes = codes(view, &pairs, np)?;
        let traced = TracedPairs { pairs: &pairs, traces: &traces, codes: &codes };
        let key = key(inputs, KIND, &pairs, np, &settings)?;
        let head = train_on(inputs, &traced, np, &settings, (KIND, &key))?;
        let judge = |codes: &[Vec<f32>]| shares(inputs, &head, &users, &cases, &case_traces, codes);
        let none = vec![Vec::new(); cases.len()];
        let own = judge(if gated { &of_users.own } else { &none })?;
        let from_half: Vec<f64> = own.iter().map(|share| share - 0.5).collect();
        let statistics = StatisticsSettings::default();
        let wrong = if gated { Some(judge(&of_users.wrong)?) } else { None };
        let p_wrong = match &wrong {
            Some(wrong) => {
                let apart: Vec<f64> = own.iter().zip(wrong).map(|(a, b)| a - b).collect();
                Some(sign_flip_p(&apart, &statistics)?)
            }
            None => None,
        };
        rows.push(PadRow {
            name,
            training_users: head.training().users,
            best_step: head.training().best_step,
            validation_loss: head.training().validation_loss,
            own: mean_share(&own),
            p: sign_flip_p(&from_half, &statistics)?,
            wrong: wrong.as_deref().map(mean_share),
            p_wrong,
        });
    }
    Ok(PadEvaluation {
        options: *options,
        settings: settings.clone(),
        users: users.len(),
        pairs: cases.len(),
        training_pairs: pairs.len(),
        rows,
    })
}

/// z for each case: of its user, and of the next user in the drawn order.
struct CaseCodes {
    own: Vec<Vec<f32>>,
    wrong: Vec<Vec<f32>>,
}

impl CaseCodes {
    fn of(
        inputs: &PadInputs<'_>,
        users: &[String],
        cases: &[PadPair],
        np: &NpHead,
    ) -> Result<Self> {
        let own = codes(inputs.view, cases, Some(np))?;
        let wrong = cases.iter().map(|case| {
            let at = users.iter().position(|user| *user == case.user).unwrap_or(0);
            let other = &users[(at + 1) % users.len()];
            np.z_of_user(&case.view(inputs.view), other)
        });
        let wrong = wrong.collect::<Result<_>>()?;
        Ok(Self { own, wrong })
    }
}

/// By user: share of the pairs in which the own text is raised more; an equal raise counts half.
fn shares(
    inputs: &PadInputs<'_>,
    head: &PadHead,
    users: &[String],
    cases: &[PadPair],
    traces: &[PairTraces],
    codes: &[Vec<f32>],
) -> Result<Vec<f64>> {
    let rows = HeadRows::of(inputs.output_head, traces)?;
    let n_embd = inputs.output_head.dim(1)?;
    let mut sums = vec![(0.0, 0.0); users.len()];
    for ((case, traces), code) in cases.iter().zip(traces).zip(codes) {
        if traces.own.n() == 0 || traces.peer.n() == 0 {
            continue;
        }
        let batch = TraceBatch::new(&[(traces, code.as_slice(), false)], &rows, n_embd)?;
        let raises: Vec<f32> = head.net.raises(&batch, &rows)?.to_vec1()?;
        let right = match raises[0].total_cmp(&raises[1]) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let at = users.iter().position(|user| *user == case.user).unwrap_or(0);
        sums[at].0 += right;
        sums[at].1 += 1.0;
    }
    Ok(sums.into_iter().filter(|(_, n)| *n > 0.0).map(|(sum, n)| sum / n).collect())
}
