//! SVG drawing: scales, axes, lines and dots. The style sheet sets colours by class.

use std::fmt::Display;

use super::numbers::Style;
use super::tags::{Tag, tag};

/// Linear mapping from values to coordinates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    /// Lowest and highest value.
    low: f64,
    high: f64,
    /// Coordinates of the lowest and the highest value.
    from: f64,
    to: f64,
    style: Style,
}

impl Scale {
    /// A scale over all finite values with a margin of 5 % at both ends; without finite values it
    /// covers 0 to 1.
    pub(super) fn over(
        values: impl IntoIterator<Item = f64>,
        style: Style,
        (from, to): (f64, f64),
    ) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let ends = finite.fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = ends.unwrap_or((0.0, 1.0));
        let room = match high - low {
            apart if apart > 1e-9 => apart * 0.05,
            _ => (high.abs() * 0.1).max(0.01),
        };
        Self { low: low - room, high: high + room, from, to, style }
    }

    /// The same values on other coordinates.
    pub(super) fn along(&self, (from, to): (f64, f64)) -> Self {
        Self { from, to, ..self.clone() }
    }

    /// Coordinate of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Axis marks: round values with their labels, about `most` at most.
    pub(super) fn marks(&self, most: usize) -> Vec<(f64, String)> {
        let factor = self.style.factor();
        let (low, high) = (self.low * factor, self.high * factor);
        let rough = (high - low) / most.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        let mark = |n: i64| {
            let value = n as f64 * step;
            (value / factor, self.style.mark(value, step))
        };
        (first..=last).map(mark).collect()
    }
}

/// An SVG image with an accessible title and description.
pub(super) fn drawing(id: &str, size: (f64, f64), title: &str, description: &str) -> Tag {
    let (of_title, of_description) = (format!("{id}-title"), format!("{id}-desc"));
    tag("svg")
        .with("viewBox", format_args!("0 0 {} {}", short(size.0), short(size.1)))
        .with("role", "img")
        .with("aria-labelledby", format_args!("{of_title} {of_description}"))
        .put(tag("title").with("id", &of_title).text(title))
        .put(tag("desc").with("id", &of_description).text(description))
}

/// A line.
pub(super) fn line(class: &'static str, from: (f64, f64), to: (f64, f64)) -> Tag {
    tag("line")
        .class(class)
        .with("x1", short(from.0))
        .with("y1", short(from.1))
        .with("x2", short(to.0))
        .with("y2", short(to.1))
}

/// A dot.
pub(super) fn dot(class: &'static str, at: (f64, f64), radius: f64) -> Tag {
    tag("circle").class(class).with("cx", short(at.0)).with("cy", short(at.1)).with("r", radius)
}

/// A text with its baseline at a point.
pub(super) fn word(class: &'static str, at: (f64, f64), text: impl Display) -> Tag {
    tag("text").class(class).with("x", short(at.0)).with("y", short(at.1)).text(text)
}

/// Axes with grid lines: x marks below, y marks at the left.
pub(super) fn frame(x: &Scale, y: &Scale, most: usize) -> Vec<Tag> {
    let ((left, right), (bottom, top)) = ((x.from, x.to), (y.from, y.to));
    let mut tags = Vec::new();
    for (value, label) in x.marks(most) {
        let at = x.at(value);
        tags.push(line("grid", (at, top), (at, bottom)));
        tags.push(word("mark below", (at, bottom + 14.0), label));
    }
    for (value, label) in y.marks(most) {
        let at = y.at(value);
        tags.push(line("grid", (left, at), (right, at)));
        tags.push(word("mark left", (left - 5.0, at + 3.5), label));
    }
    tags.push(line("axis", (left, bottom), (right, bottom)));
    tags.push(line("axis", (left, top), (left, bottom)));
    tags
}

/// Formats a coordinate to one decimal, without a trailing `.0`.
fn short(value: f64) -> String {
    let shown = format!("{value:.1}");
    shown.strip_suffix(".0").map_or(shown.clone(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_room_and_round_marks() {
        let scale = Scale::over([0.2, 0.4, f64::NAN], Style::Plain, (0.0, 110.0));
        assert!((scale.at(0.2) - 5.0).abs() < 1e-9 && (scale.at(0.4) - 105.0).abs() < 1e-9);
        let marks: Vec<String> = scale.marks(4).into_iter().map(|(_, label)| label).collect();
        assert_eq!(marks, ["0.2", "0.3", "0.4"]);
        let percent = Scale::over([0.5, 0.9], Style::Percent, (0.0, 1.0));
        let marks: Vec<String> = percent.marks(3).into_iter().map(|(_, label)| label).collect();
        assert_eq!(marks, ["60%", "80%"]);
    }

    #[test]
    fn a_single_value_has_a_scale_too() {
        let scale = Scale::over([3.0], Style::Plain, (0.0, 10.0));
        assert!((scale.at(3.0) - 5.0).abs() < 1e-9);
        assert!(!scale.marks(4).is_empty());
        assert!(Scale::over([], Style::Plain, (0.0, 1.0)).at(0.5).is_finite());
    }
}
