//! Runs benchmarks in turns and summarises their times.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use idiolect::progress::Progress as _;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::context::Context;
use super::super::values::name_of;
use super::BenchName;

/// A benchmark that can be run repeatedly.
pub(super) struct BenchCase<'a> {
    pub(super) spec: BenchSpec,
    /// Runs it once and returns the time it took, without preparations.
    pub(super) once: Box<dyn FnMut() -> anyhow::Result<Duration> + 'a>,
}

/// Name and sizes of a benchmark.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct BenchSpec {
    pub(super) name: BenchName,
    /// Number of tokens processed, all sequences together.
    pub(super) n_tokens: usize,
    /// Number of sequences, texts, reviews or requests.
    pub(super) n_seq: usize,
    /// Number of tokens of each sequence that are in its cache before the measurement.
    pub(super) depth: usize,
    /// Unit of the result.
    pub(super) unit: BenchUnit,
}

/// Unit of the figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) enum BenchUnit {
    #[default]
    #[serde(rename = "tokens/s")]
    TokensPerSecond,
    #[serde(rename = "texts/s")]
    TextsPerSecond,
    #[serde(rename = "reviews/s")]
    ReviewsPerSecond,
    #[serde(rename = "s")]
    Seconds,
}

/// Statistics over all runs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct BenchResult {
    #[serde(flatten)]
    pub(super) spec: BenchSpec,
    pub(super) runs: usize,
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Further fields of the result.
    #[serde(flatten)]
    pub(super) more: Map<String, Value>,
}

/// Runs every case once to warm up and then `runs` times, in turns, so that other load of the
/// machine affects all cases alike.
pub(super) fn measure(
    cases: &mut [BenchCase<'_>],
    runs: usize,
    context: &Context,
) -> anyhow::Result<Vec<BenchResult>> {
    let mut durations = vec![Vec::new(); cases.len()];
    for run in 0..=runs {
        for (case, durations) in cases.iter_mut().zip(&mut durations) {
            if context.stop_requested() {
                anyhow::bail!("stopped");
            }
            context.begin(&format!("{} {}", name_of(&case.spec.name), case.spec.sizes()), None);
            let duration = (case.once)();
            context.end();
            let duration = duration?;
            if run > 0 {
                durations.push(duration);
            }
        }
    }
    let measured =
        cases.iter().zip(&durations).map(|(case, durations)| case.spec.measured(durations));
    Ok(measured.collect())
}

impl BenchSpec {
    /// Computes the statistics from the times of the runs; `taken` must not be empty.
    pub(super) fn measured(&self, durations: &[Duration]) -> BenchResult {
        let mut figures: Vec<f64> =
            durations.iter().map(|duration| self.figure(*duration)).collect();
        figures.sort_by(f64::total_cmp);
        let n = figures.len();
        let median = (figures[(n - 1) / 2] + figures[n / 2]) / 2.0;
        let (min, max) = (figures[0], figures[n - 1]);
        BenchResult { spec: self.clone(), runs: n, median, min, max, more: Map::new() }
    }

    fn figure(&self, duration: Duration) -> f64 {
        let count = match self.unit {
            BenchUnit::Seconds => return duration.as_secs_f64(),
            BenchUnit::TokensPerSecond => self.n_tokens,
            BenchUnit::TextsPerSecond | BenchUnit::ReviewsPerSecond => self.n_seq,
        };
        count as f64 / duration.as_secs_f64().max(1e-9)
    }

    fn sizes(&self) -> String {
        format!("{} tokens, {} together, {} before", self.n_tokens, self.n_seq, self.depth)
    }
}

/// Runs `work` and returns the time it took.
pub(super) fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Formats the results as a table.
pub(super) fn table(results: &[BenchResult]) -> String {
    let mut table = format!(
        "{:<16}{:>8}{:>6}{:>7}{:>11}{:>11}{:>11}  unit",
        "name", "tokens", "seqs", "depth", "median", "min", "max"
    );
    for BenchResult { spec, median, min, max, more, .. } in results {
        let BenchSpec { name, n_tokens, n_seq, depth, unit } = spec;
        // Writing to a `String` cannot fail.
        let _ = write!(
            table,
            "\n{:<16}{n_tokens:>8}{n_seq:>6}{depth:>7}{:>11}{:>11}{:>11}  {}",
            name_of(name),
            shown(*median),
            shown(*min),
            shown(*max),
            name_of(unit),
        );
        for (name, value) in more {
            let _ = write!(table, "\n  {}: {value}", name.replace('_', " "));
        }
    }
    table
}

fn shown(figure: f64) -> String {
    match figure {
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(unit: BenchUnit) -> BenchSpec {
        BenchSpec { name: BenchName::Decode, n_tokens: 100, n_seq: 4, depth: 0, unit }
    }

    #[test]
    fn the_median_lies_between_the_smallest_and_the_largest() {
        let durations = [4.0, 1.0, 2.0, 10.0].map(Duration::from_secs_f64);
        let seconds = spec(BenchUnit::Seconds).measured(&durations);
        assert_eq!((seconds.median, seconds.min, seconds.max), (3.0, 1.0, 10.0));
        let rates = spec(BenchUnit::TokensPerSecond).measured(&durations[..3]);
        assert_eq!((rates.median, rates.min, rates.max), (50.0, 25.0, 100.0));
        assert_eq!(spec(BenchUnit::TextsPerSecond).measured(&durations[..1]).median, 1.0);
    }

    #[test]
    fn the_table_says_what_the_json_says() {
        let mut measured = spec(BenchUnit::TokensPerSecond).measured(&[Duration::from_millis(400)]);
        measured.more.insert("prompt_tokens".to_owned(), 7.into());
        let json = serde_json::to_value(&measured).unwrap_or_default();
        assert_eq!((&json["unit"], &json["n_seq"]), (&"tokens/s".into(), &4.into()));
        assert_eq!((&json["median"], &json["prompt_tokens"]), (&250.0.into(), &7.into()));
        let table = table(&[measured]);
        assert!(table.contains("250") && table.contains("tokens/s"), "{table}");
        assert!(table.contains("prompt tokens: 7"), "{table}");
    }
}
