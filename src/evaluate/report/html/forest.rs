//! Forest plots: mean and interval of every method on one measure, above a common axis.

use super::Page;
use super::metrics::MetricView;
use super::numbers::interval;
use super::svg::{Scale, dot, drawing, line, word};
use super::tags::{Tag, tag};
use crate::report::Figure;

const WIDTH: f64 = 360.0;
const ROW: f64 = 20.0;
/// Height above the rows, for labels of vertical lines.
const TOP: f64 = 20.0;
/// Height below the rows, for axis labels.
const BOTTOM: f64 = 22.0;
/// Approximate width of a letter of a method name.
const LETTER: f64 = 6.3;

/// One plot for each measure that is to be drawn.
pub(super) fn plots(page: &Page<'_>, measures: &[&MetricView]) -> Tag {
    let drawn = measures.iter().filter(|measure| measure.drawn);
    let plots = drawn.filter_map(|measure| {
        let rows: Vec<(&str, &Figure)> = page
            .methods()
            .filter_map(|(name, method)| Some((name, method.figures.get(&measure.name)?)))
            .collect();
        (!rows.is_empty()).then(|| plot(page, measure, &rows))
    });
    tag("div").class("plots").put_all(plots)
}

fn plot(page: &Page<'_>, measure: &MetricView, rows: &[(&str, &Figure)]) -> Tag {
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let left = (longest as f64 * LETTER + 10.0).min(WIDTH / 2.0);
    let bottom = TOP + rows.len() as f64 * ROW;
    let ceiling = page.report.ceiling.get(&measure.name);
    let ends = |figure: &Figure| [Some(figure.mean), figure.low, figure.high];
    let of_rows = rows.iter().flat_map(|(_, figure)| ends(figure));
    let values = of_rows.chain([measure.no_effect]).chain([ceiling.map(|figure| figure.mean)]);
    let scale = Scale::over(values.flatten(), measure.style, (left, WIDTH - 14.0));
    let title = format!("{}: mean and {} interval of each method", measure.label, page.sure);
    let id = format!("forest-{}", measure.name);
    let mut svg =
        drawing(&id, (WIDTH, bottom + BOTTOM), &title, &described(measure, rows, ceiling));
    for (value, label) in scale.marks(5) {
        let at = scale.at(value);
        svg = svg.put(line("grid", (at, TOP), (at, bottom)));
        svg = svg.put(word("mark below", (at, bottom + 14.0), label));
    }
    svg = svg.put(line("axis", (left, bottom), (WIDTH - 14.0, bottom)));
    if let Some(value) = measure.no_effect {
        let at = scale.at(value);
        svg = svg.put(line("no-effect", (at, TOP - 4.0), (at, bottom)));
    }
    if let Some(figure) = ceiling {
        let at = scale.at(figure.mean);
        let class = if at > WIDTH - 60.0 { "name ceiling left" } else { "name ceiling below" };
        let to = if at > WIDTH - 60.0 { WIDTH - 8.0 } else { at };
        svg = svg.put(line("ceiling", (at, TOP - 4.0), (at, bottom)));
        svg = svg.put(word(class, (to, TOP - 8.0), "ceiling"));
    }
    for (number, (name, figure)) in rows.iter().enumerate() {
        let y = TOP + (number as f64 + 0.5) * ROW;
        let label = match interval(figure, |end| measure.show(end)) {
            Some(ends) => format!("{name}: {} ({ends})", measure.show(figure.mean)),
            None => format!("{name}: {}", measure.show(figure.mean)),
        };
        let mut row = tag("g").put(tag("title").text(label));
        row = row.put(word("name left", (left - 8.0, y + 4.0), name));
        row = row.put(line("row", (left, y), (WIDTH - 14.0, y)));
        if let Some((low, high)) = figure.low.zip(figure.high) {
            row = row.put(line("interval", (scale.at(low), y), (scale.at(high), y)));
        }
        svg = svg.put(row.put(dot("mean", (scale.at(figure.mean), y), 4.0)));
    }
    tag("figure").put(tag("figcaption").text(measure.in_group())).put(svg)
}

/// Text description of the plot, for screen readers.
fn described(measure: &MetricView, rows: &[(&str, &Figure)], ceiling: Option<&Figure>) -> String {
    let of_row = |(name, figure): &(&str, &Figure)| {
        let mean = measure.show(figure.mean);
        match interval(figure, |end| measure.show(end)) {
            Some(ends) => format!("{name} {mean} ({ends})"),
            None => format!("{name} {mean}"),
        }
    };
    let mut values: Vec<String> = rows.iter().map(of_row).collect();
    values.extend(ceiling.map(|figure| format!("ceiling {}", measure.show(figure.mean))));
    values
        .extend(measure.no_effect.map(|value| format!("no effect {}", measure.style.show(value))));
    values.join("; ")
}
