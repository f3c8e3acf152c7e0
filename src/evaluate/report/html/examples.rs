//! Section with examples: generated texts next to the real one.

use super::tags::{Tag, tag};
use super::{Page, Section};
use crate::report::Example;

/// Number of examples that are initially open.
const OPEN: usize = 2;

/// Section with all examples; `None` if there are none.
pub(super) fn section(page: &Page<'_>) -> Option<Section> {
    let examples = &page.report.examples;
    if examples.is_empty() {
        return None;
    }
    let wrong = examples.iter().any(|e| e.written.iter().any(|(.., wrong)| wrong.is_some()));
    let beside = match wrong {
        true => {
            " and, beside it, what the same method wrote from a stranger's past: the less the two \
                 differ, the less the person mattered"
        }
        false => "",
    };
    let words = format!(
        "Some held-out texts, chosen evenly and not by how they came out. The real text stands \
         first, then what each method wrote in the user's place{beside}."
    );
    let part = Section::new("examples", "Examples", &words);
    let shown = examples.iter().enumerate().map(|(number, example)| shown(number, example));
    Some(shown.fold(part, Section::put))
}

fn shown(number: usize, example: &Example) -> Tag {
    let name = tag("bdi").text(&example.user);
    let item = tag("bdi").text(&example.item);
    let summary = tag("summary").put(tag("b").put(name)).text(" on ").put(item);
    let real = tag("article").class("real").put(tag("h3").text("What the person wrote"));
    let real = real.put(text(&example.real));
    let written = example.written.iter().map(|(method, right, wrong)| {
        let heading = tag("h3").text(method);
        let right = tag("div").put(tag("h4").text("with the user's own past")).put(text(right));
        let wrong = wrong.as_ref().map(|wrong| {
            let heading = tag("h4").text("with a stranger's past");
            tag("div").class("wrong").put(heading).put(text(wrong))
        });
        let both = tag("div").class("both").put(right).put_all(wrong);
        tag("article").put(heading).put(both)
    });
    let written = tag("div").class("written").put_all(written);
    let sides = tag("div").class("example").put(real).put(written);
    let details = tag("details").put(summary).put(sides);
    if number < OPEN { details.with("open", "") } else { details }
}

/// A user's or a model's text, unchanged except for trimming, in its own writing direction.
fn text(text: &str) -> Tag {
    let shown = tag("p").class("text").with("dir", "auto");
    match text.trim() {
        "" => tag("p").class("text none").text("(empty)"),
        text => shown.text(text),
    }
}
