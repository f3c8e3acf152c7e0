//! A conversation's curve on real people: a user's texts in the order of time are the turns, and text k
//! is scored after the k - 1 before it. No judge is asked.
//!
//! Source: the alignment levels by turn of ALOE (arXiv 2410.03642, section 3), with bits per token of
//! the person's real next text in the place of a judge's grade.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::cases::{EvalContext, method_error};
use super::run::CaseProgress;
use super::wrong_users::{MatchOptions, Traits, wrong_users};
use super::{Error, Result};
use idiolect_core::corpus::{Item, ReviewId, StoredReview, View};
use idiolect_core::methods::{Given, History, Method};
use idiolect_engine::progress::{Progress, ProgressStage};
use idiolect_metrics::statistics::{Estimate, PerUser, Settings, sign_flip_p};

/// Number of users that are scored concurrently; see [`run`](crate::run()).
const CONCURRENT_USERS: usize = 4;

/// Wrong users that are looked at for one with enough texts on other items than the user's.
const CANDIDATES: usize = 12;

/// Parameters of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InteractOptions {
    /// Number of turns: texts of each user, from the oldest.
    pub turns: usize,
    /// Most users, drawn at random; `None` takes all with enough texts.
    pub users: Option<usize>,
    /// Seed of the choice of users and wrong users.
    pub seed: u64,
}

/// Memory with which a text is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InteractMemory {
    /// The user's texts before it.
    Own,
    /// As many texts of another user, on items that the user did not write about.
    Wrong,
    /// The user's first text alone, whatever the turn.
    Frozen,
}

impl InteractMemory {
    /// All, in the order of the report.
    pub const ALL: [Self; 3] = [Self::Own, Self::Wrong, Self::Frozen];
}

/// A user's curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InteractUser {
    /// The user.
    pub user: String,
    /// The user whose texts are the wrong memory.
    pub wrong: String,
    /// The turns, from the first.
    pub turns: Vec<InteractTurn>,
}

/// Bits per token of one text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct InteractTurn {
    /// With no texts of anybody.
    pub none: f64,
    /// With each memory of [`InteractMemory::ALL`]; at the first turn, where all are empty, as `none`.
    pub with: [f64; 3],
}

/// Curves of users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InteractCurves {
    /// Parameters.
    pub options: InteractOptions,
    /// The method.
    pub method: Method,
    /// The users, in the byte order of their names.
    pub users: Vec<InteractUser>,
}

/// Figures of one memory over users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InteractSummary {
    /// The memory.
    pub memory: InteractMemory,
    /// Bits per token with it minus without any, by turn.
    pub gain: Vec<Estimate>,
    /// Slope of that difference over the turns, in bits per token and turn.
    pub slope: Estimate,
    /// p-value of the slope against 0, by sign flips over users.
    pub p: f64,
    /// Slope of the user's own memory minus this slope; 0 for the own memory.
    pub own_minus: Estimate,
    /// p-value of that difference.
    pub p_own_minus: f64,
}

/// A user to score: the turns, and the wrong user's texts.
struct InteractCase {
    user: String,
    texts: Vec<StoredReview>,
    /// All texts of the user, ascending by time: those not yet written are hidden.
    all: Vec<ReviewId>,
    wrong: String,
    /// The wrong user's texts that may be seen, oldest first; one fewer than turns.
    wrong_texts: Vec<ReviewId>,
    all_of_wrong: Vec<ReviewId>,
}

/// Scores the first texts of users, each after those before it, with each memory and with none. All
/// scores are stored, so that a stopped call is continued by the next one. Peers' texts may be newer
/// than the text that is scored; no text of the user is.
///
/// # Errors
/// Error if fewer than two users have enough texts; [`Error::Stopped`]; or the error of a score.
pub async fn interact_curves(
    context: &EvalContext<'_>,
    method: Method,
    options: &InteractOptions,
    progress: &dyn Progress,
) -> Result<InteractCurves> {
    let cases = cases(context, options)?;
    let stage = ProgressStage::begin(progress, "scoring turns", Some(cases.len() as u64));
    let scored = cases.iter().map(async |case| {
        let turns = case.turns(context, method, &CaseProgress(progress)).await?;
        stage.advance(1);
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let (user, wrong) = (case.user.clone(), case.wrong.clone());
        Ok(InteractUser { user, wrong, turns })
    });
    let users = stream::iter(scored).buffered(CONCURRENT_USERS).try_collect().await?;
    Ok(InteractCurves { options: *options, method, users })
}

