//! Runs benchmarks in turns and summarises their times.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use idiolect::progress::Progress as _;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::context::Context;

/// A benchmark that can be run repeatedly.
pub(super) struct BenchCase<'a> {
    pub(super) what: BenchSpec,
    /// Runs it once and returns the time it took, without preparations.
    pub(super) once: Box<dyn FnMut() -> anyhow::Result<Duration> + 'a>,
}

/// Name and sizes of a benchmark.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct BenchSpec {
    pub(super) name: &'static str,
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
    pub(super) what: BenchSpec,
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
    let mut taken = vec![Vec::new(); cases.len()];
    for run in 0..=runs {
        for (case, taken) in cases.iter_mut().zip(&mut taken) {
            if context.stop_requested() {
                anyhow::bail!("stopped");
            }
            context.begin(&format!("{} {}", case.what.name, case.what.sizes()), None);
            let duration = (case.once)();
            context.end();
            let duration = duration?;
            if run > 0 {
                taken.push(duration);
            }
        }
    }
    let measured = cases.iter().zip(&taken).map(|(case, taken)| case.what.measured(taken));
    Ok(measured.collect())
}

impl BenchSpec {
    /// Computes the statistics from the times of the runs; `taken` must not be empty.
    pub(super) fn measured(&self, taken: &[Duration]) -> BenchResult {
        let mut figures: Vec<f64> = taken.iter().map(|taken| self.figure(*taken)).collect();
        figures.sort_by(f64::total_cmp);
        let n = figures.len();
        let median = (figures[(n - 1) / 2] + figures[n / 2]) / 2.0;
        let (min, max) = (figures[0], figures[n - 1]);
        BenchResult { what: self.clone(), runs: n, median, min, max, more: Map::new() }
    }

    fn figure(&self, taken: Duration) -> f64 {
        let count = match self.unit {
            BenchUnit::Seconds => return taken.as_secs_f64(),
            BenchUnit::TokensPerSecond => self.n_tokens,
            BenchUnit::TextsPerSecond | BenchUnit::ReviewsPerSecond => self.n_seq,
        };
        count as f64 / taken.as_secs_f64().max(1e-9)
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
        "what", "tokens", "seqs", "depth", "median", "min", "max"
    );
    for BenchResult { what, median, min, max, more, .. } in results {
        let BenchSpec { name, n_tokens, n_seq, depth, unit } = what;
        // Writing to a `String` cannot fail.
        let _ = write!(
            table,
            "\n{name:<16}{n_tokens:>8}{n_seq:>6}{depth:>7}{:>11}{:>11}{:>11}  {}",
            shown(*median),
            shown(*min),
            shown(*max),
            serde_json::to_value(unit)
                .ok()
                .and_then(|u| Some(u.as_str()?.to_owned()))
                .unwrap_or_default(),
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

    fn what(unit: BenchUnit) -> BenchSpec {
        BenchSpec { name: "decode", n_tokens: 100, n_seq: 4, depth: 0, unit }
    }

    #[test]
    fn the_median_lies_between_the_smallest_and_the_largest() {
        let taken = [4.0, 1.0, 2.0, 10.0].map(Duration::from_secs_f64);
        let seconds = what(BenchUnit::Seconds).measured(&taken);
        assert_eq!((seconds.median, seconds.min, seconds.max), (3.0, 1.0, 10.0));
        let rates = what(BenchUnit::TokensPerSecond).measured(&taken[..3]);
        assert_eq!((rates.median, rates.min, rates.max), (50.0, 25.0, 100.0));
        assert_eq!(what(BenchUnit::TextsPerSecond).measured(&taken[..1]).median, 1.0);
    }

    #[test]
    fn the_table_says_what_the_json_says() {
        let mut measured = what(BenchUnit::TokensPerSecond).measured(&[Duration::from_millis(400)]);
        measured.more.insert("prompt_tokens".to_owned(), 7.into());
        let json = serde_json::to_value(&measured).unwrap_or_default();
        assert_eq!((&json["unit"], &json["n_seq"]), (&"tokens/s".into(), &4.into()));
        assert_eq!((&json["median"], &json["prompt_tokens"]), (&250.0.into(), &7.into()));
        let table = table(&[measured]);
        assert!(table.contains("250") && table.contains("tokens/s"), "{table}");
        assert!(table.contains("prompt tokens: 7"), "{table}");
    }
}
