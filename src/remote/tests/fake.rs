//! A small server that answers as vLLM, SGLang or llama-server do, and fails when it is told to.
//!
//! Its shapes of requests and answers are those of vLLM 0.32, SGLang 0.5 and llama-server of 2026. A text
//! is made of letters that depend on the prompt and the seed; the log-probability of a token depends on
//! the token and its place.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::ServerKind;

/// Failure of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The status, without doing anything.
    Status(u16),
    /// The connection ends before the answer.
    HangUp,
    /// Half of the answer is sent.
    Half,
    /// An error in the stream, or status 500 of a plain request.
    ErrorEvent,
}

/// A request that the server got.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

struct FakeState {
    kind: ServerKind,
    got: Mutex<Vec<Got>>,
    /// Failures of the next requests for texts or scores.
    troubles: Mutex<Vec<Trouble>>,
    /// Added to each token id of /tokenize.
    shift: u32,
    /// Salt of the texts: another value writes other texts.
    salt: Mutex<u64>,
    has_tokenize: bool,
}

/// A running server.
#[derive(Clone)]
pub(super) struct FakeServer {
    address: SocketAddr,
    state: Arc<FakeState>,
}

impl FakeServer {
    pub(super) fn new(kind: ServerKind) -> Self {
        Self::with(kind, 0, true)
    }

    /// A server whose vocabulary is shifted by `shift`, with or without /tokenize.
    pub(super) fn with(kind: ServerKind, shift: u32, has_tokenize: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(FakeState {
            kind,
            got: Mutex::default(),
            troubles: Mutex::default(),
            shift,
            salt: Mutex::default(),
            has_tokenize,
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), state) = (stream, Arc::clone(&shared)) else { return };
                thread::spawn(move || state.serve(stream));
            }
        });
        Self { address, state }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(super) fn address(&self) -> String {
        format!("{}#fake", self.base())
    }

    /// Makes the next requests for texts or scores fail, in this order.
    pub(super) fn fail_next(&self, troubles: &[Trouble]) {
        *self.state.troubles.lock().unwrap() = troubles.iter().rev().copied().collect();
    }

    pub(super) fn write_otherwise(&self, salt: u64) {
        *self.state.salt.lock().unwrap() = salt;
    }

    /// Requests for texts and scores since the last call.
    pub(super) fn take_requests(&self) -> Vec<Got> {
        let got = std::mem::take(&mut *self.state.got.lock().unwrap());
        got.into_iter().filter(|got| is_work(&got.path)).collect()
    }
}

fn is_work(path: &str) -> bool {
    path.ends_with("/completions") || path == "/generate"
}

/// An answer before it is sent.
struct Reply {
    status: u16,
    /// Server-sent events, or one JSON value.
    parts: Vec<String>,
    is_stream: bool,
}

impl Reply {
    fn json(value: &Value) -> Self {
        Self { status: 200, parts: vec![value.to_string()], is_stream: false }
    }

    fn status(status: u16, message: &str) -> Self {
        let error = json!({ "error": { "message": message, "type": "x", "code": status } });
        Self { status, parts: vec![error.to_string()], is_stream: false }
    }
}

