//! Section with the pairwise comparisons of methods.

use super::metrics::MetricView;
use super::numbers::{many, p_value};
use super::tags::{Tag, tag};
use super::{Page, Section, scrolling};
use crate::report::MethodComparison;
use idiolect_metrics::statistics::Verdict;

/// Measures whose tables are initially open.
const OPEN: [&str; 2] = ["likelihood_lift", "rouge1"];

/// All pairs of methods on all measures; `None` if there are no comparisons.
pub(super) fn section(page: &Page<'_>) -> Option<Section> {
    let measures = page.measures.iter().filter_map(|measure| {
        let pairs = page.report.comparisons.iter().filter(|c| c.measure == measure.name);
        let pairs: Vec<&MethodComparison> = pairs.collect();
        (!pairs.is_empty()).then(|| of_measure(page, measure, &pairs))
    });
    let measures: Vec<Tag> = measures.collect();
    if measures.is_empty() {
        return None;
    }
    let settings = &page.report.provenance.statistics;
    let words = format!(
        "Every two methods on the users that both have: the mean difference, the first less the \
         second, with its {} interval; p is that of a paired permutation test, then corrected after \
         Holm over all pairs of the measure. Two methods differ where the corrected p is below {} \
         and the interval does not hold 0. \u{201c}No difference shown\u{201d} does not say that two \
         methods are alike, only that these users do not tell them apart.",
        page.sure, settings.level
    );
    let words = match page.against {
        Some(against) => format!("{words} A bar marks the pairs with {against}."),
        None => words,
    };
    let part = Section::new("comparisons", "Which methods differ", &words);
    Some(measures.into_iter().fold(part, Section::put))
}

fn of_measure(page: &Page<'_>, measure: &MetricView, pairs: &[&MethodComparison]) -> Tag {
    let differing = pairs.iter().filter(|c| c.verdict != Verdict::NoDifferenceShown).count();
    let count = match (differing, pairs.len()) {
        (0, 1) => "no difference shown".to_owned(),
        (_, 1) => "the two differ".to_owned(),
        (0, n) => format!("no difference shown between any of {}", many(n, "pair")),
        (differing, n) => format!("{differing} of {} differ", many(n, "pair")),
    };
    let summary = tag("summary").put(tag("b").text(&measure.label)).text(format_args!(": {count}"));
    let heads =
        ["First", "Second", "Difference", "Interval", "Users", "p", "p, corrected", "Shown"];
    let heads = heads.into_iter().map(|head| {
        let class = if ["Second", "Shown"].contains(&head) { "word" } else { "number" };
        tag("th").with("scope", "col").class(class).text(head)
    });
    let head = tag("thead").put(tag("tr").put_all(heads));
    let body = tag("tbody").put_all(pairs.iter().map(|pair| row(page, measure, pair)));
    let caption = format!("{}: pairs of methods", measure.label);
    let table = tag("table").with("data-sort", "").put(tag("caption").text(&caption));
    let details = tag("details").put(summary).put(scrolling(&caption, table.put(head).put(body)));
    if OPEN.contains(&measure.name.as_str()) { details.with("open", "") } else { details }
}

fn row(page: &Page<'_>, measure: &MetricView, pair: &MethodComparison) -> Tag {
    let show = |value: f64| measure.style.difference(value);
    let value = |value: f64, shown: String| tag("td").with("data-value", value).text(shown);
    let ends = match pair.low.zip(pair.high) {
        Some((low, high)) => format!("{} to {}", show(low), show(high)),
        None => "\u{2013}".to_owned(),
    };
    let (class, shown) = match pair.verdict {
        Verdict::NoDifferenceShown => ("alike", Verdict::NoDifferenceShown.to_string()),
        verdict => ("apart", format!("{} {verdict}", pair.a)),
    };
    // The method name is the row header, so that screen readers can announce the row.
    let first = tag("th").with("scope", "row").text(pair.a);
    let against = Some(pair.b) == page.against || Some(pair.a) == page.against;
    let row = if against { tag("tr").class("against") } else { tag("tr") };
    row.put(first)
        .put(tag("td").class("word").text(pair.b))
        .put(value(pair.difference, show(pair.difference)))
        .put(tag("td").text(ends))
        .put(value(pair.n as f64, pair.n.to_string()))
        .put(value(pair.p, p_value(pair.p)))
        .put(value(pair.p_holm, p_value(pair.p_holm)))
        .put(tag("td").with("class", format_args!("word {class}")).text(shown))
}
