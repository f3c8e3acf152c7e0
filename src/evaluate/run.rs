//! Runs a plan: one method after the other, each over all cases and pairs, several at a time.

use std::time::Instant;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::cases::{CaseResult, EvalContext, SwapResult};
use super::metric_groups::MetricGroup;
use super::plan::{Plan, SwapCase};
use super::{Error, Result};
use idiolect_core::methods::Method;
use idiolect_engine::progress::{Progress, ProgressStage};

/// Number of cases processed concurrently: enough to keep the language model's batches full while
/// one case waits for its next call, few enough that their prompt prefixes stay in the cache.
const CONCURRENT_CASES: usize = 4;

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

/// Results of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodResults {
    /// The method.
    pub method: Method,
    /// By index of the case; `None` for cases of other shards.
    pub(crate) cases: Vec<Option<CaseResult>>,
    /// By index of the pair; `None` for pairs of other shards, or if one of the users has no past
    /// text.
    pub(crate) swaps: Vec<Option<SwapResult>>,
    /// Duration of this run in seconds; shorter if answers were already in the store.
    pub seconds: f64,
}

impl MethodResults {
    fn case(&self, number: usize) -> Option<&CaseResult> {
        self.cases.get(number).and_then(Option::as_ref)
    }
}

/// Judge's preferences between two methods' texts, by similarity to the real text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Preferences {
    /// First method.
    pub(crate) a: Method,
    /// Second method.
    pub(crate) b: Method,
    /// By index of the case: share of `a`'s texts that the judge prefers, a tie counted as half;
    /// `None` for cases of other shards, or if either method generated nothing.
    pub(crate) cases: Vec<Option<f64>>,
}

/// Results of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanResults {
    /// By method, in the requested order.
    pub methods: Vec<MethodResults>,
    /// Likelihood-based closeness of the real texts for the swap test, by index of the pair:
    /// `[writer][reader]`. `None` for pairs of other shards, or if the swap test is not requested.
    pub(crate) real_swaps: Vec<Option<[[f64; 2]; 2]>>,
    /// Preferences for every two methods, if requested.
    pub(crate) preferences: Vec<Preferences>,
}

/// Runs a plan. Each answer and each score is stored before the next one is requested, so an
/// interrupted run continues where it stopped, with the same result.
///
/// # Errors
/// [`Error::Stopped`] if a stop was requested; otherwise the error of a case or a pair.
pub async fn run(
    context: &EvalContext<'_>,
    plan: &Plan,
    methods: &[Method],
    shard: Shard,
    progress: &dyn Progress,
) -> Result<PlanResults> {
    let swaps: &[SwapCase] = if context.metrics.swaps() { &plan.swaps } else { &[] };
    let n_cases = (0..plan.cases.len()).filter(|n| shard.has(*n)).count();
    let n_swaps = (0..swaps.len()).filter(|n| shard.has(*n)).count();
    let n_real = if context.metrics.has(MetricGroup::Swap) { n_swaps } else { 0 };
    let n_preferred = match context.metrics.has(MetricGroup::JudgePairs) {
        true => n_cases * methods.len() * methods.len().saturating_sub(1) / 2,
        false => 0,
    };
    let total = methods.len() * (n_cases + n_swaps) + n_real + n_preferred;
    let _stage = ProgressStage::begin(progress, "evaluating", Some(total as u64));
    PlanRun { context, plan, swaps, shard, progress: CaseProgress(progress) }.run(methods).await
}

/// Inputs of a run over a plan.
struct PlanRun<'a> {
    context: &'a EvalContext<'a>,
    plan: &'a Plan,
    /// Pairs of the plan; none if no metric needs them.
    swaps: &'a [SwapCase],
    shard: Shard,
    progress: CaseProgress<'a>,
}

impl PlanRun<'_> {
    async fn run(&self, methods: &[Method]) -> Result<PlanResults> {
        let Self { context, plan, swaps, shard, progress } = self;
        let mut results = Vec::new();
        for &method in methods {
            let start = Instant::now();
            let cases = plan.cases.iter().enumerate().map(async |(number, case)| {
                if !shard.has(number) {
                    return Ok(None);
                }
                let result = context.case(plan, method, case, progress).await;
                progress.done(result).map(Some)
            });
            let cases = stream::iter(cases).buffered(CONCURRENT_CASES).try_collect().await?;
            let swaps = swaps.iter().enumerate().map(async |(number, swap)| {
                if !shard.has(number) {
                    return Ok(None);
                }
                let result = context.swap(plan, method, swap, progress).await;
                progress.done(result)
            });
            let swaps = stream::iter(swaps).buffered(CONCURRENT_CASES).try_collect().await?;
            let seconds = start.elapsed().as_secs_f64();
            results.push(MethodResults { method, cases, swaps, seconds });
        }
        let crosses = context.metrics.has(MetricGroup::Swap);
        let real = swaps.iter().enumerate().map(async |(number, swap)| {
            if !crosses || !shard.has(number) {
                return Ok(None);
            }
            let result = context.real_swap(plan, swap, progress).await;
            progress.done(result).map(Some)
        });
        let real_swaps = stream::iter(real).buffered(CONCURRENT_CASES).try_collect().await?;
        let preferences = self.preferences(&results).await?;
        Ok(PlanResults { methods: results, real_swaps, preferences })
    }

    async fn preferences(&self, results: &[MethodResults]) -> Result<Vec<Preferences>> {
        let Self { context, plan, shard, .. } = self;
        let mut all = Vec::new();
        if !context.metrics.has(MetricGroup::JudgePairs) {
            return Ok(all);
        }
        for (number, a) in results.iter().enumerate() {
            for b in &results[number + 1..] {
                let cases = plan.cases.iter().enumerate().map(async |(number, case)| {
                    if !shard.has(number) {
                        return Ok(None);
                    }
                    let (Some(a), Some(b)) = (a.case(number), b.case(number)) else {
                        return Ok(None);
                    };
                    self.progress.done(context.prefer(case, a, b).await)
                });
                let cases = stream::iter(cases).buffered(CONCURRENT_CASES).try_collect().await?;
                all.push(Preferences { a: a.method, b: b.method, cases });
            }
        }
        Ok(all)
    }
}

/// Progress wrapper that passes on stop requests and counts only whole cases.
pub(crate) struct CaseProgress<'a>(pub(crate) &'a dyn Progress);

impl CaseProgress<'_> {
    fn done<T>(&self, result: Result<T>) -> Result<T> {
        let result = result?;
        self.0.advance(1);
        if self.0.stop_requested() { Err(Error::Stopped) } else { Ok(result) }
    }
}

impl Progress for CaseProgress<'_> {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _n: u64) {}
    fn end(&self) {}
    fn stop_requested(&self) -> bool {
        self.0.stop_requested()
    }
}
