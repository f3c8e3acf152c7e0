//! Switches and numbers on the command line and in the environment, in the documented forms.

#![allow(clippy::unwrap_used)]

use crate::common::{Run, Sandbox};

/// Runs the program with one environment variable set.
fn with(sandbox: &Sandbox, name: &str, value: &str, arguments: &[&str]) -> Run {
    let mut command = sandbox.command(arguments);
    command.env("IDIOLECT_MODELS", sandbox.path("models")).env_remove("HF_HUB_OFFLINE");
    // Nothing answers at this address: an attempted download fails at once, with another message
    // than a download that is not attempted.
    command.env("IDIOLECT_PIP", "false").env("HF_ENDPOINT", "http://127.0.0.1:1");
    command.env("HF_HOME", sandbox.path("hf")).env_remove("HF_HUB_CACHE");
    Run::of(command.env(name, value).output().unwrap())
}

#[test]
fn offline_can_be_set_in_every_usual_form() {
    let sandbox = Sandbox::new();
    let fetch = ["models", "fetch", "smollm2-135m-instruct"];
    for variable in ["IDIOLECT_OFFLINE", "HF_HUB_OFFLINE"] {
        for value in ["1", "yes", "on", "true", "TRUE"] {
            let said = with(&sandbox, variable, value, &fetch).fails_with(1);
            assert!(said.contains("not asked"), "{variable}={value}: {said}");
        }
        for value in ["0", "no", "off", "false", "False", ""] {
            let said = with(&sandbox, variable, value, &fetch).fails_with(1);
            assert!(!said.contains("not asked"), "{variable}={value}: {said}");
        }
    }
    let said = with(&sandbox, "IDIOLECT_OFFLINE", "perhaps", &fetch).fails_with(2);
    assert!(said.contains("perhaps") && said.contains("yes or no"), "{said}");
}

#[test]
fn a_variable_of_the_documents_never_ends_a_command() {
    let sandbox = Sandbox::new();
    let readme = include_str!("../../README.md");
    let mut tried = 0;
    for start in readme.match_indices("IDIOLECT_").map(|(at, _)| at) {
        let words = readme[start..].split(|c: char| c.is_whitespace() || c == '`');
        let Some((name, value)) = words.clone().next().and_then(|word| word.split_once('=')) else {
            continue;
        };
        with(&sandbox, name, value, &["models", "list"]).ok();
        tried += 1;
    }
    assert!(tried > 0, "the README sets no variable any more");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let sandbox = Sandbox::new();
    for name in [
        "IDIOLECT_QUIET",
        "IDIOLECT_OFFLINE",
        "IDIOLECT_THREADS",
        "IDIOLECT_KV_BUDGET",
        "IDIOLECT_TIER",
        "IDIOLECT_DEVICE",
        "IDIOLECT_KV_PRECISION",
        "IDIOLECT_ENCODER_PRECISION",
        "IDIOLECT_STORE",
        "IDIOLECT_LM",
        "IDIOLECT_ENCODER",
        "IDIOLECT_TASK",
        "IDIOLECT_WORDNET",
    ] {
        let said = with(&sandbox, name, "", &["users"]).fails_with(1);
        assert!(said.contains("idiolect.sqlite"), "{name}: {said}");
    }
}

#[test]
fn numbers_that_size_something_are_bounded() {
    let sandbox = Sandbox::new();
    let huge = "100000000000";
    for arguments in [
        &["--threads", "100000", "models", "list"][..],
        &["--kv-budget", huge, "models", "list"],
        &["write", "--user", "u", "--item", "i", "--n", huge],
        &["write", "--user", "u", "--item", "i", "--k", huge],
        &["write", "--user", "u", "--item", "i", "--max-tokens", huge],
        &["write", "--user", "u", "--item", "i", "--best-of", huge],
        &["write", "--user", "u", "--item", "i", "--profile-max-tokens", huge],
        &["lm", "complete", "--prompt", "a", "--max-tokens", huge],
        &["representatives", "u", "i", "--k", huge],
        &["bench", "--runs", huge],
        &["bench", "--prompt", huge],
        &["bench", "--depth", huge],
        &["bench", "--sequences", huge],
        &["bench", "--tokens", huge],
        &["bench", "--jobs", huge],
        &["evaluate", "--seeds", huge],
        &["evaluate", "--users", huge],
        &["evaluate", "--wrong-users", huge],
        &["evaluate", "--pairs", huge],
        &["evaluate", "--score-tokens", huge],
        &["users", "--limit", huge],
        &["split", "--train", huge],
    ] {
        let said = sandbox.run(arguments).fails_with(2);
        let number = if arguments[0] == "--threads" { "100000" } else { huge };
        assert!(said.contains(number), "{arguments:?}: {said}");
    }
    let by_variable = with(&sandbox, "IDIOLECT_THREADS", "100000", &["models", "list"]);
    let said = by_variable.fails_with(2);
    assert!(said.contains("at most"), "{said}");
}