impl InteractCurves {
    /// Mean bits per token without any memory, by turn.
    #[must_use]
    pub fn without(&self) -> Vec<f64> {
        let at = |turn: usize| {
            let sum: f64 = self.users.iter().map(|user| user.turns[turn].none).sum();
            sum / self.users.len() as f64
        };
        (0..self.options.turns).map(at).collect()
    }

    /// Sums up the curves, by memory.
    ///
    /// # Errors
    /// Error if a value is not finite.
    pub fn summary(&self, settings: &Settings) -> Result<Vec<InteractSummary>> {
        let own = self.slopes(0)?;
        let mut summaries = Vec::new();
        for (number, memory) in InteractMemory::ALL.into_iter().enumerate() {
            let mut gain = Vec::new();
            for turn in 0..self.options.turns {
                let of = self.users.iter().map(|user| {
                    let turn = &user.turns[turn];
                    (user.user.as_str(), turn.with[number] - turn.none)
                });
                gain.push(PerUser::averaged(of)?.mean(settings)?);
            }
            let slopes = self.slopes(number)?;
            let beside = own.minus(&slopes)?;
            summaries.push(InteractSummary {
                memory,
                gain,
                slope: slopes.mean(settings)?,
                p: sign_flip_p(&slopes.values(), settings)?,
                own_minus: beside.mean(settings)?,
                p_own_minus: sign_flip_p(&beside.values(), settings)?,
            });
        }
        Ok(summaries)
    }

    /// Each user's slope of the difference to no memory, by least squares over the turns.
    fn slopes(&self, memory: usize) -> Result<PerUser> {
        let of = self.users.iter().map(|user| {
            let gains: Vec<f64> =
                user.turns.iter().map(|turn| turn.with[memory] - turn.none).collect();
            (user.user.as_str(), slope(&gains))
        });
        Ok(PerUser::averaged(of)?)
    }
}

/// Slope of values over their positions, by least squares.
fn slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / n;
    let off = |at: usize| at as f64 - middle;
    let (mut products, mut squares) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        products += off(at) * (value - mean);
        squares += off(at).powi(2);
    }
    if squares > 0.0 { products / squares } else { 0.0 }
}

/// A user's texts that are not blank, with their items, oldest first.
fn written(context: &EvalContext<'_>, user: &str) -> Result<Vec<(StoredReview, Item)>> {
    let mut texts = View::all(context.store).history(user)?;
    texts.retain(|stored| !stored.review.text.trim().is_empty());
    let item = |stored: StoredReview| {
        let item = context.store.item(&stored.review.item)?;
        Ok((stored, item))
    };
    texts.into_iter().map(item).collect()
}

