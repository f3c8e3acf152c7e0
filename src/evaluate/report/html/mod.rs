//! The report as one HTML page: tables, plots, examples, and the facts needed to reproduce it.
//!
//! The file is self-contained and makes no network requests: style, script and plots are inline,
//! and its content security policy forbids anything else. The script only adds sorting to tables;
//! the page is complete without it.
//!
//! The page is built by functions over `tags` and not by a template, because a template is longer:
//! the section `comparisons` has 87 lines, and 115 as a view struct with its conversion (93) and a
//! minijinja template (22). The texts, numbers and marks of the cells are computed in Rust in both
//! forms, and that is most of the code. `tags` also replaces control characters, which HTML forbids
//! and template engines pass on.

mod comparisons;
mod examples;
mod forest;
mod in_words;
mod lengths;
mod metrics;
mod numbers;
mod paired;
mod provenance;
mod sections;
mod svg;
mod table;
mod tags;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use metrics::{MetricSection, MetricView};
use numbers::many;
use tags::{Tag, tag};

use super::EvalReport;

/// Content security policy: inline styles and scripts only.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The report as an HTML file. The same report gives the same bytes.
#[must_use]
pub fn to_html(report: &EvalReport) -> String {
    let page = Page::new(report);
    let name = format!("Evaluation of {}", report.order.join(", "));
    let head = tag("head")
        .put(tag("meta").with("charset", "utf-8"))
        .put(tag("meta").with("name", "viewport").with("content", "width=device-width"))
        .put(tag("meta").with("http-equiv", "Content-Security-Policy").with("content", POLICY))
        .put(tag("meta").with("name", "color-scheme").with("content", "light dark"))
        .put(tag("title").text(&name))
        .put(tag("style").verbatim(include_str!("style.css")));
    let mut parts = vec![in_words::section(&page), table::overview(&page)];
    parts.extend(MetricSection::ALL.into_iter().map(|group| sections::section(&page, group)));
    parts.extend([
        comparisons::section(&page),
        paired::section(&page),
        lengths::section(&page),
        table::cost(&page),
        examples::section(&page),
        Some(provenance::section(&page)),
    ]);
    let parts: Vec<Section> = parts.into_iter().flatten().collect();
    let contents = parts.iter().map(|part| {
        tag("li").put(tag("a").with("href", format_args!("#{}", part.id)).text(part.heading))
    });
    let contents = tag("nav").with("aria-label", "Contents").put(tag("ul").put_all(contents));
    let header = tag("header")
        .put(tag("h1").text("Writing as one person would: an evaluation"))
        .put(tag("p").class("lead").text(lead(report)))
        .put(contents);
    let body = tag("body")
        .put(header)
        .put(tag("main").put_all(parts.into_iter().map(Section::section)))
        .put(tag("script").verbatim(include_str!("sort.js")));
    let page = tag("html").with("lang", "en").put(head).put(body);
    format!("<!DOCTYPE html>\n{page}\n")
}

/// One-sentence summary of the evaluation.
fn lead(report: &EvalReport) -> String {
    let methods = many(report.order.len(), "method");
    let (texts, users) = (many(report.texts, "held-out text"), many(report.users, "user"));
    let seeds = match report.seeds {
        0 | 1 => String::new(),
        n => format!(", each written with {n} seeds"),
    };
    let pairs = match report.pairs {
        0 => String::new(),
        n => format!(", and {} of users for the swap test", many(n, "pair")),
    };
    format!("{methods} on {texts} of {users}{seeds}{pairs}.")
}

/// A report with values that several sections of the page need.
struct Page<'a> {
    report: &'a EvalReport,
    /// Every measure that any method has.
    measures: Vec<MetricView>,
    /// Baseline that other methods are compared with: `rag`, which uses past texts unchanged, or
    /// else the first method.
    against: Option<&'static str>,
    /// Confidence of the intervals as text, for instance `95 %`.
    sure: String,
}

impl<'a> Page<'a> {
    fn new(report: &'a EvalReport) -> Self {
        let rag = report.order.iter().find(|name| **name == "rag");
        let against = rag.or(report.order.first()).copied();
        let sure = format!("{}\u{202f}%", (1.0 - report.provenance.statistics.level) * 100.0);
        Self { report, measures: metrics::of_report(report), against, sure }
    }

    /// Methods in the requested order, with their reports.
    fn methods(&self) -> impl Iterator<Item = (&'static str, &'a super::MethodReport)> {
        let methods = &self.report.methods;
        self.report.order.iter().filter_map(|name| Some((*name, methods.get(name)?)))
    }

    fn measure(&self, name: &str) -> Option<&MetricView> {
        self.measures.iter().find(|measure| measure.name == name)
    }
}

/// A section of the page with its heading.
struct Section {
    id: &'static str,
    heading: &'static str,
    content: Vec<Tag>,
}

impl Section {
    /// A section that begins with an introduction: its content and how to read it.
    fn new(id: &'static str, heading: &'static str, words: &str) -> Self {
        Self { id, heading, content: vec![tag("p").class("words").text(words)] }
    }

    fn put(mut self, content: Tag) -> Self {
        self.content.push(content);
        self
    }

    fn section(self) -> Tag {
        let heading = format!("{}-heading", self.id);
        tag("section")
            .with("id", self.id)
            .with("aria-labelledby", &heading)
            .put(tag("h2").with("id", &heading).text(self.heading))
            .put_all(self.content)
    }
}

/// A box that scrolls if its content is wider than the page.
fn scrolling(label: &str, content: Tag) -> Tag {
    let region = tag("div").class("scroll").with("role", "region").with("tabindex", 0);
    region.with("aria-label", label).put(content)
}
