use super::sample::{HOSTILE, full};
use super::to_html;
use crate::report::EvalReport;

/// Name of the start tag at the beginning of `text`, and the text after the tag.
fn tag_of(text: &str) -> (&str, &str) {
    let end = text.find('>').expect("a tag without an end");
    let inside = &text[..end];
    (inside.split_whitespace().next().unwrap_or(inside), &text[end + 1..])
}

/// Checks that every end tag matches its start tag; returns the element names that occurred.
fn well_formed(html: &str) -> Vec<&str> {
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("no doctype");
    let (mut open, mut met) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "an unescaped > in {:?}", &rest[..at]);
        let (name, after) = tag_of(&rest[at + 1..]);
        rest = after;
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "before {:.80}", rest),
            None if name == "meta" => {}
            None => {
                open.push(name);
                met.push(name);
            }
        }
        if matches!(name, "style" | "script") {
            rest = &rest[rest.find("</").expect("a style or script without an end")..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    met
}

fn count(html: &str, what: &str) -> usize {
    html.matches(what).count()
}

/// Body of the page without the style sheet and the script.
fn body(html: &str) -> &str {
    let (_, body) = html.split_once("</head>").expect("no head");
    body.split_once("<script>").expect("no script").0
}

#[test]
fn a_full_report_is_well_formed_and_has_all_parts() {
    let html = to_html(&full(24));
    let met = well_formed(&html);
    assert_eq!(met.iter().filter(|name| **name == "script").count(), 1);
    assert!(!met.contains(&"img"));
    for id in [
        "in-words",
        "overview",
        "likelihood",
        "lexical",
        "wrong-user",
        "swap",
        "identification",
        "judge",
        "neutral-title",
        "comparisons",
        "users",
        "length",
        "cost",
        "examples",
        "again",
    ] {
        assert_eq!(count(&html, &format!("<section id=\"{id}\"")), 1, "{id}");
        assert_eq!(count(&html, &format!("<a href=\"#{id}\"")), 1, "{id}");
    }
    let svgs = met.iter().filter(|name| **name == "svg").count();
    assert_eq!(count(&html, "role=\"img\" aria-labelledby"), svgs);
    assert_eq!(count(&html, "<desc "), svgs);
    assert_eq!(count(&html, "<table"), count(&html, "<caption"));
    assert_eq!(html, to_html(&full(24)), "the same report gives the same bytes");
}

#[test]
fn ids_are_used_once() {
    let html = to_html(&full(24));
    let mut ids: Vec<&str> =
        html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let n = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(n > 50 && ids.len() == n, "{n} ids, {} different", ids.len());
}

#[test]
fn what_others_wrote_is_escaped_wherever_it_stands() {
    let html = to_html(&full(24));
    assert!(!html.contains("<script>alert"));
    assert!(!html.contains("<img"));
    let escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot;";
    // One user's dot in each paired plot, a command, a plan, and an example's user, item and texts.
    assert!(count(&html, escaped) > 15, "{}", count(&html, escaped));
    assert!(HOSTILE.contains("<script>"));
}

#[test]
fn nothing_is_loaded() {
    let html = to_html(&full(24));
    for what in ["src=", "href=\"http", "url(", "@import", "http://", "https://"] {
        let at = html.find(what).filter(|at| !html[*at..].starts_with("src=x&gt;"));
        assert_eq!(at.map(|at| &html[at..at + 20]), None);
    }
    assert!(html.contains("default-src &#39;none&#39;"));
}

#[test]
fn differences_are_told_in_words() {
    let html = to_html(&full(24));
    assert!(html.contains("no difference shown"));
    assert!(html.contains("<h3>Held against rag</h3>"));
    assert!(html.contains("<b>Likelihood lift</b>: above 0 for rag (+"), "the finding is missing");
    assert!(html.contains("ceiling: real texts"));
    assert!(html.contains("50.0\u{202f}%"));
    assert!(html.contains("seeds of the texts</th><td><code>7 to 8</code>"));
}

fn only(report: &mut EvalReport, measures: &[&str]) {
    for method in report.methods.values_mut() {
        method.figures.retain(|name, _| measures.contains(&name.as_str()));
        method.per_user.retain(|name, _| measures.contains(&name.as_str()));
    }
    report.comparisons.retain(|pair| measures.contains(&pair.measure.as_str()));
}

#[test]
fn likelihood_alone_makes_a_page_without_texts_and_pairs() {
    let mut report = full(24);
    only(&mut report, &["likelihood_lift", "bits_right", "bits_wrong", "bits_none"]);
    report.methods.values_mut().for_each(|method| method.cost = Default::default());
    (report.pairs, report.examples, report.ceiling) = (0, Vec::new(), Default::default());
    let html = to_html(&report);
    well_formed(&html);
    for id in ["lexical", "swap", "identification", "judge", "length", "examples", "other"] {
        assert!(!html.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    assert!(!html.contains("ceiling: real texts") && !html.contains("swap test"));
    assert!(html.contains("<section id=\"users\""));
}

#[test]
fn one_method_has_nothing_to_be_compared_with() {
    let mut report = full(24);
    report.order = vec!["dpl"];
    report.methods.retain(|name, _| *name == "dpl");
    report.comparisons.clear();
    let html = to_html(&report);
    well_formed(&html);
    assert!(!html.contains("<section id=\"comparisons\"") && !html.contains("Held against"));
    assert!(!html.contains("<section id=\"users\"") && html.contains("<section id=\"length\""));
    assert!(!body(&html).contains("An arrow marks"));
}

#[test]
fn one_user_has_figures_without_intervals() {
    let html = to_html(&full(1));
    well_formed(&html);
    assert!(html.contains("no interval, so nothing is shown, for"));
    assert!(!body(&html).contains("NaN") && !body(&html).contains("inf"));
    assert!(html.contains("1 user"));
}

#[test]
fn nothing_measured_is_still_a_page() {
    let mut report = full(24);
    only(&mut report, &[]);
    (report.examples, report.order) = (Vec::new(), Vec::new());
    report.methods.clear();
    let html = to_html(&report);
    well_formed(&html);
    assert!(html.contains("<section id=\"again\""));
}

#[test]
fn a_measure_without_words_is_shown_by_its_name() {
    let mut report = full(24);
    for method in report.methods.values_mut() {
        let figure = method.figures["rouge1"];
        method.figures.insert("shoe_size".to_owned(), figure);
    }
    let html = to_html(&report);
    well_formed(&html);
    assert!(html.contains("<section id=\"other\"") && html.contains("shoe size"));
}
