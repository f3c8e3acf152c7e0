//! Report of an evaluation: figures with intervals, comparisons, examples, and how to reproduce it.

mod build;
mod csv;
mod html;

use std::collections::BTreeMap;

use serde::Serialize;

pub use build::{ReportInputs, build_report};
pub use csv::to_csv;
pub use html::to_html;

use super::cases::Cost;
use idiolect_metrics::statistics::{Estimate, Interval, PerUser, Settings, Verdict};

/// A figure: the mean over users or over pairs of users, with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// Mean, or value over all texts together.
    pub mean: f64,
    /// Lower end of the interval (95 % by default); `None` for figures of single units or of all
    /// texts together.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// Number of users or pairs in the figure; of texts, if it is over all texts together without
    /// interval.
    pub n: usize,
    /// Two-sided p-value against chance, for tests that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
}

impl From<Estimate> for Figure {
    fn from(estimate: Estimate) -> Self {
        let Estimate { value, interval, n } = estimate;
        let ends = interval.map(|Interval { low, high }| (low, high)).unzip();
        Self { mean: value, low: ends.0, high: ends.1, n, p: None }
    }
}

/// Figures of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodReport {
    /// Figures by measure.
    #[serde(flatten)]
    pub figures: BTreeMap<String, Figure>,
    /// Mean cost of generating one text, as if the store were empty.
    #[serde(flatten)]
    pub cost: MeanCost,
    /// Number of held-out texts whose users have no past text that the method could read.
    pub without_history: usize,
    /// Per-user values of each measure, for plots.
    #[serde(skip)]
    pub per_user: BTreeMap<String, PerUser>,
    /// Duration of this run in seconds; shorter if answers were already in the store, so not
    /// comparable.
    #[serde(skip)]
    pub seconds: f64,
}

/// Cost of generating one text, mean over texts; `None` if none was generated.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct MeanCost {
    /// Number of language model calls.
    pub calls: Option<f64>,
    /// Number of prompt tokens over all calls.
    pub prompt_tokens: Option<f64>,
    /// Number of completion tokens over all calls.
    pub completion_tokens: Option<f64>,
}

impl MeanCost {
    fn of(costs: &[Cost]) -> Self {
        let mean = |of: fn(&Cost) -> usize| {
            let n = costs.len();
            (n > 0).then(|| costs.iter().map(of).sum::<usize>() as f64 / n as f64)
        };
        Self {
            calls: mean(|cost| cost.calls),
            prompt_tokens: mean(|cost| cost.prompt_tokens),
            completion_tokens: mean(|cost| cost.completion_tokens),
        }
    }
}

/// Comparison of two methods on one measure, on the users that both have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodComparison {
    /// First method.
    pub a: &'static str,
    /// Second method.
    pub b: &'static str,
    /// The measure.
    pub measure: String,
    /// Mean over users of `a` minus `b`.
    pub difference: f64,
    /// Lower end of its interval (95 % by default).
    pub low: Option<f64>,
    /// Upper end of its interval.
    pub high: Option<f64>,
    /// Number of users.
    pub n: usize,
    /// Two-sided p-value of the paired permutation test.
    pub p: f64,
    /// p-value after Holm's correction over all pairs of methods on the measure.
    pub p_holm: f64,
    /// Verdict; `no-difference-shown` if neither is shown to be higher.
    pub verdict: Verdict,
}

/// A held-out text with the texts generated for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// The user.
    pub user: String,
    /// Item's title, or its id if it has no title.
    pub item: String,
    /// Real text.
    pub real: String,
    /// Method, text generated with the user's history, and text generated with another user's.
    pub written: Vec<(&'static str, String, Option<String>)>,
}

/// Inputs and parameters that reproduce the evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// The command line.
    pub command: String,
    /// This program's version.
    pub version: &'static str,
    /// Name and hash of each model, by its role.
    pub models: BTreeMap<&'static str, String>,
    /// Name and hash of the task.
    pub task: String,
    /// Name, part and parameters of the split.
    pub split: serde_json::Value,
    /// Options of the plan.
    pub plan: serde_json::Value,
    /// Settings of the methods that differ from the task's defaults.
    pub settings: serde_json::Value,
    /// First seed of the generated texts.
    pub seed: u64,
    /// Parameters of intervals and tests.
    pub statistics: Settings,
}

/// Results of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvalReport {
    /// Number of users with a held-out text.
    pub users: usize,
    /// Number of held-out texts.
    pub texts: usize,
    /// Number of seeds per text.
    pub seeds: u64,
    /// Number of pairs of users in the swap test.
    pub pairs: usize,
    /// Reports by method name.
    pub methods: BTreeMap<&'static str, MethodReport>,
    /// Figures of the users' real texts in the controls: the upper bound.
    pub ceiling: BTreeMap<String, Figure>,
    /// Comparisons of all pairs of methods on all measures.
    pub comparisons: Vec<MethodComparison>,
    /// Inputs and parameters that reproduce the evaluation.
    #[serde(rename = "facts")]
    pub provenance: Provenance,
    /// Example texts.
    #[serde(skip)]
    pub examples: Vec<Example>,
    /// Method names in the requested order.
    #[serde(skip)]
    pub order: Vec<&'static str>,
}
