//! Snapshots of what users and scripts read: help, the shape of JSON, the headings of the report.
//!
//! A changed snapshot fails. `INSTA_UPDATE=always cargo test --test it snapshots` writes the files
//! in `tests/it/snapshots/` anew; look at the difference before committing it.

#![allow(clippy::unwrap_used)]

use idiolect::model::catalog::{DEFAULT_ENCODER, SMALL_LM};
use insta::assert_snapshot;
use serde_json::{Map, Value};

use crate::common::{Run, Sandbox};

/// The program at a fixed width, without variables that its help would show.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let mut command = sandbox.command(arguments);
    command.env("COLUMNS", "100").env_remove("IDIOLECT_LM").env_remove("IDIOLECT_ENCODER");
    Run::of(command.output().unwrap())
}

#[test]
fn help_of_every_command_is_as_recorded() {
    let sandbox = Sandbox::new();
    let mut commands = vec![String::new()];
    let mut n_done = 0;
    while let Some(path) = commands.get(n_done).cloned() {
        n_done += 1;
        let words: Vec<&str> = path.split_whitespace().chain(["--help"]).collect();
        let help = run(&sandbox, &words).ok().stdout;
        let listed = help.split("Commands:\n").nth(1).unwrap_or_default();
        let names = listed.lines().take_while(|line| line.starts_with("  "));
        let names = names.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
        let is_name = |name: &&str| *name != "help" && !path.ends_with(name);
        // A wrapped description begins with more spaces.
        let names = names.filter(|name| help.contains(&format!("\n  {name} ")));
        commands.extend(names.filter(is_name).map(|name| format!("{path} {name}")));
        let name = format!("help{}", path.replace(' ', "-"));
        assert_snapshot!(name, help);
    }
    assert!(n_done > 20, "{commands:?}");
    assert_snapshot!("help-all-write", run(&sandbox, &["write", "--help-all"]).ok().stdout);
}

#[test]
fn short_help_has_about_twenty_options_and_the_rest_is_counted() {
    let sandbox = Sandbox::new();
    let is_option = |line: &&str| line.starts_with("      --") || line.starts_with("  -");
    let n_options = |help: &str| help.lines().filter(is_option).count();
    for command in ["write", "evaluate", "profile"] {
        let short = run(&sandbox, &[command, "--help"]).ok().stdout;
        assert_eq!(
            run(&sandbox, &[command, "-h"]).ok().stdout.lines().next(),
            short.lines().next()
        );
        let all = run(&sandbox, &["--help-all", command]).ok().stdout;
        let (n_short, n_all) = (n_options(&short), n_options(&all));
        assert!((10..=24).contains(&n_short), "{command}: {n_short}");
        let hint = format!("Run `idiolect {command} --help-all` for {} more", n_all - n_short);
        assert!(short.contains(&hint), "{hint}: {short}");
    }
}

/// The types of a value: each string, number and truth value by the name of its type, each list by
/// the union of its elements.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(number) if number.is_f64() => "number".into(),
        Value::Number(_) => "integer".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => {
            let items = items.iter().map(shape);
            Value::Array(items.reduce(union).into_iter().collect())
        }
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect()
        }
    }
}

fn union(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(one), Value::Object(mut other)) => {
            let mut both = Map::new();
            for (key, value) in one {
                let value = match other.remove(&key) {
                    Some(also) => union(value, also),
                    None => value,
                };
                both.insert(key, value);
            }
            both.extend(other);
            both.into()
        }
        (Value::Array(one), Value::Array(other)) => {
            Value::Array(one.into_iter().chain(other).reduce(union).into_iter().collect())
        }
        (Value::String(one), Value::String(other)) => {
            let mut names: Vec<&str> = one.split(" or ").chain(other.split(" or ")).collect();
            names.sort_unstable();
            names.dedup();
            names.join(" or ").into()
        }
        (Value::String(null), other) | (other, Value::String(null)) if null == "null" => other,
        (one, _) => one,
    }
}

#[test]
fn a_shape_is_the_union_of_what_a_list_holds() {
    let value = serde_json::json!([{"a": 1, "b": [1.5]}, {"a": null, "b": [], "c": "x"}]);
    let expected = serde_json::json!([{"a": "integer or null", "b": ["number"], "c": "string"}]);
    assert_eq!(shape(&value), expected);
}

/// Runs a command with `--json` and compares the shape of its output with the snapshot `name`.
#[track_caller]
fn json_of(sandbox: &Sandbox, name: &str, arguments: &[&str]) {
    let run = sandbox.run(&[arguments, &["--json", "--quiet"]].concat());
    assert_snapshot!(format!("json-{name}"), shape_of(run));
}

#[track_caller]
fn shape_of(run: Run) -> String {
    serde_json::to_string_pretty(&shape(&run.json())).unwrap()
}

/// A sandbox with the sample corpus; `None` if a model is missing.
fn sample() -> Option<Sandbox> {
    if !crate::common::test_models_present() {
        return None;
    }
    let sandbox = Sandbox::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    let (reviews, items) = (format!("{folder}/reviews.jsonl"), format!("{folder}/items.jsonl"));
    let map = "user=user,item=item,text=text,rating=rating,title=title,time=time";
    let import = ["import", "--format", "table", "--reviews", &reviews, "--items", &items];
    json_of(&sandbox, "import", &[&import[..], &["--map", map]].concat());
    Some(sandbox)
}

