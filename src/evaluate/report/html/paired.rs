//! Section with scatter plots of two methods, one dot per user.

use super::metrics::MetricView;
use super::numbers::many;
use super::svg::{Scale, dot, drawing, frame, line, word};
use super::tags::{Tag, tag};
use super::{Page, Section};
use idiolect_metrics::statistics::PerUser;

/// Measures that are plotted if they are in the report.
const MEASURES: [&str; 3] = ["likelihood_lift", "bits_right", "rouge1"];

const SIZE: f64 = 250.0;
/// Most dots whose users are named in the file, which keeps the file small.
const MAX_NAMED: usize = 300;

/// Plots of every method against the baseline method; `None` if there is only one method.
pub(super) fn section(page: &Page<'_>) -> Option<Section> {
    let against = page.against?;
    let plots: Vec<Tag> = MEASURES
        .iter()
        .filter_map(|name| of_measure(page, page.measure(name)?, against))
        .flatten()
        .collect();
    if plots.is_empty() {
        return None;
    }
    let words = format!(
        "Each dot is a user, with {against} to the right and another method upwards. On the dashed \
         line both do alike; above it the other method has the higher figure for that user. A \
         difference that a few users carry is seen here and not in a mean."
    );
    let part = Section::new("users", "User by user", &words);
    Some(plots.into_iter().fold(part, Section::put))
}

fn of_measure(page: &Page<'_>, measure: &MetricView, against: &'static str) -> Option<Vec<Tag>> {
    let of = |name: &str| page.report.methods.get(name)?.per_user.get(&measure.name);
    let across = of(against)?;
    let pairs: Vec<(&'static str, Vec<Dot<'_>>)> = page
        .methods()
        .filter(|(name, _)| *name != against)
        .filter_map(|(name, _)| Some((name, shared(across, of(name)?))))
        .filter(|(_, dots)| !dots.is_empty())
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let all = pairs.iter().flat_map(|(_, dots)| dots.iter().flat_map(|dot| [dot.x, dot.y]));
    let scale = Scale::over(all, measure.style, (44.0, SIZE - 8.0));
    let plots = pairs.iter().map(|(name, dots)| plot(measure, (against, *name), dots, &scale));
    let better =
        if measure.less_is_better { " Below the line the other method does better." } else { "" };
    let heading = tag("h3").text(&measure.label);
    let words = tag("p").class("note").text(format_args!("{}.{better}", capital(&measure.meaning)));
    Some(vec![heading, words, tag("div").class("plots small").put_all(plots)])
}

struct Dot<'a> {
    user: &'a str,
    x: f64,
    y: f64,
}

/// Values of users that both methods have.
fn shared<'a>(across: &'a PerUser, up: &PerUser) -> Vec<Dot<'a>> {
    across.iter().filter_map(|(user, x)| Some(Dot { user, x, y: up.get(user)? })).collect()
}

fn plot(measure: &MetricView, names: (&str, &str), dots: &[Dot<'_>], x: &Scale) -> Tag {
    let (against, name) = names;
    let above = dots.iter().filter(|dot| dot.y > dot.x).count();
    let alike = dots.iter().filter(|dot| dot.y == dot.x).count();
    let alike = if alike > 0 { format!(", the same for {alike}") } else { String::new() };
    let description =
        format!("{name} is higher for {above} of {}{alike}", many(dots.len(), "user"));
    let title = format!("{}: {name} against {against}", measure.label);
    let id = format!("paired-{}-{name}", measure.name);
    let y = x.along((SIZE - 38.0, 8.0));
    let svg = drawing(&id, (SIZE, SIZE), &title, &description).put_all(frame(x, &y, 4));
    let svg = svg.put(line("no-effect", (44.0, SIZE - 38.0), (SIZE - 8.0, 8.0)));
    let dots_drawn = dots.iter().map(|user| {
        let mark = dot("user", (x.at(user.x), y.at(user.y)), 3.5);
        let named = (dots.len() <= MAX_NAMED).then(|| {
            let (x, y) = (measure.show(user.x), measure.show(user.y));
            tag("title").text(format_args!("{}: {against} {x}, {name} {y}", user.user))
        });
        mark.put_all(named)
    });
    let svg = svg.put_all(dots_drawn);
    let svg = svg.put(word("name below", ((SIZE + 36.0) / 2.0, SIZE - 6.0), against));
    let up = word("name below", (0.0, 0.0), name)
        .with("transform", format_args!("translate(11 {}) rotate(-90)", (SIZE - 30.0) / 2.0));
    let caption = tag("figcaption").put(tag("b").text(name)).text(" against ");
    let caption = caption.put(tag("b").text(against)).put(tag("small").text(description));
    tag("figure").put(caption).put(svg.put(up))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), letters.as_str())
}
