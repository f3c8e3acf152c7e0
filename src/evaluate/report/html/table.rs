//! Tables with methods as rows and measures as columns.

use super::metrics::{MetricSection, MetricView};
use super::numbers::{Style, count, duration, interval, many};
use super::tags::{Tag, tag};
use super::{Page, Section, scrolling};
use crate::report::{Figure, MethodReport};
use idiolect_metrics::statistics::Verdict;

/// Overview section: the main measures of every group, and the cost per text.
pub(super) fn overview(page: &Page<'_>) -> Option<Section> {
    let first: Vec<&MetricView> = page.measures.iter().filter(|measure| measure.first).collect();
    let costly = page.methods().any(|(_, method)| method.cost.calls.is_some());
    if first.is_empty() && !costly {
        return None;
    }
    let sure = &page.sure;
    let marks = match page.against {
        Some(against) if page.report.order.len() > 1 => format!(
            " An arrow marks what is shown to be higher (\u{25b2}) or lower (\u{25bc}) than {against} \
             on the same users; without one no difference is shown."
        ),
        _ => String::new(),
    };
    let words = format!(
        "One row a method; each figure is the mean over users or pairs of users, or one figure of all \
         texts together, with its {sure} interval under it, and p of chance where there is a test of \
         it.{marks} The last rows say what the users' real texts reach and what no effect looks \
         like. The measures are explained below, group by group."
    );
    let part = Section::new("overview", "Overview", &words);
    let mut part = part.put(titled(page, &first, "Overview", costly));
    let n = page.report.texts;
    for (name, method) in page.methods().filter(|(_, method)| method.without_history > 0) {
        let without = count(method.without_history as f64);
        part = part.put(tag("p").class("note").text(format_args!(
            "{name}: {without} of {} are of users without a past text that it could read.",
            many(n, "held-out text"),
        )));
    }
    Some(part)
}

/// Table with all figures of some measures.
pub(super) fn figures(page: &Page<'_>, measures: &[&MetricView], heading: &str) -> Tag {
    titled(page, measures, heading, false)
}

