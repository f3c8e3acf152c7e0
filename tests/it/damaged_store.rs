//! A store with damaged pages: commands say so, and none panics or prints rubbish.

#![allow(clippy::unwrap_used)]

use crate::common::Sandbox;
use rand::{RngExt, SeedableRng};

/// A folder with a store of 2000 reviews.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let rows: String = (0..2000)
        .map(|n| {
            format!("user{},item{},a text number {n} with some words in it,{n}\n", n % 40, n % 90)
        })
        .collect();
    sandbox.write("r.csv", format!("user,item,text,time\n{rows}"));
    sandbox.run(&["import", "--format", "table", "--reviews", "r.csv"]).ok();
    sandbox
}

#[test]
fn a_damaged_page_is_told() {
    let sandbox = sandbox();
    let whole = std::fs::read(sandbox.path("idiolect.sqlite")).unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let (mut n_told, mut n_found) = (0, 0);
    for _ in 0..10 {
        let mut damaged = whole.clone();
        // A page of 4096 bytes, not the first, is overwritten.
        let page = rng.random_range(1..whole.len() / 4096) * 4096;
        damaged[page..page + 4096].fill(rng.random());
        sandbox.write("idiolect.sqlite", damaged);
        for arguments in [&["users"][..], &["export", "user7"], &["forget", "user7", "--dry-run"]] {
            let run = sandbox.run(arguments);
            assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
            if run.code == Some(0) {
                continue;
            }
            assert!(
                run.stderr.contains("is damaged") && run.stderr.contains("idiolect recover"),
                "{run:?}"
            );
            n_told += 1;
        }
        let checked = sandbox.run(&["doctor", "--json"]);
        assert!(!checked.stderr.contains("panicked"), "{}", checked.stderr);
        n_found += u32::from((checked.stdout + &checked.stderr).contains("is damaged"));
    }
    assert!(n_told > 0, "no damage was met");
    assert_eq!(n_found, 10, "`doctor` misses damaged pages");
}

#[test]
fn what_can_be_read_is_recovered() {
    let sandbox = sandbox();
    let whole = std::fs::read(sandbox.path("idiolect.sqlite")).unwrap();
    let recover = |into: &str| sandbox.run(&["recover", "--json", "--into", into]);
    let rows = |tables: &serde_json::Value, table: &str| {
        let tables = tables["tables"].as_array().unwrap();
        let found = tables.iter().find(|outcome| outcome["table"] == table).unwrap();
        (found["rows"].as_u64().unwrap(), found["lost"].as_u64())
    };
    let tables = recover("whole.sqlite").json();
    assert_eq!(rows(&tables, "review"), (2000, Some(0)));
    let shown = sandbox.run(&["--store", "whole.sqlite", "users", "--json"]).ok().stdout;
    assert_eq!(shown, sandbox.run(&["users", "--json"]).ok().stdout);
    let exists = recover("whole.sqlite").fails_with(1);
    assert!(exists.contains("exists already"), "{exists}");

    // A page with reviews is one with their texts.
    let at = whole.windows(15).position(|w| w == b"text number 700").unwrap() / 4096 * 4096;
    let mut damaged = whole;
    damaged[at..at + 4096].fill(0x5a);
    sandbox.write("idiolect.sqlite", &damaged);
    let said = sandbox.run(&["recover", "--into", "new.sqlite"]).ok();
    assert!(said.stdout.contains("lost"), "{said:?}");
    let tables = recover("new2.sqlite").json();
    let (kept, lost) = rows(&tables, "review");
    assert!(kept > 1900 && lost == Some(2000 - kept), "{tables}");
    assert_eq!(std::fs::read(sandbox.path("idiolect.sqlite")).unwrap(), damaged);
    let users = sandbox.run(&["--store", "new.sqlite", "users", "--json"]).json();
    let reviews = users["users"].as_array().unwrap().iter().map(|u| u["reviews"].as_u64().unwrap());
    assert_eq!(reviews.sum::<u64>(), kept);
}

/// Variable with the path of a model that the child process of the test below reads.
#[cfg(target_os = "linux")]
const LOST: &str = "IDIOLECT_TEST_LOST_PAGE";

#[cfg(target_os = "linux")]
#[test]
fn a_lost_page_of_a_model_ends_the_program_with_a_message() {
    use idiolect::model::gguf::{Gguf, Value, writer::Writer};

    if let Some(path) = std::env::var_os(LOST) {
        idiolect::model::exit_on_lost_pages("the page is lost\n");
        let gguf = Gguf::open(path.as_ref()).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
        let read = gguf.tensor("t").unwrap().data.iter().map(|byte| u64::from(*byte));
        panic!("{} was read from pages that are not there", read.sum::<u64>());
    }
    let sandbox = Sandbox::new();
    let model = Writer::new().value("general.architecture", Value::String("llama".into()));
    let model = model.tensor_f32("t", &[64, 1024], &vec![1.0; 64 * 1024]).finish();
    let path = sandbox.write("m.gguf", model);
    let name = "damaged_store::a_lost_page_of_a_model_ends_the_program_with_a_message";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).env(LOST, path);
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.ends_with("the page is lost\n"), "{said}");
}
