//! `export --parquet` and `batch`: shards give the texts of the whole store, and a killed worker is run again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use idiolect::tables::ParquetRows;
use idiolect_engine::lm::tiny::Tiny;
use serde_json::{Value, json};

use crate::common::Sandbox;

const USERS: [&str; 5] = ["ann", "bo", "cyd", "dee", "eli"];
const ITEMS: [&str; 3] = ["kettle", "lamp", "spade"];

/// A sandbox with a tiny language model, a small corpus, and its unwritten texts as targets.
fn corpus() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("tiny.gguf", Tiny { context: 8192, ..Tiny::new("llama") }.bytes());
    let (mut reviews, mut targets) = (String::new(), String::new());
    for (u, user) in USERS.iter().enumerate() {
        for (i, item) in ITEMS.iter().enumerate() {
            let row = if u % 3 == i {
                targets += &format!("{}\n", json!({ "user": user, "item": item, "rating": 2.5 }));
                continue;
            } else {
                let text = format!("The {item}: {}", "so-so, says ".repeat(u + 1) + user);
                json!({
                    "user": user, "item": item, "text": text, "rating": 3 + i, "title": "A title",
                    "time": 1_600_000_000 + 100 * (3 * u + i), "item_title": format!("A {item}"),
                    "item_categories": ["Home", item],
                })
            };
            reviews += &format!("{row}\n");
        }
    }
    sandbox.write("reviews.jsonl", reviews);
    sandbox.write("targets.jsonl", targets);
    sandbox.run(&["import", "--format", "table", "--reviews", "reviews.jsonl"]).ok();
    sandbox
}

const EXPORT: [&str; 10] = [
    "--lm",
    "tiny.gguf",
    "export",
    "--parquet",
    "shards",
    "--targets",
    "targets.jsonl",
    "--background",
    "background.json",
    "--shards",
];

fn batch<'a>(shard: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = [
        "--lm",
        "tiny.gguf",
        "--quiet",
        "batch",
        "--input",
        shard,
        "--out",
        out,
        "--background",
        "background.json",
        "--max-tokens",
        "12",
        "--methods",
        "scp,idiolect",
    ];
    [&base[..], more].concat()
}

fn shards(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(sandbox.path("shards")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.map(|name| format!("shards/{name}")).collect();
    names.sort();
    names
}

fn rows(path: &Path) -> Vec<Value> {
    ParquetRows::open(path).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn shards_give_the_texts_of_the_whole_store_and_are_written_once() {
    let sandbox = corpus();
    let exported = sandbox.run(&[&EXPORT[..], &["3"]].concat()).json();
    assert_eq!(exported["parquet"]["targets"], USERS.len());
    assert_eq!(exported["background"]["texts"], USERS.len() * 2);
    let mut texts = BTreeMap::new();
    let shards = shards(&sandbox);
    assert!(shards.len() > 1, "{shards:?}");
    for (i, shard) in shards.iter().enumerate() {
        let out = format!("{i}.parquet");
        let told = sandbox.run(&batch(shard, &out, &[])).json();
        let rows = rows(&sandbox.path(&out));
        assert_eq!((&told["rows"], &told["errors"]), (&json!(rows.len()), &json!(0)));
        for row in rows {
            let name =
                ["user", "item", "method"].map(|name| row[name].as_str().unwrap().to_owned());
            assert!(texts.insert(name, row["text"].clone()).is_none());
        }
        // The same bytes again, whatever is written at once; then nothing is done.
        let again = format!("again-{i}.parquet");
        sandbox.run(&batch(shard, &again, &["--at-once", "1"])).ok();
        assert_eq!(fs::read(sandbox.path(&out)).unwrap(), fs::read(sandbox.path(&again)).unwrap());
        let told = sandbox.run(&batch(shard, &out, &[])).json();
        assert_eq!(told["done"], "before");
        let told = sandbox.run(&batch(shard, &out, &["--seed", "7"])).json();
        assert_eq!(told["errors"], 0);
    }
    assert_eq!(texts.len(), USERS.len() * 2);
    for ([user, item, method], text) in &texts {
        let write = [
            "--lm",
            "tiny.gguf",
            "--json",
            "write",
            "--user",
            user,
            "--item",
            item,
            "--method",
            method,
            "--rating",
            "2.5",
            "--max-tokens",
            "12",
        ];
        assert_eq!(sandbox.run(&write).json()["text"], *text, "{user} {item} {method}");
    }
}

#[test]
fn a_killed_worker_leaves_no_file_and_is_run_again() {
    let sandbox = corpus();
    sandbox.run(&[&EXPORT[..], &["1"]].concat()).ok();
    let arguments = batch("shards/shard=0000", "killed.parquet", &["--max-tokens", "2000"]);
    // The option stands twice.
    let arguments: Vec<&str> = arguments
        .iter()
        .enumerate()
        .filter(|(i, _)| ![10, 11].contains(i))
        .map(|(_, word)| *word)
        .collect();
    let mut command = sandbox.command(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The engine's work takes seconds; the kill comes at some place of it.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    let was_killed = !child.wait().unwrap().success();
    assert!(!was_killed || !sandbox.path("killed.parquet").exists());
    let whole = ["killed.parquet", "whole.parquet"].map(|out| {
        sandbox.run(&batch("shards/shard=0000", out, &[])).ok();
        fs::read(sandbox.path(out)).unwrap()
    });
    assert_eq!(whole[0], whole[1]);
}

#[test]
fn parquet_files_are_imported_and_malformed_ones_refused() {
    let sandbox = corpus();
    sandbox.run(&[&EXPORT[..], &["1"]].concat()).ok();
    let import = [
        "--store",
        "other.sqlite",
        "--json",
        "import",
        "--format",
        "table",
        "--reviews",
        "shards/shard=0000/reviews.parquet",
        "--items",
        "shards/shard=0000/items.parquet",
    ];
    let imported = sandbox.run(&import).json();
    assert_eq!(
        (&imported["reviews"], &imported["malformed"]),
        (&json!(USERS.len() * 2), &json!(0))
    );
    let of_store = |store: &str| {
        let user = sandbox.run(&["--store", store, "export", "ann"]).json();
        let texts = user["reviews"].as_array().unwrap().iter();
        texts.map(|row| (row["text"].clone(), row["time"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(of_store("other.sqlite"), of_store("idiolect.sqlite"));
    let missing = sandbox.run(&batch("shards", "x.parquet", &[])).fails_with(1);
    assert!(missing.contains("has no `targets.parquet`"), "{missing}");
    sandbox.write("background.json", r#"{ "vocabulary": "x", "n_texts": 1, "counts": [1] }"#);
    let foreign = sandbox.run(&batch("shards/shard=0000", "x.parquet", &[])).fails_with(1);
    assert!(foreign.contains("another vocabulary"), "{foreign}");
    assert!(!sandbox.path("x.parquet").exists());
}
