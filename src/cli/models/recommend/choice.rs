//! Whether a model fits, and which one is recommended: pure functions.

use serde::Serialize;

/// Licences that allow use for any purpose, as catalog entries name them: a selection of those that
/// the Open Source Initiative approves.
const OPEN_LICENCES: [&str; 6] =
    ["Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0"];

/// Bytes that the program takes besides the weights and the KV caches: the most that was measured,
/// see benches/RESULTS.md ("Speed").
const OVERHEAD: u64 = 250_000_000;

/// Origin of a model's seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Basis {
    /// The model itself was measured, with shorter texts.
    Measured,
    /// Estimated, and corrected by the measured model of the nearest size.
    Corrected,
    /// Estimated from the speed of the kernels.
    Estimated,
}

/// Expected seconds for one text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct TextSeconds {
    pub(super) idiolect: f64,
    pub(super) dpl: f64,
    pub(super) basis: Basis,
}

/// One model of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ModelRow {
    pub(super) name: String,
    pub(super) parameters: String,
    pub(super) licence: String,
    pub(super) open_licence: bool,
    pub(super) installed: bool,
    /// Bytes of its files, if known.
    pub(super) file_bytes: Option<u64>,
    /// Bytes of memory that it needs, if known.
    pub(super) memory_bytes: Option<u64>,
    pub(super) fits: bool,
    /// Reason why it does not fit, or has no seconds.
    pub(super) reason: Option<String>,
    pub(super) seconds: Option<TextSeconds>,
}

/// Memory and disk that are free; `None` if the system does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct FreeSpace {
    pub(super) memory_bytes: Option<u64>,
    pub(super) disk_bytes: Option<u64>,
}

/// The recommended model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Recommendation {
    pub(super) name: String,
    pub(super) reason: String,
}

pub(super) fn is_open(licence: &str) -> bool {
    OPEN_LICENCES.contains(&licence)
}

/// Returns the bytes of memory that a model needs while the KV caches are full.
pub(super) fn memory(file_bytes: u64, kv_budget: u64) -> u64 {
    file_bytes.saturating_add(kv_budget).saturating_add(OVERHEAD)
}

/// Returns the reason why a model does not fit, if it does not. `disk` is what a fetch writes, 0 for
/// an installed model.
pub(super) fn misfit(memory: u64, disk: u64, free: FreeSpace) -> Option<String> {
    let too_little = |what: &str, needed: u64, free: Option<u64>| {
        let free = free.filter(|free| *free < needed)?;
        Some(format!("needs {} of {what}, {} are free", gigabytes(needed), gigabytes(free)))
    };
    too_little("memory", memory, free.memory_bytes)
        .or_else(|| too_little("disk", disk, free.disk_bytes))
}

/// Recommends the largest model under an open licence that fits and writes a text with `idiolect`
/// within so many seconds; if none is fast enough, the fastest that fits. Of models that are equally
/// large, an installed one, then the one named `default`, then the faster one.
pub(super) fn recommend(rows: &[ModelRow], within: f64, default: &str) -> Option<Recommendation> {
    let fitting = rows.iter().filter(|row| row.fits && row.open_licence);
    let timed = fitting.filter_map(|row| Some((row, row.seconds?.idiolect)));
    let timed: Vec<(&ModelRow, f64)> = timed.collect();
    let fast = timed.iter().filter(|(_, seconds)| *seconds <= within);
    let largest = fast.max_by(|(a, a_seconds), (b, b_seconds)| {
        let key = |row: &ModelRow| (row.installed, row.name == default);
        let sizes = parameters(&a.parameters).total_cmp(&parameters(&b.parameters));
        sizes.then(key(a).cmp(&key(b))).then(b_seconds.total_cmp(a_seconds))
    });
    if let Some((row, seconds)) = largest {
        let reason = format!(
            "the largest model under an open licence that fits and writes a text in {within} s \
             (about {})",
            shown_seconds(*seconds)
        );
        return Some(Recommendation { name: row.name.clone(), reason });
    }
    let (row, seconds) = timed.iter().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let reason = format!(
        "no model under an open licence writes a text in {within} s; of those that fit this one is \
         the fastest (about {})",
        shown_seconds(*seconds)
    );
    Some(Recommendation { name: row.name.clone(), reason })
}

/// Reads a number of weights like "135M" or "1.5B"; 0 if it is none.
pub(super) fn parameters(text: &str) -> f64 {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1e3),
        Some((at, 'M' | 'm')) => (&text[..at], 1e6),
        Some((at, 'B' | 'b')) => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    digits.parse::<f64>().ok().filter(|n| n.is_finite()).map_or(0.0, |n| n * unit)
}

