//! Runs a plan: one method after the other, each over all cases and pairs, several at a time.

use std::time::Instant;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::measures::Measure;
use super::plan::{Plan, SwapCase};
use super::trial::{Bench, Outcome, SwapOutcome};
use super::{Error, Result};
use idiolect_core::methods::Method;
use idiolect_engine::progress::Progress;

/// Number of cases processed concurrently: enough to keep the language model's batches full while
/// one case waits for its next call, few enough that their prompt prefixes stay in the cache.
const AT_A_TIME: usize = 4;

/// A part of the work, for one of several machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Shard {
    /// Number of this part, from 0.
    pub index: usize,
    /// Number of parts, at least 1.
    pub of: usize,
}

impl Shard {
    /// The whole work.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    fn has(self, number: usize) -> bool {
        number % self.of.max(1) == self.index
    }
}

/// Outcomes of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodOutcomes {
    /// The method.
    pub method: Method,
    /// By index of the case; `None` for cases of other shards.
    pub cases: Vec<Option<Outcome>>,
    /// By index of the pair; `None` for pairs of other shards, or if one of the users has no past
    /// text.
    pub swaps: Vec<Option<SwapOutcome>>,
    /// Duration of this run in seconds; shorter if answers were already in the store.
    pub seconds: f64,
}

impl MethodOutcomes {
    /// Texts generated for a case, by seed.
    fn texts(&self, case: usize) -> &[String] {
        let outcome = self.cases.get(case).and_then(Option::as_ref);
        outcome.map_or(&[], |outcome| &outcome.texts)
    }
}

/// Judge's preferences between two methods' texts, by similarity to the real text.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// First method.
    pub a: Method,
    /// Second method.
    pub b: Method,
    /// By index of the case: share of `a`'s texts that the judge prefers, a tie counted as half;
    /// `None` for cases of other shards, or if either method generated nothing.
    pub cases: Vec<Option<f64>>,
}

/// Outcomes of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    /// By method, in the requested order.
    pub methods: Vec<MethodOutcomes>,
    /// Likelihood-based closeness of the real texts for the swap test, by index of the pair:
    /// `[writer][reader]`. `None` for pairs of other shards, or if the swap test is not requested.
    pub real_swaps: Vec<Option<[[f64; 2]; 2]>>,
    /// Preferences for every two methods, if requested.
    pub preferences: Vec<Preferences>,
}

/// Runs a plan. Each answer and each score is stored before the next one is requested, so an
/// interrupted run continues where it stopped, with the same outcome.
///
/// # Errors
/// [`Error::Stopped`] if a stop was requested; otherwise the error of a trial.
pub async fn run(
    bench: &Bench<'_>,
    plan: &Plan,
    methods: &[Method],
    shard: Shard,
    progress: &dyn Progress,
) -> Result<Outcomes> {
    let quiet = Quiet(progress);
    let swaps: &[SwapCase] = if bench.measures.swaps() { &plan.swaps } else { &[] };
    let n_cases = (0..plan.cases.len()).filter(|n| shard.has(*n)).count();
    let n_swaps = (0..swaps.len()).filter(|n| shard.has(*n)).count();
    let n_real = if bench.measures.has(Measure::Swap) { n_swaps } else { 0 };
    let n_preferred = match bench.measures.has(Measure::JudgePairs) {
        true => n_cases * methods.len() * methods.len().saturating_sub(1) / 2,
        false => 0,
    };
    let total = methods.len() * (n_cases + n_swaps) + n_real + n_preferred;
    progress.begin("evaluating", Some(total as u64));
    let done = run_all(bench, plan, swaps, methods, shard, &quiet).await;
    progress.end();
    done
}

async fn run_all(
    bench: &Bench<'_>,
    plan: &Plan,
    swaps: &[SwapCase],
    methods: &[Method],
    shard: Shard,
    quiet: &Quiet<'_>,
) -> Result<Outcomes> {
    let mut outcomes = Vec::new();
    for &method in methods {
        let start = Instant::now();
        let cases = plan.cases.iter().enumerate().map(async |(number, case)| {
            if !shard.has(number) {
                return Ok(None);
            }
            let outcome = bench.case(plan, method, case, quiet).await;
            quiet.done(outcome).map(Some)
        });
        let cases = stream::iter(cases).buffered(AT_A_TIME).try_collect().await?;
        let swaps = swaps.iter().enumerate().map(async |(number, swap)| {
            if !shard.has(number) {
                return Ok(None);
            }
            let outcome = bench.swap(plan, method, swap, quiet).await;
            quiet.done(outcome)
        });
        let swaps = stream::iter(swaps).buffered(AT_A_TIME).try_collect().await?;
        let seconds = start.elapsed().as_secs_f64();
        outcomes.push(MethodOutcomes { method, cases, swaps, seconds });
    }
    let crosses = bench.measures.has(Measure::Swap);
    let real = swaps.iter().enumerate().map(async |(number, swap)| {
        if !crosses || !shard.has(number) {
            return Ok(None);
        }
        let outcome = bench.real_swap(plan, swap, quiet).await;
        quiet.done(outcome).map(Some)
    });
    let real_swaps = stream::iter(real).buffered(AT_A_TIME).try_collect().await?;
    let preferences = preferences(bench, plan, &outcomes, shard, quiet).await?;
    Ok(Outcomes { methods: outcomes, real_swaps, preferences })
}

async fn preferences(
    bench: &Bench<'_>,
    plan: &Plan,
    outcomes: &[MethodOutcomes],
    shard: Shard,
    quiet: &Quiet<'_>,
) -> Result<Vec<Preferences>> {
    let mut all = Vec::new();
    if !bench.measures.has(Measure::JudgePairs) {
        return Ok(all);
    }
    for (number, a) in outcomes.iter().enumerate() {
        for b in &outcomes[number + 1..] {
            let cases = plan.cases.iter().enumerate().map(async |(number, case)| {
                if !shard.has(number) {
                    return Ok(None);
                }
                let outcome = bench.prefer(case, a.texts(number), b.texts(number)).await;
                quiet.done(outcome)
            });
            let cases = stream::iter(cases).buffered(AT_A_TIME).try_collect().await?;
            all.push(Preferences { a: a.method, b: b.method, cases });
        }
    }
    Ok(all)
}

/// Progress wrapper that passes on stop requests and counts only whole trials.
struct Quiet<'a>(&'a dyn Progress);

impl Quiet<'_> {
    fn done<T>(&self, outcome: Result<T>) -> Result<T> {
        let outcome = outcome?;
        self.0.advance(1);
        if self.0.stop_requested() { Err(Error::Stopped) } else { Ok(outcome) }
    }
}

impl Progress for Quiet<'_> {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _n: u64) {}
    fn end(&self) {}
    fn stop_requested(&self) -> bool {
        self.0.stop_requested()
    }
}
