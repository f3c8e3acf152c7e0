//! The methods `tiers`, `fermi`, `pad`, `pplug` and `reclora` and their evaluations on the command line, with synthetic authors
//! and a tiny language model.

#![allow(clippy::unwrap_used)]

use idiolect::corpus::Store;
use idiolect::evaluate::synthetic::{World, WorldOptions};
use idiolect::lm::tiny::Tiny;
use idiolect_engine::encoder::testing::write_tiny_encoder;
use serde_json::Value;

use crate::common::{Run, Sandbox};

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

/// The same again gives the same, from the store.
fn twice(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let first = run(sandbox, arguments).json();
    assert_eq!(run(sandbox, arguments).json(), first);
    first
}

/// Adds users with too few texts for the split, on whom something is trained.
fn put_others(sandbox: &Sandbox) {
    let options =
        WorldOptions { n_authors: 30, n_without_rules: 0, n_items: 12, n_reviews: 5, seed: 9 };
    let mut others = World::new(&options).reviews;
    others.iter_mut().for_each(|review| review.user = format!("other-{}", review.user));
    let store = Store::open(&sandbox.path("idiolect.sqlite")).unwrap();
    store.put_reviews(&others).unwrap();
}

const WRITE: [&str; 8] =
    ["write", "--user", "author-000", "--item", "item-001", "--max-tokens", "8", "--json"];

#[test]
fn tiers_are_set_by_options_and_tested() {
    let sandbox = sandbox();
    let tiers =
        ["--method", "tiers", "--operator", "No links; no prices, ever", "--wishes", "Be brief"];
    let written = twice_text(&sandbox, &[&WRITE[..], &tiers].concat());
    let settings = &written["settings"]["tiers"];
    assert_eq!(settings["operator"], serde_json::json!(["No links", "no prices, ever"]));
    assert_eq!(settings["user"], serde_json::json!(["Be brief"]));
    let evaluate = ["evaluate", "tiers", "--requests", "2", "--max-tokens", "4"];
    let table = run(&sandbox, &evaluate).ok().stdout;
    assert!(table.contains("steerability") && table.contains("operator wins"), "{table}");
    let contrasted = [&evaluate[..], &["--contrast", "tier,b=2", "--json"]].concat();
    let result = twice(&sandbox, &contrasted);
    assert_eq!(result["plain"]["preferences"].as_array().unwrap().len(), 16);
    assert_eq!(result["contrast"]["rule"]["b"], 2.0);
}

#[test]
fn instructions_are_searched_for_and_judged_on_newer_texts() {
    let sandbox = sandbox();
    let fermi = ["--method", "fermi", "--optimiser", "model", "--rounds", "1"];
    let written = twice_text(&sandbox, &[&WRITE[..], &fermi].concat());
    assert_eq!(written["settings"]["fermi"]["optimiser"], "model");
    let evaluate = [
        "evaluate",
        "fermi",
        "--users",
        "2",
        "--min-texts",
        "6",
        "--optimiser",
        "model",
        "--rounds",
        "1",
        "--score-tokens",
        "12",
        "--json",
    ];
    let evaluation = twice(&sandbox, &evaluate);
    assert_eq!(evaluation["users"].as_array().unwrap().len(), 2);
    assert_eq!(evaluation["figures"].as_array().unwrap().len(), 8);
    let refused = [&WRITE[..], &fermi, &["--no-peer-text"]].concat();
    assert!(run(&sandbox, &refused).fails_with(1).contains("fermi"));
}

/// The JSON of two runs with the same text.
fn twice_text(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let first = run(sandbox, arguments).json();
    assert_eq!(run(sandbox, arguments).json()["text"], first["text"]);
    first
}

#[test]
fn picks_among_drafts_are_compared_with_all_drafts() {
    let sandbox = sandbox();
    put_others(&sandbox);
    run(&sandbox, &["split", "--preset", "small"]).ok();
    let evaluate = [
        "evaluate",
        "best-of",
        "--method",
        "scp",
        "--pairs",
        "4",
        "--best-of",
        "2",
        "--max-tokens",
        "4",
        "--no-encoder",
    ];
    let error = run(&sandbox, &evaluate).fails_with(1);
    assert!(error.contains("idiolect train np"), "{error}");
    run(&sandbox, &["train", "np", "--steps", "10", "--without-split", "default"]).ok();
    let table = run(&sandbox, &evaluate).ok().stdout;
    assert!(table.contains("trigrams") && table.contains("another's"), "{table}");
}

