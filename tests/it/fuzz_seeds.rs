//! The seeds of the fuzz targets, and what was found by them, hold what the targets check.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

#[path = "../fuzz/properties/mod.rs"]
mod properties;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds")
}

#[test]
fn each_seed_holds_what_its_target_checks() {
    for (target, check) in properties::TARGETS {
        let mut seeds: Vec<PathBuf> = fs::read_dir(folder().join(target))
            .unwrap_or_else(|error| panic!("seeds of {target}: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for seed in seeds {
            let input = fs::read(&seed).unwrap();
            let checked = std::panic::catch_unwind(|| check(&input));
            assert!(checked.is_ok(), "{}", seed.display());
        }
    }
}

#[test]
fn each_folder_of_seeds_is_that_of_a_target() {
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(properties::named(&name).is_some(), "{name} is no target");
    }
}