impl FakeState {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        while let Some(got) = read_request(&mut reader) {
            self.got.lock().unwrap().push(got.clone());
            let trouble = match is_work(&got.path) {
                true => self.troubles.lock().unwrap().pop(),
                false => None,
            };
            let reply = match trouble {
                Some(Trouble::HangUp) => return,
                Some(Trouble::Status(status)) => Reply::status(status, "not now"),
                _ => self.answer(&got),
            };
            if send(&mut writer, &reply, trouble).is_none() {
                return;
            }
        }
    }

    fn answer(&self, got: &Got) -> Reply {
        let owner = match self.kind {
            ServerKind::Idiolect => "idiolect",
            ServerKind::Vllm => "vllm",
            ServerKind::Sglang => "sglang",
            ServerKind::LlamaServer => "llamacpp",
            ServerKind::Other => "somebody",
        };
        match got.path.as_str() {
            "/v1/models" => {
                let mut model = json!({ "id": "fake", "object": "model", "owned_by": owner });
                match self.kind {
                    ServerKind::LlamaServer => model["meta"] = json!({ "n_ctx_train": 9999 }),
                    _ => model["max_model_len"] = json!(2048),
                }
                Reply::json(&json!({ "object": "list", "data": [model] }))
            }
            "/props" => Reply::json(&json!({ "default_generation_settings": { "n_ctx": 512 } })),
            "/tokenize" if self.has_tokenize => self.tokenize(&got.body),
            "/v1/completions" => self.complete(&got.body),
            "/generate" if self.kind == ServerKind::Sglang => self.generate(&got.body),
            path => Reply::status(404, &format!("no {path}")),
        }
    }

    fn tokenize(&self, body: &Value) -> Reply {
        let name = if self.kind == ServerKind::LlamaServer { "content" } else { "prompt" };
        let Some(text) = body[name].as_str() else { return Reply::status(400, "no text") };
        let ids: Vec<u32> = match text {
            "<|im_end|>" => vec![258],
            "<|endoftext|>" => vec![256],
            text => text.bytes().map(|byte| u32::from(byte) + self.shift).collect(),
        };
        Reply::json(&json!({ "tokens": ids, "count": ids.len() }))
    }

    /// `POST /v1/completions`.
    fn complete(&self, body: &Value) -> Reply {
        let Some(ids) = ids_of(&body["prompt"]) else { return Reply::status(400, "no ids") };
        if ids.iter().any(|id| *id > 300) {
            return Reply::status(400, "token id out of the vocabulary");
        }
        // What versions of 2026 refuse.
        let negative = |name: &str| body[name].as_i64().is_some_and(|n| n < 0);
        if self.kind == ServerKind::LlamaServer
            && (negative("repeat_last_n")
                || negative("dry_penalty_last_n")
                || body["dry_sequence_breakers"] == json!([]))
        {
            return Reply::status(400, "value out of range");
        }
        let max_tokens = body["max_tokens"].as_u64().unwrap() as usize;
        let text = self.text(&ids, body["seed"].as_i64().unwrap_or_default());
        let stops = body["stop"].as_array().cloned().unwrap_or_default();
        let stop = stops.iter().filter_map(Value::as_str).find(|stop| text.contains(stop));
        let (mut text, mut finish, mut matched) = match stop {
            Some(stop) => (text[..text.find(stop).unwrap()].to_owned(), "stop", json!(stop)),
            None => (text, "stop", Value::Null),
        };
        let mut n_generated = text.len() + 1;
        if text.len() > max_tokens || (text.len() == max_tokens && matched.is_null()) {
            text.truncate(max_tokens);
            (finish, matched, n_generated) = ("length", Value::Null, max_tokens);
        }
        if body["echo"] == true && self.kind != ServerKind::LlamaServer {
            let bytes = ids.iter().map(|id| (*id - self.shift) as u8).collect::<Vec<_>>();
            text = String::from_utf8_lossy(&bytes).into_owned() + &text;
        }
        let name = if self.kind == ServerKind::Sglang { "matched_stop" } else { "stop_reason" };
        let mut choice = json!({ "index": 0, "text": text, "finish_reason": finish });
        if self.kind != ServerKind::LlamaServer {
            choice[name] = matched;
        }
        if let (Some(n), true) = (body["prompt_logprobs"].as_u64(), self.kind == ServerKind::Vllm) {
            choice["prompt_logprobs"] = prompt_logprobs(&ids, n as usize);
        }
        let usage = json!({ "prompt_tokens": ids.len(), "completion_tokens": n_generated });
        if body["stream"] != true {
            return Reply::json(&json!({ "choices": [choice], "usage": usage }));
        }
        let mut parts: Vec<String> = text
            .chars()
            .map(|c| {
                json!({ "choices": [{ "index": 0, "text": c, "finish_reason": null }] }).to_string()
            })
            .collect();
        choice["text"] = json!("");
        parts.push(json!({ "choices": [choice] }).to_string());
        parts.push(json!({ "choices": [], "usage": usage }).to_string());
        parts.push("[DONE]".to_owned());
        Reply { status: 200, parts, is_stream: true }
    }

    /// SGLang's `POST /generate`.
    fn generate(&self, body: &Value) -> Reply {
        let ids = ids_of(&body["input_ids"]).unwrap();
        let start = body["logprob_start_len"].as_u64().unwrap() as usize;
        let listed: Vec<Value> = (start..ids.len())
            .map(|at| match at == start {
                true => json!([null, ids[at], null]),
                false => json!([logprob(ids[at], at), ids[at], null]),
            })
            .collect();
        Reply::json(&json!({ "text": "x", "meta_info": { "input_token_logprobs": listed } }))
    }

    /// Two to twenty letters.
    fn text(&self, ids: &[u32], seed: i64) -> String {
        let salt = *self.salt.lock().unwrap();
        let start = ids
            .iter()
            .fold(seed as u64 ^ salt, |sum, id| sum.wrapping_mul(31).wrapping_add(u64::from(*id)));
        let letter = |i: u64| {
            let mixed = start.wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            char::from(b'a' + (mixed % 26) as u8)
        };
        (0..2 + start % 19).map(letter).collect()
    }
}

