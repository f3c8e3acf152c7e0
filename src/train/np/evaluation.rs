//! Evaluation of reward heads on users who were not in the training: how often the own text of two on
//! one item gets the higher score.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use idiolect_core::corpus::View;
use idiolect_engine::progress::Progress;
use idiolect_metrics::statistics::{Settings as StatisticsSettings, sign_flip_p};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::draws::MAX_CONTEXT;
use super::head::NpHead;
use super::texts::{StylePair, StyleTexts};
use super::trained_head::{HeadPlace, train_on};
use super::{NpSettings, PeerLength};
use crate::{Error, Result};

/// Numbers of pairs that are shown.
const CONTEXTS: [usize; 5] = [0, 1, 2, 4, MAX_CONTEXT];
/// Newest texts of a user that are judged.
const TARGETS: usize = 2;
/// Peers' texts that each of them is judged against.
const PEERS: usize = 4;
/// Kind of the heads in the store; nobody writes with them.
pub(crate) const KIND: &str = "np-evaluation";

/// Options of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NpEvaluationOptions {
    /// Most users to evaluate, drawn at random; at most half of those with enough texts.
    pub users: usize,
    /// Least number of texts that can be paired, of a user to evaluate.
    pub min_texts: usize,
    /// Seed of the choice of users, and of all pairs.
    pub seed: u64,
}

impl Default for NpEvaluationOptions {
    fn default() -> Self {
        Self { users: 120, min_texts: 6, seed: 42 }
    }
}

/// Share of pairs in which the own text got the higher score, averaged over users; an equal score
/// counts half.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NpShare {
    /// Mean over users, 0 to 1.
    pub share: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// One head, evaluated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NpRow {
    /// Description of the head.
    pub name: &'static str,
    /// Settings of the head.
    pub settings: NpSettings,
    /// Users in its training.
    pub training_users: usize,
    /// Users evaluated.
    pub users: usize,
    /// Numbers of known pairs and the shares with them.
    pub by_pairs: Vec<(usize, NpShare)>,
    /// Share with the most pairs, of another user.
    pub wrong: NpShare,
    /// p-value of the difference between the user's own pairs and another user's, by sign flips over
    /// users.
    pub p: f64,
    /// Standard deviation over users of the values of z, averaged; near 0 if z says nothing.
    pub spread_of_z: f64,
}

/// Evaluation of heads on one corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NpEvaluation {
    /// Its options.
    pub options: NpEvaluationOptions,
    /// The heads.
    pub rows: Vec<NpRow>,
}

/// Trains heads on the visible texts of all users but those drawn for evaluation, and evaluates them:
/// against any peers and against peers as long, each also with shuffled owners, and without values of
/// length. Of a user, the two newest texts are judged, each against up to four peers' texts on its
/// item; the pairs that are known are of older texts. Heads are stored, so that the same evaluation
/// again trains none.
///
/// # Errors
/// [`Error::TooLittle`] if fewer than four users have enough texts; [`Error::Stopped`]; or the store
/// fails.
pub fn evaluate_np(
    view: &View<'_>,
    options: &NpEvaluationOptions,
    settings: &NpSettings,
    progress: &dyn Progress,
) -> Result<NpEvaluation> {
    let texts = StyleTexts::read(view)?;
    let place = HeadPlace { view, kind: KIND, progress };
    let mut rows = Vec::new();
    for peers in [PeerLength::Any, PeerLength::Matched] {
        let settings = NpSettings { peers, ..settings.clone() };
        let cases = NpCase::choose(&texts, peers, options)?;
        let evaluated: BTreeSet<usize> = cases.iter().map(|case| case.user).collect();
        let among = (0..texts.users.len()).filter(|user| !evaluated.contains(user)).collect();
        let without_length = NpSettings { length: false, ..settings.clone() };
        let shuffled = NpSettings { shuffled: true, ..settings.clone() };
        let heads: Vec<(&'static str, NpSettings)> = match peers {
            PeerLength::Any => {
                vec![("any peers", settings), ("any peers, owners shuffled", shuffled)]
            }
            PeerLength::Matched => vec![
                ("peers as long", settings),
                ("peers as long, length not counted", without_length),
                ("peers as long, owners shuffled", shuffled),
            ],
        };
        for (name, settings) in heads {
            let head = train_on(&texts, &among, &settings, &place)?;
            rows.push(row(name, &head, &texts, &cases)?);
        }
    }
    Ok(NpEvaluation { options: *options, rows })
}

/// A user who is evaluated.
struct NpCase {
    user: usize,
    /// Pairs of older texts, of the newest first.
    context: Vec<StylePair>,
    /// Pairs of another user, none of whose texts is this user's.
    wrong: Vec<StylePair>,
    targets: Vec<StylePair>,
}

