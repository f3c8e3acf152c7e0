//! `idiolect lm` on the command line, with the language model of the tests.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use crate::common::Sandbox;

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn complete_gives_the_same_text_twice_as_json_and_as_text() {
    if crate::common::test_lm().is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let prompt = "The kettle had been on the stove for an hour when";
    let arguments = ["lm", "complete", "--prompt", prompt, "--max-tokens", "8"];
    let json = sandbox.run(&[&arguments[..], &["--json"]].concat()).ok().json();
    let text = json["text"].as_str().unwrap().to_owned();
    assert_eq!((&json["completion_tokens"], &json["finish"]), (&8.into(), &"length".into()));
    assert!(json["prompt_tokens"].as_u64().unwrap() > 8 && !text.trim().is_empty());

    let file = sandbox.write("prompt.txt", prompt);
    let streamed = sandbox
        .run(&["lm", "complete", "--prompt-file", file.to_str().unwrap(), "--max-tokens", "8"])
        .ok();
    assert_eq!(streamed.stdout, format!("{text}\n"));

    let threads = sandbox.run(&[&arguments[..], &["--json", "--threads", "1"]].concat()).ok();
    assert_eq!(threads.json(), json);

    let nothing = ["lm", "complete", "--prompt", prompt, "--max-tokens", "0", "--json"];
    assert_eq!(sandbox.run(&nothing).ok().json()["text"], "");
}

#[test]
fn a_completion_is_held_to_a_schema_or_a_regular_expression() {
    if crate::common::test_lm().is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let schema = r#"{
        "type": "object",
        "properties": {
            "sentiment": { "enum": ["positive", "negative"] },
            "stars": { "type": "integer", "minimum": 1, "maximum": 5 },
            "why": { "type": "string", "maxLength": 60 }
        },
        "required": ["sentiment", "stars", "why"],
        "additionalProperties": false
    }"#;
    let schema = sandbox.write("schema.json", schema);
    let schema = schema.to_str().unwrap();
    let ask = ["lm", "complete", "--chat", "--prompt", "Judge this review: It leaks. I hate it."];
    let ask = |more: &[&str]| sandbox.run(&[&ask[..], more].concat());
    for seed in ["1", "2", "3"] {
        let sampled = ["--json-schema", schema, "--temperature", "1", "--seed", seed, "--json"];
        let text = ask(&sampled).ok().json()["text"].as_str().unwrap().to_owned();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!((1..=5).contains(&value["stars"].as_i64().unwrap()), "{text}");
        assert!(value["why"].as_str().unwrap().chars().count() <= 60, "{text}");
        assert_eq!(value.as_object().unwrap().len(), 3, "{text}");
    }
    let stars = ask(&["--regex", "[1-5] stars?"]).ok().stdout;
    let (number, word) = stars.trim_end().split_once(' ').unwrap();
    assert!(matches!(number, "1" | "2" | "3" | "4" | "5") && word.starts_with("star"), "{stars}");

    let short = ask(&["--json-schema", schema, "--max-tokens", "5"]).fails_with(1);
    assert!(short.contains("allow more"), "{}", short);
    let wrong = ask(&["--regex", "[1-5"]).fails_with(1);
    assert!(wrong.contains("unclosed character class"), "{}", wrong);
    let broken = sandbox.write("broken.json", "{");
    let broken = ask(&["--json-schema", broken.to_str().unwrap()]).fails_with(1);
    assert!(broken.contains("broken.json is not JSON"), "{}", broken);
    ask(&["--json-schema", schema, "--stop", "x"]).fails_with(2);
}

