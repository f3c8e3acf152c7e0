//! Section with the facts needed to reproduce the evaluation.

use serde_json::Value;

use super::tags::{Tag, tag};
use super::{Page, Section, scrolling};

/// Section with the command, versions, hashes and all options.
pub(super) fn section(page: &Page<'_>) -> Section {
    let provenance = &page.report.provenance;
    let words = "The command below, with the same program, models, task and split, gives the same \
                 figures; every random choice stands here with its seed.";
    let part = Section::new("again", "To do it again", words);
    let command = tag("pre").put(tag("code").text(&provenance.command));
    let part = part.put(scrolling("The command", command));
    let last = provenance.seed.wrapping_add(page.report.seeds.saturating_sub(1));
    let seeds = match last == provenance.seed {
        true => provenance.seed.to_string(),
        false => format!("{} to {last}", provenance.seed),
    };
    let mut program = vec![
        ("version of idiolect".to_owned(), provenance.version.to_owned()),
        ("task".to_owned(), provenance.task.clone()),
        ("seeds of the texts".to_owned(), seeds),
    ];
    program.extend(
        provenance.models.iter().map(|(part, model)| (format!("model: {part}"), model.clone())),
    );
    let statistics = &provenance.statistics;
    let statistics = vec![
        ("level".to_owned(), statistics.level.to_string()),
        ("resamples of a bootstrap".to_owned(), statistics.resamples.to_string()),
        ("sign flips of a permutation test".to_owned(), statistics.flips.to_string()),
        ("seed".to_owned(), statistics.seed.to_string()),
    ];
    part.put(table("Program and models", program))
        .put(table("Split", flat(&provenance.split)))
        .put(table("Plan", flat(&provenance.plan)))
        .put(table("Settings of the methods, where changed", flat(&provenance.settings)))
        .put(table("Statistics", statistics))
}

fn table(name: &str, rows: Vec<(String, String)>) -> Tag {
    let rows = rows.into_iter().map(|(key, value)| {
        let head = tag("th").with("scope", "row").text(key);
        tag("tr").put(head).put(tag("td").put(tag("code").text(value)))
    });
    let table = tag("table").class("facts").put(tag("caption").text(name));
    scrolling(name, table.put(tag("tbody").put_all(rows)))
}

/// Leaf values with their paths: `a.b` for field `b` of the object in field `a`.
fn flat(value: &Value) -> Vec<(String, String)> {
    let Value::Object(fields) = value else { return vec![("value".to_owned(), shown(value))] };
    let mut rows = Vec::new();
    for (key, value) in fields {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                rows.extend(flat(value).into_iter().map(|(path, v)| (format!("{key}.{path}"), v)));
            }
            _ => rows.push((key.clone(), shown(value))),
        }
    }
    rows
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_path() {
        let value =
            serde_json::json!({"name": "dpl", "is": {"part": "test", "of": [1, 2]}, "n": null});
        let rows = flat(&value);
        let rows: Vec<_> = rows.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let all = [("name", "dpl"), ("is.part", "test"), ("is.of", "[1,2]"), ("n", "none")];
        assert_eq!(rows, all);
        assert_eq!(flat(&serde_json::json!("x")), [("value".to_owned(), "x".to_owned())]);
    }
}
