//! A store that may only be read: commands that read work and say that nothing is kept; those that must
//! write say why they cannot.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::process::{Command, Stdio};

use crate::common::{Run, Sandbox, test_models_present};

/// Runs the program in a mount namespace in which the folder `store` is read-only; `None` if this system
/// has no such namespaces. Permissions would not do: the superuser may write everywhere.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Option<Run> {
    let folder = sandbox.path("store");
    let folder = folder.to_str().unwrap();
    let plain = sandbox.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c"]).arg(format!(
        "mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} || exit 77; exec \"$@\""
    ));
    command.arg("sh").arg(plain.get_program()).args(["--store", "store/s.sqlite"]).args(arguments);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(sandbox.path("")).stdin(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.code() != Some(77));
    if output.as_ref().is_none_or(|output| {
        output.status.code() == Some(1) && output.stderr.starts_with(b"unshare")
    }) {
        eprintln!("skipped: no mount namespaces here");
        return None;
    }
    output.map(Run::of)
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("store")).unwrap();
    let rows: String = (0..4)
        .flat_map(|n| {
            ["eva", "ida", "bo", "cy"]
                .map(|user| format!("{user},i{n},{user} writes text {n},{n}\n"))
        })
        .collect();
    sandbox.write("r.csv", format!("user,item,text,time\n{rows}eva,last,the end,9\n"));
    let import = ["--store", "store/s.sqlite", "import", "--format", "table", "--reviews", "r.csv"];
    sandbox.run(&import).ok();
    sandbox
}

#[test]
fn a_read_only_store_is_read_and_what_must_write_says_so() {
    let sandbox = sandbox();
    let before = std::fs::read(sandbox.path("store/s.sqlite")).unwrap();
    let Some(users) = run(&sandbox, &["users"]) else { return };
    let users = users.ok();
    assert!(users.stdout.contains("eva") && users.stderr.contains("not kept"), "{users:?}");
    for arguments in [
        &["import", "--format", "table", "--reviews", "r.csv"][..],
        &["split", "--preset", "none"],
        &["forget", "eva", "--yes"],
    ] {
        let said = run(&sandbox, arguments).unwrap().fails_with(1);
        assert!(said.contains("cannot be written"), "{arguments:?}: {said}");
        assert!(!said.contains("code") && !said.contains("SQL"), "{said}");
    }
    if test_models_present() {
        let write = [
            "write",
            "--user",
            "eva",
            "--item",
            "last",
            "--method",
            "idiolect",
            "--max-tokens",
            "4",
            "--json",
        ];
        let texts: Vec<_> =
            (0..2).map(|_| run(&sandbox, &write).unwrap().json()["text"].clone()).collect();
        assert_eq!(texts[0], texts[1]);
        let peers = ["representatives", "eva", "i1", "--k", "2", "--json"];
        let peers = run(&sandbox, &peers).unwrap();
        assert!(peers.json()["representatives"].as_array().is_some_and(|found| !found.is_empty()));
        let said = run(&sandbox, &["index"]).unwrap().fails_with(1);
        assert!(said.contains("cannot be written"), "{said}");
    }
    assert_eq!(std::fs::read(sandbox.path("store/s.sqlite")).unwrap(), before);
    assert_eq!(
        std::fs::read_dir(sandbox.path("store")).unwrap().count(),
        1,
        "a file was left beside it"
    );
}

#[test]
fn a_folder_that_is_gone_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("r.csv", "user,item,text\na,b,c\n");
    let import = ["--store", "gone/s.sqlite", "import", "--format", "table", "--reviews", "r.csv"];
    let said = sandbox.run(&import).fails_with(1);
    assert!(said.contains("gone/s.sqlite") && said.contains("folder does not exist"), "{said}");
}
