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

#[test]
fn the_version_tells_the_build() {
    let sandbox = Sandbox::new();
    let short = sandbox.run(&["-V"]).ok().stdout;
    assert_eq!(short, format!("idiolect {}\n", env!("CARGO_PKG_VERSION")));
    let long = sandbox.run(&["--version"]).ok().stdout;
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(lines.len(), 4, "{long}");
    assert!(lines[0].starts_with(short.trim()), "{long}");
    let serve = if cfg!(feature = "serve") { "+serve" } else { "-serve" };
    assert!(lines[1].starts_with("features: ") && lines[1].contains(serve), "{long}");
    assert!(lines[2].contains(std::env::consts::ARCH), "{long}");
    assert!(lines[3].contains(idiolect::kernels::Isa::detect().name()), "{long}");
}

/// One page a command, with every option that its help shows.
#[test]
fn manual_pages_have_the_options_of_the_help() {
    let sandbox = Sandbox::new();
    sandbox.run(&["man", "pages"]).ok();
    let page = |name: &str| std::fs::read_to_string(sandbox.path("pages").join(name)).unwrap();
    assert!(page("idiolect.1").contains("idiolect\\-write"), "{}", page("idiolect.1"));
    for command in ["write", "import", "evaluate"] {
        // Roff escapes hyphens.
        let page = page(&format!("idiolect-{command}.1")).replace('\\', "");
        let help = sandbox.run(&[command, "--help-all"]).ok().stdout;
        let options = help.lines().filter_map(|line| {
            let option = line.trim_start().trim_start_matches("-q, ").trim_start_matches("-h, ");
            option.starts_with("--").then(|| option.split([' ', '=']).next().unwrap_or_default())
        });
        for option in options.filter(|option| *option != "--help") {
            assert!(page.contains(option), "{command}: {option}");
        }
    }
}
