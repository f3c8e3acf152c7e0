//! `train`, `choose`, `chat`, `evaluate np` and `evaluate interact` on the command line, with synthetic
//! authors and a tiny language model.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use idiolect::corpus::Store;
use idiolect::evaluate::synthetic::{World, WorldOptions};
use idiolect::lm::tiny::Tiny;
use rand::{RngExt, SeedableRng};

use crate::common::{Run, Sandbox};

/// Times a training is killed.
const KILLS: usize = 4;

/// A folder with a store of synthetic authors and a tiny model.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let options =
        WorldOptions { n_authors: 24, n_without_rules: 0, n_items: 12, n_reviews: 9, seed: 2 };
    let store = Store::open(&sandbox.path("idiolect.sqlite")).unwrap();
    World::new(&options).put(&store).unwrap();
    sandbox.write("tiny.gguf", Tiny { context: 8192, ..Tiny::new("llama") }.bytes());
    sandbox
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    sandbox.run(&[&["--quiet", "--lm", "./tiny.gguf"], arguments].concat())
}

fn heads(sandbox: &Sandbox, store: &str) -> Vec<String> {
    Store::open_existing(&sandbox.path(store)).unwrap().derived_values("np").unwrap()
}

#[test]
fn a_killed_training_goes_on_and_gives_the_same_bytes() {
    let sandbox = sandbox();
    std::fs::copy(sandbox.path("idiolect.sqlite"), sandbox.path("whole.sqlite")).unwrap();
    let train = |store: &'static str| ["--store", store, "train", "np", "--steps", "150"];
    let began = Instant::now();
    run(&sandbox, &train("whole.sqlite")).ok();
    let whole = began.elapsed();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    for _ in 0..KILLS {
        let arguments = [&["--quiet"], &train("idiolect.sqlite")[..]].concat();
        let mut command = sandbox.command(&arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let share = random.random_range(0.1..0.6);
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * share));
        let _ = child.kill();
        child.wait().unwrap();
    }
    run(&sandbox, &train("idiolect.sqlite")).ok();
    let trained = heads(&sandbox, "idiolect.sqlite");
    assert_eq!((trained.len(), &trained), (1, &heads(&sandbox, "whole.sqlite")));
    // The same again trains nothing.
    let again = run(&sandbox, &["train", "np", "--steps", "150", "--json"]).json();
    assert!(again["seconds"].as_f64().unwrap() < whole.as_secs_f64() / 2.0, "{again}");
    run(&sandbox, &["forget", "author-003", "--yes"]).ok();
    assert!(heads(&sandbox, "idiolect.sqlite").is_empty());
}

#[test]
fn drafts_are_chosen_and_ranked_by_the_head() {
    let sandbox = sandbox();
    let write = ["write", "--user", "author-000", "--item", "item-001", "--max-tokens", "8"];
    // Reading past texts would count as calls.
    let write = [&write[..], &["--expected", "0"]].concat();
    let ranked = [&write[..], &["--best-of", "3", "--by", "np"]].concat();
    let error = run(&sandbox, &ranked).fails_with(1);
    assert!(error.contains("idiolect train np"), "{error}");
    run(&sandbox, &["train", "np", "--steps", "20"]).ok();
    for method in ["non-perso", "scp", "idiolect", "interact"] {
        let written = [&ranked[..], &["--method", method, "--json"]].concat();
        let written = run(&sandbox, &written).json();
        assert_eq!(written["computed"].as_u64().unwrap() + written["reused"].as_u64().unwrap(), 3);
        assert_eq!(written["settings"]["idiolect"]["by"], "np");
    }
    let choose = ["choose", "--user", "author-000", "--item", "item-001", "--max-tokens", "8"];
    let chosen = [&choose[..], &["--pick", "2", "--json"]].concat();
    let chosen = run(&sandbox, &chosen).json();
    assert_eq!(chosen["choices"], 1);
    let margin = |of: &str| chosen[of][0].as_f64().unwrap() - chosen[of][1].as_f64().unwrap();
    assert!((margin("after") - margin("before")).abs() > 1e-6, "{chosen}");
    let held = run(&sandbox, &["export", "author-000"]).json();
    let kinds = held["derived"].as_array().unwrap().iter().map(|of| of["kind"].as_str().unwrap());
    assert!(kinds.clone().any(|kind| kind == "choice"));
    run(&sandbox, &["forget", "author-000", "--yes"]).ok();
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    assert!(store.derived_values("choice").unwrap().is_empty());
}

#[test]
fn an_evaluation_takes_only_a_head_that_saw_no_held_out_text() {
    let sandbox = sandbox();
    run(&sandbox, &["split", "--preset", "small"]).ok();
    run(&sandbox, &["train", "np", "--steps", "10"]).ok();
    let evaluate = [
        "evaluate",
        "--methods",
        "scp",
        "--measures",
        "lexical",
        "--users",
        "2",
        "--max-tokens",
        "4",
        "--best-of",
        "2",
        "--by",
        "np",
        "--json",
    ];
    let error = run(&sandbox, &evaluate).fails_with(1);
    assert!(error.contains("--without-split"), "{error}");
}

#[test]
fn the_head_and_the_curve_of_turns_are_evaluated() {
    let sandbox = sandbox();
    let table = run(&sandbox, &["evaluate", "np", "--users", "8", "--steps", "40"]).ok().stdout;
    assert!(table.contains("owners shuffled") && table.lines().count() >= 10, "{table}");
    let interact =
        ["evaluate", "interact", "--turns", "3", "--users", "4", "--score-tokens", "12", "--json"];
    let curves = run(&sandbox, &interact).json();
    assert_eq!(curves["summary"].as_array().unwrap().len(), 3);
    assert_eq!(curves["without"].as_array().unwrap().len(), 3);
    assert_eq!(run(&sandbox, &interact).json(), curves);
}

#[test]
fn turns_of_a_chat_are_texts_of_the_user() {
    let sandbox = sandbox();
    let chat = [
        "--quiet",
        "--lm",
        "./tiny.gguf",
        "chat",
        "--user",
        "newcomer",
        "--task",
        "reply",
        "--max-tokens",
        "6",
        "--json",
    ];
    let mut command = sandbox.command(&chat);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello there!!\n\nit is me, again!!\n").unwrap();
    let run = Run::of(child.wait_with_output().unwrap()).ok();
    assert_eq!(run.stdout.matches("\"turn\"").count(), 2, "{}", run.stdout);
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    let texts: Vec<String> =
        store.history("newcomer").unwrap().into_iter().map(|stored| stored.review.text).collect();
    assert_eq!(texts, ["hello there!!", "it is me, again!!"]);
}