/// Formats bytes in GB.
pub(super) fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Formats seconds with at most two digits that count.
pub(super) fn shown_seconds(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 5970.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn row(name: &str, parameters: &str, idiolect: f64) -> ModelRow {
        ModelRow {
            name: name.to_owned(),
            parameters: parameters.to_owned(),
            licence: "MIT".to_owned(),
            open_licence: true,
            installed: false,
            file_bytes: Some(1),
            memory_bytes: Some(1),
            fits: true,
            reason: None,
            seconds: Some(TextSeconds { idiolect, dpl: 1.0, basis: Basis::Estimated }),
        }
    }

    fn name(rows: &[ModelRow]) -> String {
        recommend(rows, 30.0, "main").unwrap().name
    }

    #[test]
    fn the_largest_that_is_open_fits_and_is_fast_enough() {
        let rows = [
            row("small", "135M", 1.0),
            row("middle", "0.5B", 10.0),
            ModelRow { open_licence: false, ..row("closed", "1.2B", 15.0) },
            ModelRow { fits: false, ..row("wide", "1.5B", 20.0) },
            ModelRow { seconds: None, ..row("unknown", "3B", 0.0) },
            row("slow", "7.6B", 31.0),
        ];
        assert_eq!(name(&rows), "middle");
        let reason = recommend(&rows, 30.0, "main").unwrap().reason;
        assert!(reason.contains("in 30 s (about 10 s)"), "{reason}");
        assert_eq!(recommend(&rows, 31.0, "main").unwrap().name, "slow");
        assert_eq!(recommend(&rows[2..5], 30.0, "main"), None);
    }

    #[test]
    fn if_none_is_fast_enough_the_fastest_is_named_as_such() {
        let rows = [row("a", "7B", 200.0), row("b", "3B", 90.0), row("c", "4B", 95.0)];
        let best = recommend(&rows, 30.0, "main").unwrap();
        assert_eq!(best.name, "b");
        assert!(best.reason.contains("no model") && best.reason.contains("90 s"), "{best:?}");
    }

    #[test]
    fn of_equally_large_ones_the_installed_then_the_default_then_the_faster() {
        let rows = [row("first", "1.5B", 9.0), row("fast", "1.5B", 8.0), row("main", "1.5B", 9.5)];
        assert_eq!(name(&rows[..2]), "fast");
        assert_eq!(name(&rows), "main");
        let there = ModelRow { installed: true, ..row("there", "1.5B", 12.0) };
        assert_eq!(name(&[&rows[..], &[there]].concat()), "there");
    }

    #[test]
    fn the_reason_names_what_is_short() {
        let free = FreeSpace { memory_bytes: Some(2_000_000_000), disk_bytes: Some(500_000_000) };
        assert_eq!(misfit(2_000_000_000, 500_000_000, free), None);
        let memory = misfit(2_100_000_000, 0, free).unwrap();
        assert_eq!(memory, "needs 2.1 GB of memory, 2.0 GB are free");
        assert!(misfit(1, 600_000_000, free).unwrap().contains("0.6 GB of disk, 0.5 GB are free"));
        // What the system does not say stops nobody.
        assert_eq!(misfit(u64::MAX, u64::MAX, FreeSpace::default()), None);
        assert_eq!(memory_of(1_000), 1_000 + (1 << 30) + OVERHEAD);
        assert_eq!(super::memory(u64::MAX, 1), u64::MAX);
    }

    fn memory_of(file_bytes: u64) -> u64 {
        super::memory(file_bytes, 1 << 30)
    }

    #[test]
    fn numbers_of_weights_are_read() {
        for (text, n) in [("135M", 135e6), ("1.5B", 1.5e9), ("22.7M", 22.7e6), ("12", 12.0)] {
            assert_eq!(parameters(text), n, "{text}");
        }
        for wrong in ["", "B", "many", "1.2.3M", "µ", "infB"] {
            assert_eq!(parameters(wrong), 0.0, "{wrong}");
        }
    }

    #[test]
    fn licences_that_restrict_use_are_not_open() {
        assert!(is_open("Apache-2.0") && is_open("MIT"));
        assert!(!is_open("Llama-3.2") && !is_open("Gemma") && !is_open("none"));
    }

    #[test]
    fn seconds_are_shown_with_few_digits() {
        let shown = [0.26, 9.94, 12.4, 99.4, 200.0, 9000.0].map(shown_seconds);
        assert_eq!(shown, ["0.3 s", "9.9 s", "12 s", "99 s", "3 min", "2 h"]);
    }
}
