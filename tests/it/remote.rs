//! `--lm http://HOST:PORT/v1#MODEL` against `serve`: the same texts, scores and figures as in the process.
#![allow(clippy::unwrap_used)]

use idiolect_engine::lm::tiny::Tiny;
use serde_json::{Value, json};

use crate::common::Sandbox;
use crate::serve::Serving;

/// A sandbox with a tiny language model and a small corpus, and a server of the model.
fn served() -> (Sandbox, Serving, String) {
    let sandbox = Sandbox::new();
    sandbox.write("tiny.gguf", Tiny { context: 8192, ..Tiny::new("llama") }.bytes());
    let mut rows = String::new();
    for (u, user) in ["ann", "bo", "cyd"].iter().enumerate() {
        for (i, item) in ["kettle", "lamp", "spade"].iter().enumerate() {
            if u != i {
                let text = format!("The {item}: {}", "fine, says ".repeat(u + 1) + user);
                let row =
                    json!({ "user": user, "item": item, "text": text, "time": 1000 * (3 * u + i) });
                rows += &format!("{row}\n");
            }
        }
    }
    sandbox.write("reviews.jsonl", rows);
    sandbox.run(&["import", "--format", "table", "--reviews", "reviews.jsonl"]).ok();
    let server = Serving::start(&sandbox, &["--lm", "tiny.gguf", "--no-encoder"]);
    let address = format!("http://{}/v1#{}", server.address, server.model);
    (sandbox, server, address)
}

fn texts(answer: &Value) -> (&Value, &Value, &Value) {
    (&answer["text"], &answer["finish"], &answer["completion_tokens"])
}

#[test]
fn texts_and_scores_are_those_of_the_process() {
    let (sandbox, _server, address) = served();
    let local = ["--lm", "tiny.gguf", "--json"];
    let remote = ["--lm", &address, "--lm-tokenizer", "tiny.gguf", "--json"];
    let both = |arguments: &[&str]| {
        [&local[..], &remote[..]].map(|model| sandbox.run(&[model, arguments].concat()).json())
    };
    for method in ["rag", "scp", "non-perso"] {
        let write = [
            "write",
            "--user",
            "ann",
            "--item",
            "kettle",
            "--method",
            method,
            "--max-tokens",
            "20",
        ];
        // Keys, and with them the seeds of the sampler, cover the model: only greedy texts are equal, and
        // of others even the lengths differ.
        for written in both(&write) {
            let n = written["completion_tokens"].as_u64().unwrap();
            let is_whole = written["finish"] == "end" || written["finish"] == "length" && n == 20;
            assert!(is_whole && n <= 20, "{method}: {written}");
        }
        let [ours, theirs] = both(&[&write[..], &["--temperature", "0"]].concat());
        assert_eq!(texts(&ours), texts(&theirs), "{method}");
    }
    let seeded = ["lm", "complete", "--prompt", "Say", "--temperature", "0.9", "--seed", "5"];
    let [ours, theirs] = both(&[&seeded[..], &["--max-tokens", "20"]].concat());
    assert_eq!(ours, theirs);
    sandbox.write("prompt.txt", "Say it");
    sandbox.write("text.txt", "again and again");
    let score = ["lm", "score", "--prompt-file", "prompt.txt", "--continuation-file", "text.txt"];
    let [ours, theirs] = both(&score);
    assert_eq!(ours, theirs);
    // Streamed, to a terminal or a pipe.
    let streamed = sandbox.run(&[&remote[..4], &seeded[..], &["--max-tokens", "20"]].concat()).ok();
    let text = theirs["text"].as_str();
    assert!(text.is_none_or(|text| streamed.stdout.contains(text)));
}

#[test]
fn a_users_words_are_sent_and_what_a_server_cannot_do_is_refused() {
    let (sandbox, _server, address) = served();
    let write =
        ["write", "--user", "ann", "--item", "kettle", "--max-tokens", "20", "--temperature", "0"];
    let remote = ["--lm", &address, "--lm-tokenizer", "tiny.gguf", "--json"];
    let refused = sandbox.run(&[&remote[..], &write].concat()).fails_with(1);
    assert!(refused.contains("idiolect.guard-words=0"), "{refused}");
    let no_guard = ["--set", "idiolect.guard-words=0"];
    let refused = sandbox.run(&[&remote[..], &write, &no_guard].concat()).fails_with(1);
    assert!(refused.contains("idiolect.phrases=0"), "{refused}");
    let refused_by_default = "idiolect.guard-words=0,idiolect.phrases=0,idiolect.as-long=false";
    let theirs =
        sandbox.run(&[&remote[..], &write, &["--set", refused_by_default]].concat()).json();
    // A server tells no distributions: others' texts take the place of the model's expectation.
    let counted = "idiolect.lexical=0.5,idiolect.expected=0,idiolect.corpus=0,idiolect.prompts=1";
    let settings = format!("{refused_by_default},{counted}");
    let local = ["--lm", "tiny.gguf", "--json"];
    let ours = sandbox.run(&[&local[..], &write, &["--set", &settings]].concat()).json();
    assert_eq!(texts(&ours), texts(&theirs));
    // The counts take part in the text.
    let uncounted = format!("{refused_by_default},idiolect.lexical=0");
    let without = sandbox.run(&[&remote[..], &write, &["--set", &uncounted]].concat()).json();
    assert_ne!(texts(&without), texts(&theirs));
}

#[test]
fn connections_need_permission_and_a_tokenizer() {
    let (sandbox, _server, address) = served();
    let complete = ["lm", "complete", "--prompt", "a", "--max-tokens", "1"];
    let remote = ["--lm", &address, "--lm-tokenizer", "tiny.gguf"];
    sandbox.run(&[&remote[..], &complete].concat()).ok();
    let offline = sandbox.run(&[&["--offline"][..], &remote, &complete].concat()).fails_with(1);
    assert!(offline.contains("--offline"), "{offline}");
    let mut command = sandbox.command(&[&remote[..], &complete].concat());
    let run = crate::common::Run::of(command.env("IDIOLECT_OFFLINE", "1").output().unwrap());
    assert!(run.fails_with(1).contains("forbids connections"));
    let bare = sandbox.run(&[&remote[..2], &complete].concat()).fails_with(1);
    assert!(bare.contains("--lm-tokenizer"), "{bare}");
    let bench = sandbox.run(&["--lm", &address, "bench", "--only", "decode"]).fails_with(1);
    assert!(bench.contains("needs the language model in this process"), "{bench}");
    let wrong = format!("{}x", address);
    let wrong =
        sandbox.run(&[&["--lm", &wrong][..], &remote[2..], &complete].concat()).fails_with(1);
    assert!(wrong.contains("serves no model `tinyx`"), "{wrong}");
}
