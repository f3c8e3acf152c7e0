//! `serve` as a program: the texts and scores of its answers are those of `write` and `lm score`.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::common::{Sandbox, test_encoder, test_lm};

/// A running server; killed on drop.
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: String,
    pub(crate) model: String,
}

impl Serving {
    pub(crate) fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let serve = ["--json", "--quiet", "serve", "--port", "0"];
        let mut command = sandbox.command(&[&serve[..], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let address = text("url").strip_prefix("http://").unwrap().to_owned();
        Self { child, address, model: text("model") }
    }

    /// Status and body of an answer.
    pub(crate) fn send(&self, method: &str, path: &str, more: &str, body: &str) -> (u16, String) {
        let (status, _, body) = self.send_for_head(method, path, more, body);
        (status, body)
    }

    /// Status, head and body of an answer.
    pub(crate) fn send_for_head(
        &self,
        method: &str,
        path: &str,
        more: &str,
        body: &str,
    ) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        let (status, text) = self.send("POST", path, "", &body.to_string());
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A sandbox with the sample corpus.
fn sample() -> Option<Sandbox> {
    test_lm()?;
    test_encoder()?;
    let sandbox = Sandbox::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample/");
    let (reviews, items) = (format!("{folder}reviews.jsonl"), format!("{folder}items.jsonl"));
    let files = ["--reviews", reviews.as_str(), "--items", items.as_str()];
    let map = "user=user,item=item,text=text,rating=rating,title=title,time=time";
    let import = ["import", "--format", "table", "--map", map];
    sandbox.run(&[&import[..], &files].concat()).ok();
    Some(sandbox)
}

#[test]
fn answers_are_those_of_write_and_score() {
    let Some(sandbox) = sample() else { return };
    // Scores depend on where the prompt ends if prompts have products of their own (matrix tiles).
    let isas = idiolect::kernels::Isa::available();
    let isa = isas.iter().find(|isa| !isa.has_prompt_products()).unwrap().name();
    let serving = Serving::start(&sandbox, &["--cpu-isa", isa]);
    let personal = format!("{}+idiolect", serving.model);
    let answer = serving.post(
        "/v1/chat/completions",
        &json!({
            "model": personal, "user": "mina", "seed": 7, "max_tokens": 30,
            "messages": [{ "role": "user", "content": "The kettle" }],
            "idiolect": { "item": "kettle-brisk-15", "rating": 2, "title": "Whistles, but flat" },
        }),
    );
    // Computed again, so that the store cannot have it from the server.
    let write = [
        "--json",
        "--quiet",
        "--cpu-isa",
        isa,
        "write",
        "--user",
        "mina",
        "--item",
        "kettle-brisk-15",
        "--rating",
        "2",
        "--title",
        "Whistles, but flat",
        "--seed",
        "7",
        "--max-tokens",
        "30",
        "--fresh",
    ];
    let written = sandbox.run(&write).json();
    assert!(!written["text"].as_str().unwrap().is_empty());
    assert_eq!(answer["choices"][0]["message"]["content"], written["text"]);
    assert_eq!(answer["usage"]["prompt_tokens"], written["prompt_tokens"]);

    let (prompt, text) = ("The kettle", " whistles, but flat, and leaks at the seam.");
    let prompt_file = sandbox.write("prompt", prompt);
    let text_file = sandbox.write("text", text);
    let score = [
        "--json",
        "--cpu-isa",
        isa,
        "lm",
        "score",
        "--prompt-file",
        prompt_file.to_str().unwrap(),
        "--continuation-file",
        text_file.to_str().unwrap(),
    ];
    let score = sandbox.run(&score).json();
    let tokens = |text: &str| -> Vec<Value> {
        let asked = json!({ "prompt": text, "add_special_tokens": false });
        serving.post("/tokenize", &asked)["tokens"].as_array().unwrap().clone()
    };
    let prompt_ids = tokens(prompt);
    assert_eq!(Value::from(tokens(text)), score["tokens"]);
    let ids = [prompt_ids.clone(), tokens(text)].concat();
    let asked = json!({
        "model": serving.model, "prompt": ids, "echo": true, "logprobs": 1, "max_tokens": 1,
        "temperature": 0,
    });
    let echo = serving.post("/v1/completions", &asked);
    let of_echo = echo["choices"][0]["logprobs"]["token_logprobs"].as_array().unwrap();
    let bits = |value: &Value| (value.as_f64().unwrap() as f32).to_bits();
    let want: Vec<u32> = score["logprobs"].as_array().unwrap().iter().map(bits).collect();
    let got: Vec<u32> = of_echo[prompt_ids.len()..].iter().take(want.len()).map(bits).collect();
    assert_eq!(got, want);
}

#[cfg(unix)]
#[test]
fn it_ends_with_0_when_it_is_asked_to() {
    let Some(sandbox) = sample() else { return };
    let mut serving = Serving::start(&sandbox, &["--no-encoder"]);
    assert_eq!(serving.send("GET", "/health", "", "").0, 200);
    assert_eq!(serving.send("GET", "/health", "Origin: http://evil.example\r\n", "").0, 403);
    let process = serving.child.id().to_string();
    std::process::Command::new("kill").args(["-TERM", &process]).status().unwrap();
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
fn other_machines_need_a_key_before_anything_is_loaded() {
    let sandbox = Sandbox::new();
    let error = sandbox.run(&["serve", "--host", "0.0.0.0", "--port", "0"]).fails_with(1);
    assert!(error.contains("--api-key-file"), "{error}");
    let short = sandbox.write("keys", "short\n");
    let keys = ["serve", "--api-key-file", short.to_str().unwrap()];
    let error = sandbox.run(&keys).fails_with(1);
    assert!(error.contains("line 1") && !error.contains("`short`"), "{error}");
    let header = ["serve", "--port", "0", "--user-header", "X-User"];
    let error = sandbox.run(&header).fails_with(1);
    assert!(error.contains("--user-header"), "{error}");
}
