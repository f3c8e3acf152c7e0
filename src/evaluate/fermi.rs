//! Gains of instructions that were improved on a user's past texts (`fermi`) on newer texts, and of another
//! user's instructions there.

use futures::stream::{self, StreamExt, TryStreamExt};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::cases::{EvalContext, method_error};
use super::run::CaseProgress;
use super::{Error, Result};
use idiolect_core::corpus::{Item, StoredReview, View};
use idiolect_core::methods::{
    self, FermiGain, FermiSearch, Given, History, Method, fermi_gain, fermi_search,
};
use idiolect_engine::progress::{Progress, ProgressStage};
use idiolect_metrics::statistics::{Estimate, PerUser, Settings, sign_flip_p};

/// Number of users that are searched for concurrently.
const CONCURRENT_USERS: usize = 2;

/// Parameters of the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FermiEvalOptions {
    /// Number of users, drawn at random.
    pub users: usize,
    /// Least number of texts of a user.
    pub min_texts: usize,
    /// Seed of the choice of users.
    pub seed: u64,
}

/// Gains for one user, in bits per token over the task's own prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FermiUser {
    /// The user.
    pub user: String,
    /// The user whose instruction is the control.
    pub wrong: String,
    /// The best instruction on the texts that it was improved on; empty for the task's own prompt.
    pub lines: Vec<String>,
    /// Its gain on these texts.
    pub improve: FermiGain,
    /// Its gain on the newer texts, which it was not improved on.
    pub choose: FermiGain,
    /// Gain of the other user's best instruction on the same texts.
    pub wrong_choose: FermiGain,
    /// Whether no instruction helps on the newer texts, so that the task's own prompt is kept.
    pub keeps_seed: bool,
    /// Gain of the method on the newest text, which no instruction has seen.
    pub newest: f64,
    /// Rounds of the search.
    pub rounds: usize,
    /// Instructions tried, the task's own prompt included.
    pub tried: usize,
}

/// Mean over users and its p-value against 0, by sign flips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FermiFigure {
    /// Name of the figure.
    pub name: &'static str,
    /// Mean over users.
    pub mean: Estimate,
    /// p-value.
    pub p: f64,
}

/// Result of the evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FermiEvaluation {
    /// Parameters.
    pub options: FermiEvalOptions,
    /// By user, in the byte order of their names.
    pub users: Vec<FermiUser>,
    /// Means over users.
    pub figures: Vec<FermiFigure>,
    /// Share of users for whom the task's own prompt is kept.
    pub keeps_seed: f64,
}

/// A user with all texts, oldest first.
struct FermiCase {
    user: String,
    newest: StoredReview,
    item: Item,
}

/// Searches for instructions for users on all but their newest text, and scores newer texts with them and
/// with another user's. All scores are stored, so that a stopped call is continued by the next one.
///
/// # Errors
/// Error if fewer than two users have enough texts; [`Error::Stopped`]; or the error of a search.
pub async fn evaluate_fermi(
    context: &EvalContext<'_>,
    options: &FermiEvalOptions,
    progress: &dyn Progress,
) -> Result<FermiEvaluation> {
    let cases = cases(context, options)?;
    let stage = ProgressStage::begin(progress, "improving prompts", Some(2 * cases.len() as u64));
    let quiet = CaseProgress(progress);
    let searched = cases.iter().map(async |case| {
        let found = case.search(context, &quiet).await?;
        stage.advance(1);
        if stage.stop_requested() { Err(Error::Stopped) } else { Ok(found) }
    });
    let searched: Vec<FermiSearch> =
        stream::iter(searched).buffered(CONCURRENT_USERS).try_collect().await?;
    let judged = (0..cases.len()).map(async |at| {
        let other = (at + 1) % cases.len();
        let theirs = (&cases[other], &searched[other]);
        let user = cases[at].judge(context, &searched[at], theirs, &quiet).await?;
        stage.advance(1);
        if stage.stop_requested() { Err(Error::Stopped) } else { Ok(user) }
    });
    let mut users: Vec<FermiUser> =
        stream::iter(judged).buffered(CONCURRENT_USERS).try_collect().await?;
    users.sort_unstable_by(|a, b| a.user.cmp(&b.user));
    let figures = figures(&users, &Settings { seed: options.seed, ..Settings::default() })?;
    let n_kept = users.iter().filter(|user| user.keeps_seed).count();
    let keeps_seed = n_kept as f64 / users.len() as f64;
    Ok(FermiEvaluation { options: *options, users, figures, keeps_seed })
}

/// A value of a user.
type FermiValue = fn(&FermiUser) -> f64;

