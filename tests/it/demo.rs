//! `demo` on the command line, with the small language model.

#![allow(clippy::unwrap_used)]

use crate::common::Sandbox;

#[test]
fn the_demo_shows_each_block_and_a_second_run_computes_nothing() {
    if !crate::common::test_models_present() {
        return;
    }
    let sandbox = Sandbox::new();
    let first = sandbox.run(&["demo", "--user", "mina"]).ok();
    let shown = &first.stdout;
    let blocks = [
        "WHO WRITES",
        "WHAT SETS THEM APART",
        "WHOM THEY ARE COMPARED WITH",
        "THE HIDDEN REVIEW",
        "WRITTEN WITHOUT mina'S TEXTS",
        "WRITTEN AS mina (idiolect)",
    ];
    let places: Vec<usize> = blocks.iter().map(|block| shown.find(block).unwrap()).collect();
    assert!(places.is_sorted(), "{shown}");
    // A habit of mina in the sample, with a quote of hers and one of another user.
    let apart = &shown[places[1]..places[2]];
    assert!(apart.contains("Begins sentences with a small letter"), "{apart}");
    assert!(apart.lines().filter(|line| line.trim_start().starts_with("mina  ")).count() >= 3);
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    assert!(first.stderr.contains("million weights"), "{}", first.stderr);
    let again = sandbox.run(&["demo", "--user", "mina", "--json"]).json();
    for made in again["written"].as_array().unwrap() {
        assert_eq!((&made["computed"], made["reused"].as_u64() > Some(0)), (&0.into(), true));
        let first_line = made["text"].as_str().unwrap().split_whitespace().next().unwrap();
        assert!(shown.contains(first_line), "{first_line}");
    }
    assert_eq!(again["written"].as_array().unwrap().len(), 2);
    let quoted = &again["measured"][0]["evidence"][0];
    assert!(quoted["other"]["quote"].is_string(), "{quoted}");
}

#[test]
fn what_cannot_be_shown_is_told() {
    let sandbox = Sandbox::new();
    let said = sandbox.run(&["demo", "--method", "none"]).fails_with(2);
    assert!(said.contains("idiolect") && said.contains("dpl"), "{said}");
    if crate::common::test_models_present() {
        let said = sandbox.run(&["demo", "--user", "nobody", "--quiet"]).fails_with(1);
        assert!(said.contains("nobody"), "{said}");
    }
}
