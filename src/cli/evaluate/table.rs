//! Prints the main figures of a report as a table.

use idiolect::evaluate::report::{EvalReport, Figure};
use idiolect::evaluate::statistics::Verdict;

use super::super::output;

/// Heading, measure, number of decimals.
const COLUMNS: [(&str, &str, usize); 13] = [
    ("rouge1", "rouge1", 3),
    ("rougeL", "rougeL", 3),
    ("meteor", "meteor", 3),
    ("meteor*", "meteor_exact_stem", 3),
    ("bleu", "bleu", 2),
    ("length", "length_ratio", 2),
    ("gain", "rouge1_gain", 3),
    ("bits", "bits_right", 3),
    ("lift", "likelihood_lift", 3),
    ("swap", "swap_stylometry", 2),
    ("swap-g", "swap_lambda_g", 2),
    ("swap-l", "swap_likelihood", 2),
    ("first", "identified_first", 2),
];

pub(super) fn print(report: &EvalReport) -> anyhow::Result<()> {
    let EvalReport { users, texts, seeds, pairs, .. } = report;
    output::line(&format!("{users} users, {texts} held-out texts, {seeds} seeds, {pairs} pairs"))?;
    output::line("")?;
    let columns: Vec<_> = COLUMNS
        .iter()
        .filter(|(_, measure, _)| report.methods.values().any(|m| m.figures.contains_key(*measure)))
        .collect();
    let heading: String = columns.iter().map(|(heading, ..)| format!("{heading:>16}")).collect();
    output::line(&format!("{:<22}{heading}{:>10}", "", "prompt"))?;
    for name in &report.order {
        let Some(method) = report.methods.get(name) else { continue };
        let cells =
            columns.iter().map(|(_, measure, digits)| cell(method.figures.get(*measure), *digits));
        let tokens = method.cost.prompt_tokens.map_or(String::new(), |n| format!("{n:.0}"));
        output::line(&format!("{name:<22}{}{tokens:>10}", cells.collect::<String>()))?;
    }
    if !report.ceiling.is_empty() {
        let cells =
            columns.iter().map(|(_, measure, digits)| cell(report.ceiling.get(*measure), *digits));
        output::line(&format!("{:<22}{}", "real texts", cells.collect::<String>()))?;
    }
    output::line("")?;
    let shown = |of: &dyn Fn(&Verdict) -> bool| {
        report.comparisons.iter().filter(|compared| of(&compared.verdict)).count()
    };
    let different = shown(&|verdict| *verdict != Verdict::NoDifferenceShown);
    output::line(&format!(
        "{different} of {} comparisons of two methods show a difference (Holm-corrected p below \
         {}); --json and --csv have all figures",
        report.comparisons.len(),
        report.provenance.statistics.level
    ))
}

/// Formats a mean and half the width of its confidence interval.
fn cell(figure: Option<&Figure>, digits: usize) -> String {
    let Some(figure) = figure else { return format!("{:>16}", "") };
    let mean = format!("{:.digits$}", figure.mean);
    let text = match figure.low.zip(figure.high) {
        Some((low, high)) => format!("{mean} ± {:.digits$}", (high - low) / 2.0),
        None => mean,
    };
    format!("{text:>16}")
}