/// Log-probability of token `id` at a place of a prompt; a number with a whole mantissa.
pub(super) fn logprob(id: u32, at: usize) -> f32 {
    -(1.0 + (id as usize * 7 + at * 13) as f32 % 101.0) / 7.0
}

fn prompt_logprobs(ids: &[u32], n_top: usize) -> Value {
    let entry = |logprob: f32, rank: usize| json!({ "logprob": logprob, "rank": rank, "decoded_token": "x" });
    ids.iter()
        .enumerate()
        .map(|(at, id)| {
            let mut told = serde_json::Map::new();
            if at == 0 {
                return Value::Null;
            }
            for rank in 1..=n_top {
                told.insert((270 + rank).to_string(), entry(-0.01 * rank as f32, rank));
            }
            told.insert(id.to_string(), entry(logprob(*id, at), n_top + 1));
            Value::Object(told)
        })
        .collect()
}

fn ids_of(value: &Value) -> Option<Vec<u32>> {
    value.as_array()?.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect()
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Got> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Got { path, headers, body })
}

/// Sends a reply; `None` if the connection ends with it.
fn send(writer: &mut TcpStream, reply: &Reply, trouble: Option<Trouble>) -> Option<()> {
    let mut status = reply.status;
    let mut parts = reply.parts.clone();
    let half = trouble == Some(Trouble::Half);
    if trouble == Some(Trouble::ErrorEvent) {
        let error = json!({ "error": { "message": "out of memory", "code": 500 } }).to_string();
        match reply.is_stream {
            true => parts.truncate(parts.len() / 2),
            false => parts.clear(),
        }
        parts.push(error);
        status = if reply.is_stream { 200 } else { 500 };
    }
    let kind = if reply.is_stream { "text/event-stream" } else { "application/json" };
    if reply.is_stream {
        let body: Vec<String> = parts.iter().map(|part| format!("data: {part}\r\n\r\n")).collect();
        let n = if half { body.len() / 2 } else { body.len() };
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n");
        head += "transfer-encoding: chunked\r\n\r\n: ping\r\n\r\n";
        // The comment is a chunk too.
        let head = head.replace(": ping\r\n\r\n", "a\r\n: ping\r\n\r\n\r\n");
        writer.write_all(head.as_bytes()).ok()?;
        for part in &body[..n] {
            write!(writer, "{:x}\r\n{part}\r\n", part.len()).ok()?;
        }
        if half {
            return None;
        }
        return writer.write_all(b"0\r\n\r\n").ok();
    }
    let body = parts.concat();
    let retry = if status == 429 { "retry-after: 0\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{retry}content-length: {}\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes()).ok()?;
    let n = if half { body.len() / 2 } else { body.len() };
    writer.write_all(&body.as_bytes()[..n]).ok()?;
    (!half).then_some(())
}
