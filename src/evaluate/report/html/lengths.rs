//! Section with plots of text length against ROUGE-1.

use super::metrics::MetricView;
use super::numbers::interval;
use super::svg::{Scale, dot, drawing, frame, line, word};
use super::tags::{Tag, tag};
use super::{Page, Section, scrolling};
use crate::report::MethodReport;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 52.0;
const SMALL: f64 = 250.0;
/// Least vertical distance between two method names.
const APART: f64 = 13.0;

/// Plot of the methods' means, then one plot of users per method; `None` if no text was generated.
pub(super) fn section(page: &Page<'_>) -> Option<Section> {
    let (length, score) = (page.measure("length_ratio")?, page.measure("rouge1")?);
    let methods: Vec<_> = page
        .methods()
        .filter(|(_, method)| [length, score].iter().all(|m| method.figures.contains_key(&m.name)))
        .collect();
    if methods.is_empty() {
        return None;
    }
    let words = "How long the texts are beside the real ones (to the right; 1 is the same length) \
                 and their ROUGE-1 (upwards). Where the dots follow a line, a score tells of length \
                 first; compare methods of like length. First the methods with their intervals, \
                 then each method's users.";
    let part = Section::new("length", "Length against score", words);
    let of_users = of_users(&methods, length, score);
    let of_methods = of_methods(&methods, length, score).class("wide");
    let part = part.put(scrolling("Length ratio and ROUGE-1 of the methods", of_methods));
    Some(part.put(tag("div").class("plots small").put_all(of_users)))
}

type Methods<'a> = [(&'static str, &'a MethodReport)];

fn of_methods(methods: &Methods<'_>, length: &MetricView, score: &MetricView) -> Tag {
    let ends = |measure: &MetricView| {
        let figures = methods.iter().filter_map(|(_, method)| method.figures.get(&measure.name));
        let ends = figures.flat_map(|figure| [Some(figure.mean), figure.low, figure.high]);
        ends.flatten().collect::<Vec<f64>>()
    };
    // Leaves space for method names to the right of the dots.
    let x = Scale::over(ends(length).into_iter().chain([1.0]), length.style, (LEFT, WIDTH - 110.0));
    let y = Scale::over(ends(score), score.style, (HEIGHT - 40.0, 10.0));
    let mut names: Vec<(f64, f64, &str)> = Vec::new();
    let mut descriptions = Vec::new();
    let mut marks = tag("g");
    for (name, method) in methods {
        let figures = (method.figures.get(&length.name), method.figures.get(&score.name));
        let (Some(of_length), Some(of_score)) = figures else { continue };
        let at = (x.at(of_length.mean), y.at(of_score.mean));
        if let Some((low, high)) = of_length.low.zip(of_length.high) {
            marks = marks.put(line("interval thin", (x.at(low), at.1), (x.at(high), at.1)));
        }
        if let Some((low, high)) = of_score.low.zip(of_score.high) {
            marks = marks.put(line("interval thin", (at.0, y.at(low)), (at.0, y.at(high))));
        }
        marks = marks.put(dot("mean", at, 4.5));
        names.push((at.1, at.0, name));
        let ends = interval(of_score, |end| score.show(end));
        let ends = ends.map(|ends| format!(" ({ends})")).unwrap_or_default();
        let (long, high) = (length.show(of_length.mean), score.show(of_score.mean));
        descriptions.push(format!("{name}: length ratio {long}, ROUGE-1 {high}{ends}"));
    }
    let title = "Length ratio and ROUGE-1 of each method";
    let mut svg = drawing("lengths", (WIDTH, HEIGHT), title, &descriptions.join("; "));
    svg = svg.put_all(frame(&x, &y, 6));
    svg = svg.put(line("no-effect", (x.at(1.0), 10.0), (x.at(1.0), HEIGHT - 40.0))).put(marks);
    for (at, (dot_y, dot_x, name)) in spread(names) {
        // A name is above its interval; a line connects a name that was moved to its dot.
        let foot = at - 6.0;
        if (at - dot_y).abs() > 1.0 {
            svg = svg.put(line("tie", (dot_x + 4.0, dot_y), (dot_x + 12.0, foot - 3.0)));
        }
        svg = svg.put(word("name", (dot_x + 13.0, foot), name));
    }
    let middle = (LEFT + WIDTH - 110.0) / 2.0;
    svg = svg.put(word("name below", (middle, HEIGHT - 8.0), "length ratio"));
    let up = word("name below", (0.0, 0.0), "ROUGE-1");
    let turned = format!("translate(12 {}) rotate(-90)", HEIGHT / 2.0 - 15.0);
    tag("figure").put(tag("figcaption").text("Methods")).put(svg.put(up.with("transform", turned)))
}

/// Vertical positions of names, from top to bottom, at least [`APART`] apart.
fn spread(mut names: Vec<(f64, f64, &str)>) -> Vec<(f64, (f64, f64, &str))> {
    names.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(b.2)));
    let mut at = f64::NEG_INFINITY;
    let mut placed = Vec::new();
    for name in names {
        at = name.0.max(at + APART);
        placed.push((at, name));
    }
    // Names that were moved below the plot move back up, together with the names above them.
    let mut most = HEIGHT - 44.0;
    for (at, _) in placed.iter_mut().rev() {
        *at = at.min(most);
        most = *at - APART;
    }
    placed
}

fn of_users(methods: &Methods<'_>, length: &MetricView, score: &MetricView) -> Vec<Tag> {
    let of = |method: &MethodReport| -> Vec<(f64, f64)> {
        let values = method.per_user.get(&length.name).zip(method.per_user.get(&score.name));
        let Some((lengths, scores)) = values else { return Vec::new() };
        lengths.iter().filter_map(|(user, long)| Some((long, scores.get(user)?))).collect()
    };
    let all: Vec<(f64, f64)> = methods.iter().flat_map(|(_, method)| of(method)).collect();
    let right = SMALL - 8.0;
    let lengths = all.iter().map(|(long, _)| *long).chain([1.0]);
    let x = Scale::over(lengths, length.style, (40.0, right));
    let y = Scale::over(all.iter().map(|(_, score)| *score), score.style, (SMALL - 58.0, 8.0));
    let plots = methods.iter().filter_map(|(name, method)| {
        let users = of(method);
        let title = format!("{name}: length ratio and ROUGE-1 of each user");
        let description = format!("{} dots, one a user", users.len());
        let svg = drawing(&format!("lengths-{name}"), (SMALL, SMALL - 30.0), &title, &description);
        let one = line("no-effect", (x.at(1.0), 8.0), (x.at(1.0), SMALL - 58.0));
        let dots = users.iter().map(|(long, score)| dot("user", (x.at(*long), y.at(*score)), 3.0));
        let svg = svg.put_all(frame(&x, &y, 4)).put(one).put_all(dots);
        (!users.is_empty())
            .then(|| tag("figure").put(tag("figcaption").put(tag("b").text(name))).put(svg))
    });
    plots.collect()
}
