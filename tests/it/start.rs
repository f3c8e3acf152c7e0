//! `start`: from an export of one's own texts to a profile and the page.
#![allow(clippy::unwrap_used)]

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Sandbox, test_models_present};

const ME: &str = "mina@example.org";

/// A sandbox with the mails of the people of the sample corpus; `None` if a model is missing.
fn mails() -> Option<Sandbox> {
    if !test_models_present() {
        return None;
    }
    let sandbox = Sandbox::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/make-sample-mail");
    let made =
        Command::new("python3").arg(script).arg(sandbox.path("mails.mbox")).status().unwrap();
    assert!(made.success());
    Some(sandbox)
}

#[test]
fn mails_become_a_profile() {
    let Some(sandbox) = mails() else { return };
    let mbox = sandbox.path("mails.mbox");
    let mbox = mbox.to_str().unwrap();
    // Without --me the authors are listed, and what was read is kept.
    let said = sandbox.run(&["start", mbox, "--no-page"]).fails_with(1);
    assert!(said.contains("--me") && said.contains("angus"), "{said}");
    let said = sandbox.run(&["start", mbox, "--no-page", "--me", "nobody@example.org"]);
    let said = said.fails_with(1);
    assert!(said.contains("no text is by `nobody@example.org`"), "{said}");

    let shown = sandbox.run(&["start", mbox, "--no-page", "--me", ME]).ok().stdout;
    assert!(shown.contains(&format!("What sets {ME} apart")), "{shown}");
    // A habit of mina in the sample, with a quote of hers.
    assert!(shown.contains("Begins sentences with a small letter"), "{shown}");
    assert!(shown.lines().filter(|line| line.trim_start().starts_with(ME)).count() >= 3, "{shown}");
    let told = sandbox.run(&["--json", "start", mbox, "--no-page", "--me", ME]).json();
    assert_eq!((told["user"].as_str(), told["task"].as_str()), (Some(ME), Some("reply")));
    assert!(!told["measured"].as_array().unwrap().is_empty(), "{told}");

    // A table names its users itself, so that --me only says which one is meant.
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample/reviews.jsonl");
    let start = ["--json", "--store", "table.sqlite", "start", table, "--no-page", "--me", "mina"];
    let told = sandbox.run(&start).json();
    assert_eq!((told["user"].as_str(), told["task"].as_str()), (Some("mina"), Some("review")));

    let said = sandbox.run(&["start", "missing.mbox"]).fails_with(1);
    assert!(said.contains("missing.mbox"), "{said}");
    let nothing = sandbox.write("empty.bin", [0_u8, 1, 2, 3]);
    let said = sandbox.run(&["start", nothing.to_str().unwrap()]).fails_with(1);
    assert!(said.contains("format"), "{said}");
}

#[test]
fn notes_of_one_person_need_no_name_and_the_page_is_served() {
    let Some(sandbox) = mails() else { return };
    std::fs::create_dir(sandbox.path("notes")).unwrap();
    for (name, text) in [("a", "The beans are in."), ("b", "Rain again. Mended the fence.")] {
        let note = format!(
            "---\ntitle: Day {name}\nauthor: Ann\ndate: 2024-05-0{}\n---\n\n{text}\n",
            name.len()
        );
        sandbox.write(&format!("notes/{name}.md"), note);
    }
    let notes = sandbox.path("notes");
    let arguments = ["--json", "start", notes.to_str().unwrap(), "--port", "0"];
    let mut child = sandbox.command(&arguments);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut objects = serde_json::Deserializer::from_reader(&mut lines).into_iter::<Value>();
    let profile = objects.next().unwrap().unwrap();
    assert_eq!((profile["user"].as_str(), profile["task"].as_str()), (Some("Ann"), Some("post")));
    let served = objects.next().unwrap().unwrap();
    let address = served["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("<html"), "{answer}");
    child.kill().unwrap();
    child.wait().unwrap();
}
