//! Arguments in every form that the system allows, outputs that cannot be written, and help.

#![allow(clippy::unwrap_used)]

use std::fs::File;

use crate::common::{Run, Sandbox};

#[test]
fn ids_and_texts_may_begin_with_a_hyphen() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user,item,text\n-Kq7x,-zQ,a\n--all,b,c\n");
    sandbox.run(&["import", "--format", "table", "--reviews", "t.csv"]).ok();
    // The names are read: what is missing is a store entry or a model, not an argument.
    for arguments in [
        &["write", "--user", "-Kq7y", "--item", "-zQ"][..],
        &["write", "--user", "-Kq7x", "--item", "-zR"],
        &["forget", "--dry-run", "--item", "-zR", "--", "-Kq7x"],
        &["profile", "--versions", "--", "-Kq7y"],
    ] {
        let said = sandbox.run(arguments).fails_with(1);
        assert!(said.contains("-Kq7") || said.contains("-zR"), "{arguments:?}: {said}");
    }
    assert_eq!(sandbox.run(&["export", "--", "--all"]).json()["user"], "--all");
    // Where a name cannot stand as it is, the message says how.
    for arguments in [
        &["profile", "-Kq7x", "--versions"][..],
        &["export", "-Kq7x"],
        &["representatives", "-Kq7x", "b"],
    ] {
        let said = sandbox.run(arguments).fails_with(2);
        assert!(said.contains("begins with a hyphen") && said.contains("-- -Kq7x"), "{said}");
    }
}

#[test]
fn outputs_are_tried_before_the_work_begins() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user,item,text\na,b,c\n");
    sandbox.run(&["import", "--format", "table", "--reviews", "t.csv"]).ok();
    for option in ["--html", "--csv"] {
        let said = sandbox.run(&["evaluate", option, "no-such-folder/out"]).fails_with(1);
        assert!(said.contains("cannot write no-such-folder/out"), "{said}");
    }
    let record = ["--record-requests", "no-such-folder/r", "write", "--user", "a", "--item", "b"];
    let said = sandbox.run(&record).fails_with(1);
    assert!(said.contains("no-such-folder/r"), "{said}");
    // An existing file keeps its contents, and no new one is left behind.
    let kept = sandbox.write("kept.html", "as it was");
    sandbox.run(&["evaluate", "--html", "kept.html", "--csv", "new.csv"]).fails_with(1);
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "as it was");
    assert!(!sandbox.path("new.csv").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_by_every_command() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["--version"][..],
        &["--help"],
        &["import", "--help"],
        &["--help-all"],
        &["models", "list"],
        &["completions", "bash"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = sandbox.command(arguments).stdout(full).output().unwrap();
        let said = Run::of(output).fails_with(1);
        assert!(said.contains("cannot write to stdout"), "{arguments:?}: {said}");
    }
    sandbox.run(&["--version"]).ok();
}
