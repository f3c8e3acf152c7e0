//! Runs a plan: methods one after the other, each on all texts and pairs, some at a time.

use std::time::Instant;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::measures::Measure;
use super::plan::{Plan, SwapCase};
use super::trial::{Bench, Outcome, SwapOutcome};
use super::{Error, Result};
use idiolect_core::methods::Method;
use idiolect_engine::progress::Progress;

/// Texts that are worked on at a time: enough that the language model's batches are full while one
/// of them waits for its next call, few enough that their prompts' beginnings stay in the cache.
const AT_A_TIME: usize = 4;

/// A part of the work, for one of several machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Shard {
    /// Which part, from 0.
    pub index: usize,
    /// Of how many, at least 1.
    pub of: usize,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    fn has(self, number: usize) -> bool {
        number % self.of.max(1) == self.index
    }
}

/// What came of a method.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodOutcomes {
    /// The method.
    pub method: Method,
    /// By number of the case; `None` for those of other shards.
    pub cases: Vec<Option<Outcome>>,
    /// By number of the pair; `None` too where one of the two has no past text.
    pub swaps: Vec<Option<SwapOutcome>>,
    /// How long this run took, whatever was in the store already.
    pub seconds: f64,
}

impl MethodOutcomes {
    /// Texts written for a case, by seed.
    fn texts(&self, case: usize) -> &[String] {
        let outcome = self.cases.get(case).and_then(Option::as_ref);
        outcome.map_or(&[], |outcome| &outcome.texts)
    }
}

/// Which of two methods' texts came nearer to the real ones, in a judge's eyes.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// The one.
    pub a: Method,
    /// The other.
    pub b: Method,
    /// By number of the case: share of a's texts that came nearer, ties by half; `None` for those of
    /// other shards, and where either wrote nothing.
    pub cases: Vec<Option<f64>>,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    /// By method, as asked for.
    pub methods: Vec<MethodOutcomes>,
    /// The swap test's closeness by likelihood of the real texts, by number of the pair; `None` for
    /// those of other shards, and where there is no swap test.
    pub real_swaps: Vec<Option<[[f64; 2]; 2]>>,
    /// Of every two methods, where they are asked for.
    pub preferences: Vec<Preferences>,
}

/// Runs a plan. Every answer and every score is in the store before the next is asked for, so a run
/// that was stopped goes on where it was, and its outcome is the same.
///
/// # Errors
/// [`Error::Stopped`] on request; whatever a trial fails with.
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

/// Hands on the wish to stop, and counts whole trials alone.
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