fn figures(users: &[FermiUser], settings: &Settings) -> Result<Vec<FermiFigure>> {
    let values: [(&'static str, FermiValue); 8] = [
        ("improved-on texts, own", |user| user.improve.own),
        ("newer texts, own", |user| user.choose.own),
        ("newer texts, peers'", |user| user.choose.peers),
        ("newer texts, own beyond peers'", |user| user.choose.specific()),
        ("another user's instruction, own", |user| user.wrong_choose.own),
        ("another user's, own beyond peers'", |user| user.wrong_choose.specific()),
        ("own minus another user's", |user| user.choose.own - user.wrong_choose.own),
        ("the method on the newest text", |user| user.newest),
    ];
    let figure = |(name, value): (&'static str, FermiValue)| {
        let of = users.iter().map(|user| (user.user.as_str(), value(user)));
        let by_user = PerUser::averaged(of)?;
        let mean = by_user.mean(settings)?;
        Ok(FermiFigure { name, mean, p: sign_flip_p(&by_user.values(), settings)? })
    };
    values.into_iter().map(figure).collect()
}

fn cases(context: &EvalContext<'_>, options: &FermiEvalOptions) -> Result<Vec<FermiCase>> {
    let mut users = Vec::new();
    for summary in context.store.users(options.min_texts as u64)? {
        let mut texts = View::all(context.store).history(&summary.user)?;
        texts.retain(|stored| !stored.review.text.trim().is_empty());
        if texts.len() >= options.min_texts.max(2)
            && let Some(newest) = texts.pop()
        {
            users.push((summary.user, newest));
        }
    }
    if users.len() < 2 {
        let (operation, what) = ("evaluate instructions", "users with enough texts");
        let got = users.len();
        return Err(idiolect_metrics::Error::TooFew { operation, what, got, needed: 2 }.into());
    }
    users.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    users.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
    users.truncate(options.users.max(2));
    let case = |(user, newest): (String, StoredReview)| {
        let item = context.store.item(&newest.review.item)?;
        Ok(FermiCase { user, newest, item })
    };
    users.into_iter().map(case).collect()
}

impl FermiCase {
    /// Everything but the newest text.
    fn view<'a>(&self, context: &EvalContext<'a>) -> View<'a> {
        View::all(context.store).without_all([self.newest.id])
    }

    fn fail(&self) -> impl Fn(methods::Error) -> Error {
        |source| method_error(Method::FERMI, &self.user, &self.item, source)
    }

    async fn search(
        &self,
        context: &EvalContext<'_>,
        progress: &dyn Progress,
    ) -> Result<FermiSearch> {
        let inputs = context.material(self.view(context), progress);
        let options = context.options(History::Own, context.options.seed);
        fermi_search(&inputs, &self.user, &options).await.map_err(self.fail())
    }

    async fn judge(
        &self,
        context: &EvalContext<'_>,
        found: &FermiSearch,
        (other, theirs): (&Self, &FermiSearch),
        progress: &dyn Progress,
    ) -> Result<FermiUser> {
        let inputs = context.material(self.view(context), progress);
        let options = context.options(History::Own, context.options.seed);
        let best = |found: &FermiSearch| {
            found.prompts.first().map(|prompt| prompt.lines.clone()).unwrap_or_default()
        };
        let gain = async |lines: &[String], texts| {
            fermi_gain(&inputs, &self.user, &options, lines, texts).await.map_err(self.fail())
        };
        let lines = best(found);
        Ok(FermiUser {
            user: self.user.clone(),
            wrong: other.user.clone(),
            improve: gain(&lines, &found.improve).await?,
            choose: gain(&lines, &found.choose).await?,
            wrong_choose: gain(&best(theirs), &found.choose).await?,
            keeps_seed: !found.prompts.iter().any(|prompt| prompt.choose.helps()),
            newest: self.newest_gain(context, progress).await?,
            rounds: found.rounds,
            tried: found.tried,
            lines,
        })
    }

    /// Bits per token of the newest text under the task's own prompt, minus those under the method's.
    async fn newest_gain(&self, context: &EvalContext<'_>, progress: &dyn Progress) -> Result<f64> {
        let inputs = context.material(self.view(context), progress);
        let target = self.newest.as_target(self.item.clone());
        let bits = async |history| {
            let options = context.options(history, context.options.seed);
            let mut prepared =
                Method::FERMI.prepare(&inputs, &target, &options).await.map_err(self.fail())?;
            // The target has the rating and the title of the text.
            prepared.sources.push(self.newest.id);
            let given = Given::from(&self.newest);
            let scored = prepared.score(&inputs, &options, given).await.map_err(self.fail())?;
            Ok::<f64, Error>(scored.bits_per_token().unwrap_or(0.0))
        };
        Ok(bits(History::None).await? - bits(History::Own).await?)
    }
}