#[test]
fn score_and_complete_agree_on_the_likeliest_tokens() {
    if crate::common::test_lm().is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let before = "The capital of France is";
    let greedy = ["lm", "complete", "--prompt", before, "--max-tokens", "4", "--json"];
    let text = sandbox.run(&greedy).ok().json()["text"].as_str().unwrap().to_owned();
    let prompt = sandbox.write("prompt.txt", before);
    let score = |continuation: &str, prompt: &std::path::Path| {
        let file = sandbox.write("continuation.txt", continuation);
        let (prompt, file) = (prompt.to_str().unwrap(), file.to_str().unwrap());
        let arguments =
            ["lm", "score", "--prompt-file", prompt, "--continuation-file", file, "--json"];
        sandbox.run(&arguments).ok().json()
    };
    let chosen = score(&text, &prompt);
    let tokens = sandbox.run(&["lm", "tokenize", "--text", &text, "--json"]).ok().json();
    assert_eq!(chosen["tokens"], tokens["tokens"]);
    let chosen = numbers(&chosen["logprobs"]);
    assert!(chosen.iter().all(|logprob| *logprob <= 0.0));
    // The first token of the greedy completion is likelier than that of another text.
    let other = numbers(&score(" xylophone", &prompt)["logprobs"]);
    assert!(chosen[0] > other[0]);

    let empty = sandbox.write("empty.txt", "");
    let alone = score("A text by itself.", &empty);
    assert_eq!(numbers(&alone["logprobs"]).len(), numbers(&alone["tokens"]).len());
    assert!(numbers(&alone["logprobs"]).iter().all(|logprob| logprob.is_finite()));
}

#[test]
fn requests_are_written_down_and_end_tokens_masked() {
    if crate::common::test_lm().is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let path = sandbox.path("requests.jsonl");
    let prompt = "Say yes.";
    let arguments =
        ["lm", "complete", "--chat", "--prompt", prompt, "--max-tokens", "40", "--json"];
    let record = ["--ignore-end", "--tier", "plain", "--record-requests", path.to_str().unwrap()];
    let written = sandbox.run(&[&arguments[..], &record].concat()).ok().json();
    assert_eq!((&written["completion_tokens"], &written["finish"]), (&40.into(), &"length".into()));
    let line: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(path).unwrap().trim()).unwrap();
    let ids = line["prompts"][0].as_array().unwrap();
    assert_eq!(ids.len() as u64, written["prompt_tokens"].as_u64().unwrap());
    assert_eq!((&line["verb"], &line["outcome"]), (&"complete".into(), &"answered".into()));
}

#[test]
fn what_cannot_be_done_says_why() {
    let sandbox = Sandbox::new();
    sandbox.run(&["lm", "complete"]).fails_with(2);
    sandbox.run(&["lm", "complete", "--prompt", "a", "--prompt-file", "b"]).fails_with(2);
    let warm = ["lm", "complete", "--prompt", "a", "--top-p", "2"];
    assert!(sandbox.run(&warm).fails_with(1).contains("top_p"));
    let missing = ["lm", "complete", "--prompt-file", "nowhere.txt"];
    assert!(sandbox.run(&missing).fails_with(1).contains("nowhere.txt"));
    let broken = sandbox.write("broken.txt", b"ab\xff");
    let broken = ["lm", "complete", "--prompt-file", broken.to_str().unwrap()];
    assert!(sandbox.run(&broken).fails_with(1).contains("not UTF-8 from byte 2"));
    let unknown = ["lm", "complete", "--prompt", "a", "--tier", "sse9"];
    if crate::common::test_lm().is_some() {
        assert!(sandbox.run(&unknown).fails_with(1).contains("`sse9` is no instruction set"));
        let elsewhere = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        let missing = ["lm", "complete", "--prompt", "a", "--tier", elsewhere];
        assert!(sandbox.run(&missing).fails_with(1).contains("it has:"));
    }
    let gguf = sandbox.write("broken.gguf", b"GGUF\x03\0\0\0");
    let broken = ["lm", "tokenize", "--text", "a", "--lm", gguf.to_str().unwrap()];
    assert!(sandbox.run(&broken).fails_with(1).contains("broken.gguf"));
    if crate::common::test_lm().is_none() {
        return;
    }
    let long = ["lm", "complete", "--prompt", "a", "--max-tokens", "100000"];
    let message = sandbox.run(&long).fails_with(1);
    assert!(message.contains("100000") && message.contains("8192"), "{message}");
}