#[cfg(target_os = "linux")]
#[test]
fn json_has_the_recorded_shape() {
    let Some(sandbox) = sample() else { return };
    let short = ["--set", "max-tokens=8,profile-max-tokens=12,n=2,k=2"];
    json_of(&sandbox, "index", &["index"]);
    json_of(&sandbox, "users", &["users"]);
    json_of(&sandbox, "split", &["split", "--preset", "small"]);
    json_of(&sandbox, "representatives", &["representatives", "mina", "radio-tamsel-duo"]);
    json_of(&sandbox, "profile", &["profile", "mina", "--unverified"]);
    let dpl = ["profile", "mina", "--method", "dpl", "--differences", "free"];
    json_of(&sandbox, "profile-dpl", &[&dpl[..], &short].concat());
    let add = ["profile", "mina", "--unverified", "--add", "writing=is short"];
    json_of(&sandbox, "profile-add", &add);
    json_of(&sandbox, "profile-versions", &["profile", "mina", "--versions"]);
    let write = ["write", "--user", "mina", "--item", "radio-tamsel-duo", "--rating", "4"];
    // Whether a token has a source depends on the text, and that on the instructions of the processor.
    let tier: &[&str] = if cfg!(target_arch = "x86_64") { &["--cpu-isa", "avx2"] } else { &[] };
    json_of(&sandbox, "write", &[&write[..], &short, &["--why"], tier].concat());
    json_of(&sandbox, "write-dpl", &[&write[..], &short, &["--method", "dpl"]].concat());

    json_of(&sandbox, "lm-complete", &["lm", "complete", "--prompt", "Tea", "--max-tokens", "3"]);
    let text = sandbox.write("text.txt", "Tea is ready.");
    let text = text.to_str().unwrap();
    let score = ["lm", "score", "--prompt-file", "/dev/null", "--continuation-file", text];
    json_of(&sandbox, "lm-score", &score);
    json_of(&sandbox, "lm-tokenize", &["lm", "tokenize", "--text", "Tea"]);
    json_of(&sandbox, "embed", &["embed", "--file", text]);
    let lines = sandbox.write("lines.jsonl", "\"Tea is ready.\"\n");
    let lists = sandbox.write("lists.jsonl", "[\"Tea is cold.\"]\n");
    let (lines, lists) = (lines.to_str().unwrap(), lists.to_str().unwrap());
    let metrics = ["metrics", "--predictions", lines, "--references", lines];
    json_of(&sandbox, "metrics", &[&metrics[..], &["--history", lists, "--peers", lists]].concat());

    // Other models may be on this machine, so no model is to be found.
    let list = ["models", "list", "--models-dir", "none", "--json"];
    let mut list = sandbox.command(&list);
    let list = list.env("HF_HOME", sandbox.path("none")).env_remove("HF_HUB_CACHE");
    assert_snapshot!("json-models-list", shape_of(Run::of(list.output().unwrap())));
    let recommend = ["models", "recommend", "--seconds", "0.1", "--models-dir", "none", "--json"];
    let mut recommend = sandbox.command(&[&recommend[..], &["--quiet"]].concat());
    let recommend = recommend.env("HF_HOME", sandbox.path("none")).env_remove("HF_HUB_CACHE");
    let recommend = Run::of(recommend.output().unwrap());
    // The reason why a model does not fit depends on the machine.
    let shape = shape_of(recommend);
    let shape = shape.replace("\"reason\": \"null\"", "\"reason\": \"null or string\"");
    assert_snapshot!("json-models-recommend", shape);
    if std::env::var("IDIOLECT_TEST_LM").or(std::env::var("IDIOLECT_TEST_ENCODER")).is_err() {
        let names = [SMALL_LM, DEFAULT_ENCODER];
        json_of(&sandbox, "models-verify", &["models", "verify", names[1]]);
        json_of(&sandbox, "models-path", &["models", "path", names[1]]);
        json_of(&sandbox, "models-fetch", &["models", "fetch", &names.join(","), "--offline"]);
    }
    json_of(&sandbox, "doctor", &["doctor"]);
    json_of(&sandbox, "bench", &["bench", "--runs", "1", "--only", "prefill", "--prompt", "8"]);
    json_of(&sandbox, "demo", &["demo", "--user", "mina"]);
}

#[test]
fn evaluation_has_the_recorded_shape_and_headings() {
    let Some(sandbox) = sample() else { return };
    sandbox.run(&["split", "--preset", "small", "--quiet"]).ok();
    std::fs::copy(sandbox.path("idiolect.sqlite"), sandbox.path("copy.sqlite")).unwrap();
    json_of(&sandbox, "evaluate-merge", &["evaluate", "merge", "copy.sqlite"]);
    let asked = [
        "evaluate",
        "--methods",
        "non-perso,scp",
        "--measures",
        "lexical,likelihood,wrong-user",
        "--users",
        "2",
        "--wrong-users",
        "1",
        "--score-tokens",
        "8",
        "--set",
        "n=2,max-tokens=6,idiolect.lexical=0.8",
        "--html",
        "report.html",
    ];
    json_of(&sandbox, "evaluate", &asked);
    let page = std::fs::read_to_string(sandbox.path("report.html")).unwrap();
    assert_snapshot!("report-headings", headings(&page));
}

/// The headings and captions of a page, one per line, indented by level.
fn headings(page: &str) -> String {
    let tags = [("<h1", 0), ("<h2", 1), ("<h3", 2), ("<h4", 3), ("<caption", 4)];
    let mut found: Vec<(usize, String)> = Vec::new();
    for (tag, level) in tags {
        for (at, _) in page.match_indices(tag) {
            let inside = page[at..].split_once('>').unwrap().1;
            let text = inside.split("</").next().unwrap();
            found.push((at, format!("{}{text}", "  ".repeat(level))));
        }
    }
    found.sort();
    found.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}