/// Section with the cost per text.
pub(super) fn cost(page: &Page<'_>) -> Option<Section> {
    let rows: Vec<Tag> = page
        .methods()
        .map(|(name, method)| {
            let seconds = cell(Some(method.seconds), duration);
            tag("tr").put(row_head(name)).put_all(cost_cells(method)).put(seconds)
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let heads = COSTS.into_iter().chain(["This run"]).map(column_head);
    let head = tag("thead").put(tag("tr").put(column_head("Method")).put_all(heads));
    let table = tag("table").with("data-sort", "").put(tag("caption").text("Cost"));
    let table = table.put(head).put(tag("tbody").put_all(rows));
    let words = "What writing one text takes, mean over texts, counted as if nothing were kept from \
                 before: these figures can be compared. The time is of this run with all that it \
                 measured, and is short where answers were in the store already: it cannot.";
    Some(Section::new("cost", "Cost", words).put(scrolling("Cost", table)))
}

const COSTS: [&str; 3] = ["Calls a text", "Prompt tokens a text", "Generated tokens a text"];

fn titled(page: &Page<'_>, measures: &[&MetricView], heading: &str, costly: bool) -> Tag {
    let several = measures.iter().any(|m| m.group != measures[0].group) || costly;
    let mut head = tag("thead");
    if several {
        head = head.put(group_heads(measures, costly));
    }
    let labels = measures.iter().map(|measure| {
        let label = column_head(&measure.in_group());
        label.put_all(units(page, measure).map(|units| tag("small").text(units)))
    });
    let costs = COSTS.into_iter().filter(|_| costly).map(column_head);
    let method = column_head("Method");
    head = head.put(tag("tr").put(method).put_all(labels).put_all(costs));
    let rows = page.methods().map(|(name, method)| {
        let cells = measures.iter().map(|measure| {
            let figure = method.figures.get(&measure.name);
            figure_cell(page, measure, figure, mark(page, measure, name))
        });
        let costs = cost_cells(method).into_iter().filter(|_| costly);
        tag("tr").put(row_head(name)).put_all(cells).put_all(costs)
    });
    let ceiling = &page.report.ceiling;
    let mut foot = tag("tfoot");
    let empty = || (0..COSTS.len()).filter(|_| costly).map(|_| tag("td"));
    if measures.iter().any(|measure| ceiling.contains_key(&measure.name)) {
        let cells = measures.iter().map(|m| match ceiling.get(&m.name) {
            Some(figure) => figure_cell(page, m, Some(figure), None),
            None => tag("td"),
        });
        let head = row_head("ceiling: real texts");
        foot = foot.put(tag("tr").put(head).put_all(cells).put_all(empty()));
    }
    if measures.iter().any(|measure| measure.no_effect.is_some()) {
        let cells = measures.iter().map(|measure| match measure.no_effect {
            Some(value) => tag("td").text(measure.style.show(value)),
            None => tag("td"),
        });
        foot = foot.put(tag("tr").put(row_head("no effect")).put_all(cells).put_all(empty()));
    }
    let table = tag("table").with("data-sort", "").put(tag("caption").text(heading));
    scrolling(heading, table.put(head).put(tag("tbody").put_all(rows)).put(foot))
}

/// Header row with the group names above their columns.
fn group_heads(measures: &[&MetricView], costly: bool) -> Tag {
    let name = |group: MetricSection| match group {
        MetricSection::Likelihood => "Likelihood",
        MetricSection::Lexical => "Lexical",
        MetricSection::WrongUser => "Wrong-user gain",
        MetricSection::Swap => "Swap test",
        MetricSection::Identification => "Identification",
        MetricSection::Judge => "Judge",
        MetricSection::NeutralTitle => "Without the title",
        MetricSection::Other => "Other",
    };
    let head = |name: &str, n: usize| {
        tag("th").with("scope", "colgroup").with("colspan", n).class("group").text(name)
    };
    let groups = MetricSection::ALL.into_iter().filter_map(|group| {
        let n = measures.iter().filter(|measure| measure.group == group).count();
        (n > 0).then(|| head(name(group), n))
    });
    tag("tr").put(tag("td")).put_all(groups).put_all(costly.then(|| head("Cost", COSTS.len())))
}

fn column_head(label: &str) -> Tag {
    tag("th").with("scope", "col").text(label)
}

fn row_head(name: &str) -> Tag {
    tag("th").with("scope", "row").text(name)
}

/// Number of users or pairs of a column, if it is the same for all methods.
fn units(page: &Page<'_>, measure: &MetricView) -> Option<String> {
    let n = common_n(page, measure)?;
    Some(many(n, unit(measure)))
}

fn unit(measure: &MetricView) -> &'static str {
    if measure.group == MetricSection::Swap { "pair" } else { "user" }
}

/// Number of units of a measure, if it is the same for all methods. `None` for figures over all
/// texts together (distinct-1 and -2): they have no interval and count texts.
fn common_n(page: &Page<'_>, measure: &MetricView) -> Option<usize> {
    if measure.name.starts_with("distinct") {
        return None;
    }
    let figures = page.methods().filter_map(|(_, method)| method.figures.get(&measure.name));
    let mut counts: Vec<usize> = figures.map(|figure| figure.n).collect();
    counts.dedup();
    (counts.len() == 1).then(|| counts[0])
}

fn figure_cell(
    page: &Page<'_>,
    measure: &MetricView,
    figure: Option<&Figure>,
    mark: Option<Tag>,
) -> Tag {
    let Some(figure) = figure else { return missing() };
    let mean = tag("b").text(measure.show(figure.mean)).put_all(mark);
    let small = |text: String| tag("small").text(text);
    let units = match common_n(page, measure) {
        None if !measure.name.starts_with("distinct") => Some(many(figure.n, unit(measure))),
        _ => None,
    };
    let p = figure.p.map(|p| format!("p {}", equals(&super::numbers::p_value(p))));
    let value = tag("td").with("data-value", figure.mean).put(mean);
    value
        .put_all(interval(figure, |end| measure.show(end)).map(small))
        .put_all(p.map(small))
        .put_all(units.map(small))
}

/// `= 0.042`, or `< 0.001` unchanged.
pub(super) fn equals(p: &str) -> String {
    if p.starts_with('<') { p.to_owned() } else { format!("= {p}") }
}

/// Arrow if a method is shown to be above or below the baseline method.
fn mark(page: &Page<'_>, measure: &MetricView, method: &str) -> Option<Tag> {
    let against = page.against?;
    let found = page.report.comparisons.iter().find(|c| {
        c.measure == measure.name
            && ((c.a, c.b) == (method, against) || (c.a, c.b) == (against, method))
    })?;
    let higher = match found.verdict {
        Verdict::NoDifferenceShown => return None,
        Verdict::Higher => found.a == method,
        Verdict::Lower => found.a != method,
    };
    let (sign, word) = if higher { ("\u{25b2}", "higher") } else { ("\u{25bc}", "lower") };
    let label = format!("{word} than {against}");
    Some(
        tag("abbr").with("title", &label).with("aria-label", &label).with("role", "img").text(sign),
    )
}

fn cost_cells(method: &MethodReport) -> Vec<Tag> {
    let cost = &method.cost;
    let calls = |value: f64| {
        if value.fract() == 0.0 { count(value) } else { Style::Coarse.show(value) }
    };
    vec![
        cell(cost.calls, calls),
        cell(cost.prompt_tokens, count),
        cell(cost.completion_tokens, count),
    ]
}

fn cell(value: Option<f64>, show: impl Fn(f64) -> String) -> Tag {
    match value {
        Some(value) => tag("td").with("data-value", value).put(tag("b").text(show(value))),
        None => missing(),
    }
}

fn missing() -> Tag {
    tag("td").class("none").with("aria-label", "not measured").text("\u{2013}")
}
