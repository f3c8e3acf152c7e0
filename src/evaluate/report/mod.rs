//! What an evaluation says: figures with their intervals, comparisons, examples, what it took.

mod assemble;
mod csv;
mod html;

use std::collections::BTreeMap;

use serde::Serialize;

pub use assemble::{Instruments, assemble};
pub use csv::to_csv;
pub use html::to_html;

use super::trial::Cost;
use idiolect_metrics::statistics::{Estimate, Interval, PerUser, Settings, Verdict};

/// A figure: the mean over users, or over pairs of users, and where the true one lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// The figure.
    pub mean: f64,
    /// Lower end of the 95 % interval; none for figures of single units or of all texts together.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Users or pairs that it was computed from.
    pub n: usize,
    /// Two-sided p-value of chance, for tests that have one.
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

/// A method's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodReport {
    /// By measure.
    #[serde(flatten)]
    pub figures: BTreeMap<String, Figure>,
    /// Means over texts of what writing one takes where nothing is in the store.
    #[serde(flatten)]
    pub cost: MeanCost,
    /// Held-out texts of users who have no past text that the method could read.
    pub without_history: usize,
    /// Each measure's value for each user, for plots.
    #[serde(skip)]
    pub per_user: BTreeMap<String, PerUser>,
    /// How long this run took, whatever was in the store already; no part of what is compared.
    #[serde(skip)]
    pub seconds: f64,
}

/// What a text takes, mean over texts; nothing where none is written.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct MeanCost {
    /// Calls of the language model.
    pub calls: Option<f64>,
    /// Tokens of their prompts.
    pub prompt_tokens: Option<f64>,
    /// Tokens of their answers.
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

/// Two methods compared on one measure, on the users that both have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The one.
    pub a: &'static str,
    /// The other.
    pub b: &'static str,
    /// The measure.
    pub measure: String,
    /// Mean over users of a less b.
    pub difference: f64,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Users.
    pub n: usize,
    /// Two-sided p-value of the paired permutation test.
    pub p: f64,
    /// After Holm's correction over all pairs of methods on the measure.
    pub p_holm: f64,
    /// What that shows; `no-difference-shown` is told where nothing is.
    pub verdict: Verdict,
}

/// One held-out text beside what was written for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// The user.
    pub user: String,
    /// The item's title, or its id.
    pub item: String,
    /// What the user wrote.
    pub real: String,
    /// By method: written with the user's history, and with another's.
    pub written: Vec<(&'static str, String, Option<String>)>,
}

/// What it takes to do it again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The command line.
    pub command: String,
    /// This program's version.
    pub version: &'static str,
    /// Name and hash of each model, by its part.
    pub models: BTreeMap<&'static str, String>,
    /// Name and hash of the task.
    pub task: String,
    /// Name of the split, its part, and all its parameters.
    pub split: serde_json::Value,
    /// All choices of the plan.
    pub plan: serde_json::Value,
    /// The first seed of the texts.
    pub seed: u64,
    /// How intervals and tests were computed.
    pub statistics: Settings,
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Users with a held-out text.
    pub users: usize,
    /// Held-out texts.
    pub texts: usize,
    /// Seeds that each text was written with.
    pub seeds: u64,
    /// Pairs of users for the swap test.
    pub pairs: usize,
    /// By name.
    pub methods: BTreeMap<&'static str, MethodReport>,
    /// What real texts reach in the controls.
    pub ceiling: BTreeMap<String, Figure>,
    /// All pairs of methods on all measures.
    pub comparisons: Vec<Compared>,
    /// What it takes to do it again.
    pub facts: Facts,
    /// Some texts.
    #[serde(skip)]
    pub examples: Vec<Example>,
    /// Names of the methods as they were asked for.
    #[serde(skip)]
    pub order: Vec<&'static str>,
}
