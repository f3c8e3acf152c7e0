//! No command but `models fetch` makes a call to the network: traced with strace, in a network namespace
//! without interfaces.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::process::{Command, Stdio};

use crate::common::{Run, Sandbox, test_models_present};

/// Whether the program can be traced in a namespace here.
fn can_trace() -> bool {
    let traced = Command::new("unshare")
        .args(["--net", "--map-root-user", "strace", "-f", "-e", "trace=%network", "true"])
        .output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: `unshare --net` or `strace` does not work on this machine");
    }
    can
}

/// Runs the program under strace without a network; returns its run and its network calls.
fn traced(sandbox: &Sandbox, arguments: &[&str]) -> (Run, Vec<String>) {
    let plain = sandbox.command(arguments);
    let log = sandbox.path("calls");
    let mut command = Command::new("unshare");
    command.args(["--net", "--map-root-user", "strace", "-f", "-qq", "-e", "trace=%network", "-o"]);
    command.arg(&log).arg(plain.get_program()).args(arguments);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(sandbox.path("")).stdin(Stdio::null());
    let run = Run::of(command.output().unwrap());
    let calls = std::fs::read_to_string(log).unwrap();
    let is_call =
        |line: &&str| line.contains('(') && !line.contains("+++") && !line.contains("---");
    (run, calls.lines().filter(is_call).map(str::to_owned).collect())
}

/// Network calls other than those between processes of this machine.
fn outgoing(calls: &[String]) -> Vec<&String> {
    calls.iter().filter(|call| !call.contains("AF_UNIX") && !call.contains("AF_LOCAL")).collect()
}

#[test]
fn the_trace_sees_a_program_that_asks_the_network() {
    if !can_trace() {
        return;
    }
    // A check that cannot fail would prove nothing: an attempt to fetch has to be seen.
    let sandbox = Sandbox::new();
    let folder = sandbox.path("models");
    let fetch =
        ["models", "fetch", "smollm2-135m-instruct", "--models-dir", folder.to_str().unwrap()];
    let (run, calls) = traced(&sandbox, &fetch);
    run.fails_with(1);
    assert!(!outgoing(&calls).is_empty(), "the attempt was not traced");
    let (run, calls) = traced(&sandbox, &[&fetch[..], &["--offline"]].concat());
    run.fails_with(1);
    assert_eq!(outgoing(&calls), Vec::<&String>::new());
}

#[test]
fn no_command_makes_a_call_to_the_network() {
    if !can_trace() || !test_models_present() {
        return;
    }
    let sandbox = Sandbox::new();
    let rows: String = (0..4)
        .flat_map(|n| {
            ["eva", "ida", "bo", "cy"]
                .map(|user| format!("{user},i{n},{user} writes text {n},{n}\n"))
        })
        .collect();
    sandbox.write("r.csv", format!("user,item,text,time\n{rows}"));
    sandbox.write("lines.txt", "a line\n");
    sandbox.write("p.jsonl", "\"a text\"\n");
    let commands: &[&[&str]] = &[
        &["--version"],
        &["models", "list"],
        &["import", "--format", "table", "--reviews", "r.csv"],
        &["split", "--preset", "none"],
        &["index"],
        &["users"],
        &["representatives", "eva", "i1", "--k", "2"],
        &["profile", "eva", "--n", "2"],
        &["profile", "eva", "--versions"],
        &[
            "write",
            "--user",
            "eva",
            "--item",
            "i3",
            "--method",
            "scp",
            "--n",
            "2",
            "--max-tokens",
            "2",
        ],
        &[
            "evaluate",
            "--methods",
            "scp",
            "--measures",
            "likelihood",
            "--users",
            "1",
            "--wrong-users",
            "0",
            "--n",
            "2",
            "--html",
            "r.html",
        ],
        &["lm", "tokenize", "--text", "a"],
        &["lm", "complete", "--prompt", "a", "--max-tokens", "2"],
        &["lm", "score", "--prompt-file", "lines.txt", "--continuation-file", "lines.txt"],
        &["embed", "--file", "lines.txt"],
        &["metrics", "--predictions", "p.jsonl", "--references", "p.jsonl"],
        &["doctor"],
        &["doctor", "--self-test"],
        &["export", "eva"],
        &["forget", "eva", "--yes"],
    ];
    for arguments in commands {
        let (run, calls) = traced(&sandbox, arguments);
        run.ok();
        assert_eq!(outgoing(&calls), Vec::<&String>::new(), "{arguments:?}");
    }
}
