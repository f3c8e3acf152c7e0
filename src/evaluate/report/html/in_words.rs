//! Section that states the main findings in sentences.

use super::metrics::MetricView;
use super::tags::{Tag, listed, tag};
use super::{Page, Section};
use idiolect_metrics::statistics::Verdict;

/// Measures whose value of no effect shows whether a method personalizes at all.
const AGAINST_NOTHING: [&str; 5] =
    ["likelihood_lift", "rouge1_gain", "swap_stylometry", "swap_likelihood", "identified_auc"];

/// Measures on which methods are compared with the baseline method.
const AGAINST_ANOTHER: [&str; 6] =
    ["likelihood_lift", "bits_right", "rouge1", "rouge1_gain", "swap_stylometry", "judge"];

/// Section with the findings on the measures of the report; `None` if there are none.
pub(super) fn section(page: &Page<'_>) -> Option<Section> {
    let taken = |name: &&'static str| page.measure(name);
    let personal: Vec<Tag> =
        AGAINST_NOTHING.iter().filter_map(taken).map(|measure| of_measure(page, measure)).collect();
    let compared: Vec<Tag> =
        AGAINST_ANOTHER.iter().filter_map(taken).filter_map(|m| against_another(page, m)).collect();
    if personal.is_empty() && compared.is_empty() {
        return None;
    }
    let words = "The main findings, put in words from the figures below. A method counts as above \
                 or below where its interval does not hold the value of no effect; these intervals \
                 are not corrected for the number of methods, the comparisons of methods are.";
    let mut part = Section::new("in-words", "In words", words);
    if !personal.is_empty() {
        part = part.put(tag("h3").text("Does the person matter?"));
        part = part.put(tag("ul").class("findings").put_all(personal));
    }
    if let (false, Some(against)) = (compared.is_empty(), page.against) {
        part = part.put(tag("h3").text(format_args!("Held against {against}")));
        part = part.put(tag("ul").class("findings").put_all(compared));
    }
    Some(part)
}

/// Methods by the position of their interval: above the value of no effect, below it, or containing
/// it.
fn of_measure(page: &Page<'_>, measure: &MetricView) -> Tag {
    let none = measure.no_effect.unwrap_or(0.0);
    let [mut above, mut below, mut holding, mut alone] = [const { Vec::new() }; 4];
    for (name, method) in page.methods() {
        let Some(figure) = method.figures.get(&measure.name) else { continue };
        let entry = format!("{name} ({})", measure.show(figure.mean));
        match figure.low.zip(figure.high) {
            None => alone.push(entry),
            Some((low, _)) if low > none => above.push(entry),
            Some((_, high)) if high < none => below.push(entry),
            Some(_) => holding.push(entry),
        }
    }
    let value = measure.style.show(none);
    let value = if measure.is_difference() { "0".to_owned() } else { value };
    finding(
        measure,
        [
            (format!("above {value} for"), above),
            (format!("below {value} for"), below),
            (format!("not shown to differ from {value} for"), holding),
            ("no interval, so nothing is shown, for".to_owned(), alone),
        ],
    )
}

/// Methods that are shown to be higher or lower than the baseline method; `None` if there are no
/// pairs.
fn against_another(page: &Page<'_>, measure: &MetricView) -> Option<Tag> {
    let against = page.against?;
    let [mut higher, mut lower, mut not_shown] = [const { Vec::new() }; 3];
    for pair in page.report.comparisons.iter().filter(|pair| pair.measure == measure.name) {
        let (name, sign) = match (pair.a, pair.b) {
            (a, b) if b == against => (a, 1.0),
            (a, b) if a == against => (b, -1.0),
            _ => continue,
        };
        let entry = format!("{name} ({})", measure.style.difference(sign * pair.difference));
        match pair.verdict {
            Verdict::NoDifferenceShown => not_shown.push(entry),
            verdict if (verdict == Verdict::Higher) == (sign > 0.0) => higher.push(entry),
            _ => lower.push(entry),
        }
    }
    let findings = [
        ("higher for".to_owned(), higher),
        ("lower for".to_owned(), lower),
        ("no difference shown for".to_owned(), not_shown),
    ];
    let any = findings.iter().any(|(_, names)| !names.is_empty());
    any.then(|| finding(measure, findings))
}

fn finding<const N: usize>(measure: &MetricView, findings: [(String, Vec<String>); N]) -> Tag {
    let sentences = findings.into_iter().filter(|(_, names)| !names.is_empty());
    let sentences: Vec<String> =
        sentences.map(|(finding, names)| format!("{finding} {}", listed(&names))).collect();
    let better = if measure.less_is_better { " (fewer is better)" } else { "" };
    let label = tag("b").text(&measure.label);
    tag("li").put(label).text(format_args!("{better}: {}.", sentences.join("; ")))
}