impl NpCase {
    fn choose(
        texts: &StyleTexts,
        length: PeerLength,
        options: &NpEvaluationOptions,
    ) -> Result<Vec<Self>> {
        let paired = |user: usize, not: usize| -> Vec<(usize, Vec<usize>)> {
            let own = texts.of_user[user].iter().copied();
            let own = own.map(|at| (at, texts.peers(at, length, |peer| peer != not)));
            own.filter(|(_, peers)| !peers.is_empty()).collect()
        };
        let mut users: Vec<usize> = (0..texts.users.len())
            .filter(|user| paired(*user, *user).len() >= options.min_texts.max(TARGETS + 1))
            .collect();
        if users.len() < 4 {
            let (operation, what) = ("evaluate reward heads", "users with enough texts");
            return Err(Error::TooLittle { operation, what, got: users.len(), needed: 4 });
        }
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        users.shuffle(&mut random);
        users.truncate(options.users.min(users.len() / 2).max(2));
        let mut cases = Vec::with_capacity(users.len());
        for (number, &user) in users.iter().enumerate() {
            let own = paired(user, user);
            let (older, newest) = own.split_at(own.len() - TARGETS);
            let context = context(older, &mut random);
            // The next user in the drawn order: each is the wrong one once.
            let other = users[(number + 1) % users.len()];
            let theirs = paired(other, user);
            let wrong = context_of_some(&theirs, &mut random);
            let mut targets = Vec::new();
            for (text, peers) in newest {
                let mut peers = peers.clone();
                peers.shuffle(&mut random);
                peers.truncate(PEERS);
                targets.extend(peers.iter().map(|peer| StylePair { own: *text, peer: *peer }));
            }
            cases.push(Self { user, context, wrong, targets });
        }
        Ok(cases)
    }
}

/// The most pairs that are shown, of the newest texts first; a text comes again, with another peer
/// drawn, where there are fewer texts.
fn context(older: &[(usize, Vec<usize>)], random: &mut ChaCha8Rng) -> Vec<StylePair> {
    let newest_first = older.iter().rev().cycle().take(MAX_CONTEXT);
    let pair = |(own, peers): &(usize, Vec<usize>)| StylePair {
        own: *own,
        peer: peers[random.random_range(0..peers.len())],
    };
    newest_first.map(pair).collect()
}

/// As [`context`], of all texts but the newest, which are judged for their own user.
fn context_of_some(own: &[(usize, Vec<usize>)], random: &mut ChaCha8Rng) -> Vec<StylePair> {
    let n = own.len().saturating_sub(TARGETS);
    context(&own[..if n == 0 { own.len() } else { n }], random)
}

/// A head and the vectors of all texts.
struct JudgedTexts<'a> {
    head: &'a NpHead,
    vectors: Vec<Vec<f32>>,
}

fn row(name: &'static str, head: &NpHead, texts: &StyleTexts, cases: &[NpCase]) -> Result<NpRow> {
    let all: Vec<&str> = texts.texts.iter().map(|text| text.text.as_str()).collect();
    let judged = JudgedTexts { head, vectors: head.features.vectors(&all) };
    let shares = |pairs: fn(&NpCase) -> &[StylePair], n: usize| -> Result<Vec<f64>> {
        let share = |case: &NpCase| {
            let known = pairs(case);
            judged.right(&known[..n.min(known.len())], &case.targets)
        };
        cases.iter().map(share).collect()
    };
    let mut by_pairs = Vec::new();
    let mut own = Vec::new();
    for n in CONTEXTS {
        own = shares(|case| &case.context, n)?;
        by_pairs.push((n, mean(&own)));
    }
    let wrong = shares(|case| &case.wrong, MAX_CONTEXT)?;
    let differences: Vec<f64> = own.iter().zip(&wrong).map(|(a, b)| a - b).collect();
    Ok(NpRow {
        name,
        settings: head.settings().clone(),
        training_users: head.training().users,
        users: cases.len(),
        by_pairs,
        wrong: mean(&wrong),
        p: sign_flip_p(&differences, &StatisticsSettings::default())?,
        spread_of_z: judged.spread_of_z(cases)?,
    })
}

impl JudgedTexts<'_> {
    fn context(&self, known: &[StylePair]) -> Vec<Vec<f32>> {
        let vector = |at: usize| self.vectors[at].as_slice();
        known.iter().map(|pair| [vector(pair.own), vector(pair.peer)].concat()).collect()
    }

    /// Share of the pairs to judge in which the own text gets the higher score.
    fn right(&self, known: &[StylePair], targets: &[StylePair]) -> Result<f64> {
        let judged = targets.iter().flat_map(|pair| [pair.own, pair.peer]);
        let judged: Vec<Vec<f32>> = judged.map(|at| self.vectors[at].clone()).collect();
        let scores = self.head.scores_of(&self.context(known), &judged)?;
        let points = scores.chunks(2).map(|pair| match pair[0].total_cmp(&pair[1]) {
            Ordering::Greater => 1.0,
            Ordering::Equal => 0.5,
            Ordering::Less => 0.0,
        });
        Ok(points.sum::<f64>() / targets.len().max(1) as f64)
    }

    /// Standard deviation over users of the values of z, averaged over the values.
    fn spread_of_z(&self, cases: &[NpCase]) -> Result<f64> {
        let of = |case: &NpCase| self.head.z_of(&self.context(&case.context));
        let all = cases.iter().map(of).collect::<Result<Vec<Vec<f32>>>>()?;
        let n = all.first().map_or(0, Vec::len);
        let deviation = |at: usize| {
            let values: Vec<f64> = all.iter().map(|z| f64::from(z[at])).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
            (squares / values.len() as f64).sqrt()
        };
        Ok((0..n).map(deviation).sum::<f64>() / n.max(1) as f64)
    }
}

/// Mean and standard error of the shares of users.
pub(crate) fn mean(values: &[f64]) -> NpShare {
    let n = values.len() as f64;
    let share = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - share).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    NpShare { share, standard_error: (variance / n).sqrt() }
}