#[test]
fn a_token_reward_is_trained_writes_and_is_forgotten() {
    let sandbox = sandbox();
    let pad = [&WRITE[..], &["--method", "pad"]].concat();
    let error = run(&sandbox, &pad).fails_with(1);
    assert!(error.contains("idiolect train pad"), "{error}");
    let scp = run(&sandbox, &[&WRITE[..], &["--method", "scp"]].concat()).json();
    let off = run(&sandbox, &[&pad[..], &["--reward-weight", "0"]].concat()).json();
    assert_eq!(off["text"], scp["text"]);
    let train = ["train", "pad", "--pairs", "12", "--tokens", "8", "--steps", "4", "--json"];
    let trained = run(&sandbox, &train).json();
    assert!(trained["users"].as_u64().unwrap() >= 2, "{trained}");
    twice_text(&sandbox, &pad);
    let error = run(&sandbox, &[&train[..], &["--gated"]].concat()).fails_with(1);
    assert!(error.contains("idiolect train np"), "{error}");
    let evaluate = [
        "evaluate",
        "pad",
        "--users",
        "4",
        "--pairs",
        "12",
        "--tokens",
        "8",
        "--steps",
        "2",
        "--np-steps",
        "4",
        "--json",
    ];
    let evaluation = twice(&sandbox, &evaluate);
    assert_eq!(evaluation["rows"].as_array().unwrap().len(), 4);
    let users: Vec<String> = {
        let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
        assert_eq!(store.derived_values("pad").unwrap().len(), 1);
        store.users(1).unwrap().into_iter().map(|summary| summary.user).collect()
    };
    for user in users.iter().take(users.len() - 1) {
        run(&sandbox, &["forget", user, "--yes"]).ok();
    }
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    for kind in ["pad", "pad-trace", "pad-evaluation"] {
        assert!(store.derived_values(kind).unwrap().is_empty(), "{kind}");
    }
}

#[test]
fn adapters_are_trained_write_are_judged_and_forgotten() {
    let sandbox = sandbox();
    write_tiny_encoder(&sandbox.path("encoder"));
    put_others(&sandbox);
    let run =
        |arguments: &[&str]| run(&sandbox, &[&["--encoder", "./encoder"], arguments].concat());
    run(&["split", "--preset", "small"]).ok();
    for name in ["pplug", "reclora"] {
        let write = [&WRITE[..], &["--method", name]].concat();
        let error = run(&write).fails_with(1);
        assert!(error.contains(&format!("idiolect train {name}")), "{error}");
        let train = [
            "train",
            name,
            "--texts",
            "8",
            "--tokens",
            "8",
            "--prompt-tokens",
            "4096",
            "--steps",
            "2",
            "--json",
        ];
        let trained = run(&train).json();
        assert!(trained["users"].as_u64().unwrap() >= 4 && trained["steps"] == 2, "{trained}");
        // The same again trains nothing.
        let again = run(&train).json();
        assert_eq!(again["validation_loss"], trained["validation_loss"]);
        let written = run(&write).json();
        assert_eq!(run(&write).json()["text"], written["text"]);
        let evaluate = [
            "evaluate",
            "--methods",
            name,
            "--measures",
            "likelihood",
            "--users",
            "2",
            "--score-tokens",
            "8",
            "--wrong-users",
            "1",
            "--json",
        ];
        let error = run(&evaluate).fails_with(1);
        assert!(error.contains(&format!("idiolect train {name} --without-split")), "{error}");
        run(&[&train[..], &["--without-split", "default"]].concat()).ok();
        run(&evaluate).ok();
    }
    let users: Vec<String> = {
        let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
        assert_eq!(store.derived_values("pplug").unwrap().len(), 2);
        store.users(1).unwrap().into_iter().map(|summary| summary.user).collect()
    };
    for user in users.iter().take(users.len() - 1) {
        run(&["forget", user, "--yes"]).ok();
    }
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    for kind in ["pplug", "reclora", "training"] {
        assert!(store.derived_values(kind).unwrap().is_empty(), "{kind}");
    }
}
