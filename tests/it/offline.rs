//! Everything but `models fetch` works without a network.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{Run, Sandbox};

/// Runs the program in a network namespace without even a loopback interface; `None` if `unshare`
/// cannot be started.
fn without_network(sandbox: &Sandbox, arguments: &[&str]) -> Option<Run> {
    let program = sandbox.command(arguments);
    let mut command = Command::new("unshare");
    command.args(["--net", "--map-root-user"]).arg(program.get_program()).args(arguments);
    command.current_dir(program.get_current_dir().unwrap());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(Run::of(command.output().ok()?))
}

fn namespaces_work() -> bool {
    let works = Command::new("unshare")
        .args(["--net", "--map-root-user", "true"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !works {
        eprintln!("skipped: this machine gives no network namespace (`unshare --net`)");
    }
    works
}

#[test]
fn the_main_job_needs_no_network() {
    if !namespaces_work() || !crate::common::test_models_present() {
        return;
    }
    let sandbox = Sandbox::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    let reviews = format!("{sample}/reviews.jsonl");
    let items = format!("{sample}/items.jsonl");
    let run = |arguments: &[&str]| without_network(&sandbox, arguments).unwrap();

    let map = "user=user,item=item,text=text,rating=rating,title=title,time=time";
    let counts = run(&[
        "import",
        "--format",
        "table",
        "--reviews",
        &reviews,
        "--items",
        &items,
        "--map",
        map,
        "--json",
    ])
    .json();
    assert_eq!(counts["users"], 16);
    run(&["models", "list"]).ok();
    run(&["doctor", "--json"]).json();
    assert_eq!(run(&["index", "--json"]).json()["users"], 16);
    let score = {
        sandbox.write("prompt", "The kettle is");
        sandbox.write("continuation", " loud.");
        run(&[
            "lm",
            "score",
            "--prompt-file",
            "prompt",
            "--continuation-file",
            "continuation",
            "--json",
        ])
        .json()
    };
    assert!(!score["logprobs"].as_array().unwrap().is_empty());
    let written = run(&[
        "write",
        "--user",
        "harold",
        "--item",
        "kettle-brisk-15",
        "--method",
        "scp",
        "--seed",
        "1",
        "--n",
        "2",
        "--max-tokens",
        "24",
        "--json",
    ])
    .json();
    assert!(written["completion_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn fetching_without_a_network_fails_soon_and_says_why() {
    if !namespaces_work() {
        return;
    }
    let sandbox = Sandbox::new();
    let models = sandbox.path("models");
    let models = models.to_str().unwrap();
    let started = Instant::now();
    let offline = without_network(
        &sandbox,
        &["models", "fetch", "smollm2-135m-instruct", "--models-dir", models, "--offline"],
    );
    let said = offline.unwrap().fails_with(1);
    assert!(said.contains("offline"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(30), "it waited for a network");
}
