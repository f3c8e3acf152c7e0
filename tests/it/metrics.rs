//! `idiolect metrics` on the user's own files, without store and model.

#![allow(missing_docs, clippy::unwrap_used)]

use crate::common::{Run, Sandbox};
use serde_json::Value;

const FILES: [&str; 5] = ["metrics", "--predictions", "p.jsonl", "--references", "r.jsonl"];

fn sandbox(predictions: &str, references: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("p.jsonl", predictions);
    sandbox.write("r.jsonl", references);
    sandbox
}

fn with(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.run(&[&FILES[..], more].concat())
}

#[track_caller]
fn near(scores: &Value, key: &str, expected: f64) {
    let value = scores[key].as_f64().unwrap_or_else(|| panic!("{key} in {scores}"));
    assert!((value - expected).abs() < 1e-9, "{key}: {value}, expected {expected}");
}

/// A sandbox with the files of the golden cases, and the golden values.
fn golden() -> (Sandbox, Value) {
    let text = include_str!("../golden/metrics.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    let column = |key: &str| {
        let cases = golden["cases"].as_array().unwrap();
        cases.iter().map(|case| format!("{}\n", case[key])).collect::<String>()
    };
    let sandbox = sandbox(&column("prediction"), &column("reference"));
    for (name, text) in golden["files"][0].as_object().unwrap() {
        let path = sandbox.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.as_str().unwrap()).unwrap();
    }
    (sandbox, golden)
}

#[test]
fn files_are_scored_as_the_references_score_them() {
    let (sandbox, golden) = golden();
    let cases = golden["cases"].as_array().unwrap();
    let mean = |key: &str| {
        cases.iter().map(|case| case[key].as_f64().unwrap()).sum::<f64>() / cases.len() as f64
    };
    let scores = with(&sandbox, &["--json"]).json();
    assert_eq!(scores["n"], cases.len());
    near(&scores, "rouge1", mean("rouge1"));
    near(&scores, "rougeL", mean("rougeL"));
    near(&scores, "meteor_exact_stem", mean("meteor_exact_stem"));
    assert!(scores.get("meteor").is_none() && scores.get("copied_from_history").is_none());
    let all = &golden["corpora"][0];
    assert_eq!(all["end"], cases.len());
    for (ours, theirs) in [
        ("bleu", "score"),
        ("brevity_penalty", "brevity_penalty"),
        ("length_ratio", "length_ratio"),
    ] {
        near(&scores, ours, all[theirs].as_f64().unwrap());
    }

    let wordnet = with(&sandbox, &["--json", "--wordnet", "corpora/wordnet"]).json();
    near(&wordnet, "meteor_no_punkt", mean("meteor_no_punkt"));
    let full = with(&sandbox, &["--json", "--wordnet", "."]).json();
    near(&full, "meteor", mean("meteor"));
    assert!(full.get("meteor_exact_stem").is_none());
}

#[test]
fn wordnet_may_come_from_the_environment() {
    let (sandbox, _) = golden();
    let mut command = sandbox.command(&[&FILES[..], &["--json"]].concat());
    let run = Run::of(command.env("IDIOLECT_WORDNET", sandbox.path("")).output().unwrap());
    assert!(run.json().get("meteor").is_some());
}

#[test]
fn a_table_names_the_variant() {
    let sandbox = sandbox("\"It hums.\"\n", "\"It hums, and it leaks.\"\n");
    sandbox.write("h.jsonl", "[\"It hums.\"]\n");
    let table = with(&sandbox, &["--history", "h.jsonl"]).ok().stdout;
    let value = |name: &str| {
        let row = table.lines().find(|row| row.split_whitespace().next() == Some(name));
        row.unwrap_or_else(|| panic!("{name} in {table}")).split_whitespace().nth(1).unwrap()
    };
    assert_eq!(value("n"), "1");
    assert_eq!(value("rouge1"), "0.5714");
    assert_eq!(value("distinct1"), "1.0000");
    assert_eq!(value("copied_from_history"), "-");
    value("meteor_exact_stem");
    assert!(!sandbox.path("idiolect.sqlite").exists());
}

#[test]
fn copies_are_looked_for_in_the_lists_of_the_same_line() {
    let eight = "one two three four five six seven eight";
    let sandbox = sandbox(&format!("\"{eight} nine\"\n\"{eight}\""), "\"a\"\r\n\"b\"\r\n");
    sandbox.write("h.jsonl", format!("[\"no\", \"So: {eight}!\"]\n[]\n"));
    sandbox.write("q.jsonl", format!("[]\n[\"{eight}\"]\n"));
    let scores = with(&sandbox, &["--json", "--history", "h.jsonl", "--peers", "q.jsonl"]).json();
    for name in ["copied_from_history", "copied_from_peers"] {
        assert_eq!((&scores[name]["n_copied"], &scores[name]["n_runs"]), (&1.into(), &3.into()));
        near(&scores[name], "share", 1.0 / 3.0);
    }
}

#[test]
fn texts_without_words_are_scored() {
    let sandbox = sandbox("\"\"\n\"…\"\n\"\\ud83d\\ude00\\u0000\"", "\"a\"\n\"!?\"\n\"\"");
    let scores = with(&sandbox, &["--json"]).json();
    for name in ["rouge1", "rougeL", "bleu", "meteor_exact_stem", "distinct1"] {
        near(&scores, name, 0.0);
    }
}

#[test]
fn wrong_files_are_named_with_line_and_reason() {
    let good = "\"a\"\n\"b\"\n";
    for (predictions, references, more, expected) in [
        (good, "\"a\"\n", &[][..], "p.jsonl has 2 lines and r.jsonl has 1"),
        ("\"a\"\n5\n", good, &[], "p.jsonl, line 2: expected a JSON string, such as"),
        ("\"a\"\n5\n", good, &[], "got a number"),
        (good, "\"a\"\n\n", &[], "r.jsonl, line 2: "),
        (
            good,
            "\"a\"\n\n\"b\"\n",
            &[],
            "line 2: expected a JSON string, such as \"It hums.\", got an empty line",
        ),
        ("{\"text\": 1}\n\"b\"", good, &[], "got an object"),
        ("[\"a\"]\n\"b\"", good, &[], "got a list"),
        ("It hums.\nb", good, &[], "p.jsonl, line 1: "),
        ("\"a\n\"b\"", good, &[], "got invalid JSON (EOF while parsing a string, column 2)"),
        ("\"\\ud800\"\n\"b\"", good, &[], "got invalid JSON"),
        ("", "", &[], "p.jsonl has no lines; write"),
        (good, good, &["--history", "none.jsonl"], "read none.jsonl: "),
        (good, good, &["--peers", "p.jsonl"], "p.jsonl, line 1: expected a JSON list of strings"),
        (good, good, &["--wordnet", "."], "--wordnet: . holds no WordNet: looked for `index.noun`"),
    ] {
        let sandbox = sandbox(predictions, references);
        let said = with(&sandbox, more).fails_with(1);
        assert!(said.contains(expected), "{expected}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let sandbox = Sandbox::new();
    assert!(with(&sandbox, &[]).fails_with(1).contains("read p.jsonl: "));
    sandbox.write("p.jsonl", b"\"\xff\"\n");
    assert!(with(&sandbox, &[]).fails_with(1).contains("p.jsonl, line 1: "));
}