fn cases(context: &EvalContext<'_>, options: &InteractOptions) -> Result<Vec<InteractCase>> {
    let turns = options.turns.max(2);
    let mut users = Vec::new();
    for summary in context.store.users(turns as u64)? {
        let texts = written(context, &summary.user)?;
        if texts.len() >= turns {
            users.push((summary.user, texts));
        }
    }
    if users.len() < 2 {
        let (operation, what) = ("measure the curve of turns", "users with as many texts as turns");
        let got = users.len();
        return Err(idiolect_metrics::Error::TooFew { operation, what, got, needed: 2 }.into());
    }
    users.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let traits = |(user, texts): &(String, Vec<(StoredReview, Item)>)| {
        let past: Vec<_> =
            texts[..turns - 1].iter().map(|(stored, item)| (&stored.review, item)).collect();
        Traits::of(user, &past)
    };
    let all: Vec<Traits> = users.iter().map(traits).collect();
    let mut chosen: Vec<usize> = (0..users.len()).collect();
    if let Some(n) = options.users {
        chosen.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
        chosen.truncate(n);
        chosen.sort_unstable();
    }
    let matching = MatchOptions { n: CANDIDATES, at_least: turns - 1, seed: options.seed };
    let mut cases = Vec::new();
    for at in chosen {
        let (user, texts) = &users[at];
        let items: BTreeSet<&str> =
            texts[..turns].iter().map(|(stored, _)| stored.review.item.as_str()).collect();
        let last = &texts[turns - 1].1;
        let others = wrong_users(&all[at], last, &all, &matching);
        let found = others.iter().find_map(|other| {
            let (_, theirs) = users.iter().find(|(name, _)| *name == other.user)?;
            let apart = theirs.iter().filter(|(s, _)| !items.contains(s.review.item.as_str()));
            let apart: Vec<ReviewId> = apart.take(turns - 1).map(|(s, _)| s.id).collect();
            (apart.len() == turns - 1).then_some((other.user.clone(), apart))
        });
        // Without a wrong user there is nothing to compare with.
        let Some((wrong, wrong_texts)) = found else { continue };
        let ids = |name: &str| -> Result<Vec<ReviewId>> {
            Ok(context.store.history(name)?.into_iter().map(|stored| stored.id).collect())
        };
        cases.push(InteractCase {
            user: user.clone(),
            texts: texts[..turns].iter().map(|(stored, _)| stored.clone()).collect(),
            all: ids(user)?,
            all_of_wrong: ids(&wrong)?,
            wrong,
            wrong_texts,
        });
    }
    Ok(cases)
}

impl InteractCase {
    async fn turns(
        &self,
        context: &EvalContext<'_>,
        method: Method,
        progress: &dyn Progress,
    ) -> Result<Vec<InteractTurn>> {
        let mut turns = Vec::with_capacity(self.texts.len());
        for turn in 0..self.texts.len() {
            let nobody = self.seen(context, turn);
            let none = self.bits(context, method, (turn, nobody, History::None), progress).await?;
            let mut with = [none; 3];
            if turn > 0 {
                for (memory, bits) in InteractMemory::ALL.into_iter().zip(&mut with) {
                    let (view, history) = self.memory(context, turn, memory);
                    *bits = self.bits(context, method, (turn, view, history), progress).await?;
                }
            }
            turns.push(InteractTurn { none, with });
        }
        Ok(turns)
    }

    /// All but the user's texts from this turn on.
    fn seen<'a>(&self, context: &EvalContext<'a>, turn: usize) -> View<'a> {
        let before: BTreeSet<ReviewId> =
            self.texts[..turn].iter().map(|stored| stored.id).collect();
        let later = self.all.iter().copied().filter(|id| !before.contains(id));
        View::all(context.store).without_all(later)
    }

    fn memory<'a>(
        &self,
        context: &EvalContext<'a>,
        turn: usize,
        memory: InteractMemory,
    ) -> (View<'a>, History) {
        match memory {
            InteractMemory::Own => (self.seen(context, turn), History::Own),
            InteractMemory::Frozen => (self.seen(context, turn.min(1)), History::Own),
            InteractMemory::Wrong => {
                let known = &self.wrong_texts[..turn];
                let hidden = self.all_of_wrong.iter().copied().filter(|id| !known.contains(id));
                let view = self.seen(context, turn).without_all(hidden);
                (view, History::Of(self.wrong.clone()))
            }
        }
    }

    /// Bits per token of the text of a turn.
    async fn bits(
        &self,
        context: &EvalContext<'_>,
        method: Method,
        (turn, view, history): (usize, View<'_>, History),
        progress: &dyn Progress,
    ) -> Result<f64> {
        let text = &self.texts[turn];
        let item = context.store.item(&text.review.item)?;
        let fail = |source| method_error(method, &self.user, &item, source);
        let target = text.as_target(item.clone());
        let inputs = context.material(view, progress);
        let options = context.options(history, context.options.seed);
        let mut prepared = method.prepare(&inputs, &target, &options).await.map_err(fail)?;
        // The target has the rating and the title of the text.
        prepared.sources.push(text.id);
        let scored = prepared.score(&inputs, &options, Given::from(text)).await.map_err(fail)?;
        Ok(scored.bits_per_token().unwrap_or(0.0))
    }
}
