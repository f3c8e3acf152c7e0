//! Tests of a real server on loopback, with tiny models.

#![allow(clippy::unwrap_used)]

mod attacks;
mod client;
mod forget;
mod own_routes;
mod page;
mod personal;
mod plain;
mod responses;

use std::time::{Duration, Instant};

use idiolect_core::corpus::{Item, Review, Store};
use idiolect_core::methods::MethodOptions;
use idiolect_core::task::Task;
use idiolect_engine::encoder::testing::tiny_encoder;
use idiolect_engine::lm::tiny::Tiny;
use idiolect_engine::lm::{Isa, Lm};
use serde_json::{Value, json};

use crate::{PersonalSettings, ServedModels, Server, ServerOptions};
use client::{Answer, Client};

/// A running server with tiny models and a store of a few users.
struct World {
    client: Client,
    lm: Lm,
    server: Option<Server>,
    /// Holds the store until the end.
    folder: tempfile::TempDir,
}

/// A model whose window has room for the prompts of methods; each byte is a token. Its scores do not
/// depend on where a prompt ends.
fn tiny_lm() -> Lm {
    let isa = Isa::available().into_iter().find(|isa| !isa.has_prompt_products());
    Tiny { context: 16_384, ..Tiny::new("llama") }.lm_on(isa.unwrap())
}

fn personal_settings(store: &std::path::Path) -> PersonalSettings {
    settings_of_task(store, Task::DEFAULT)
}

fn settings_of_task(store: &std::path::Path, task: &str) -> PersonalSettings {
    let task = Task::load(task).unwrap();
    let options = MethodOptions { max_tokens: Some(24), ..MethodOptions::of(&task) };
    PersonalSettings { store: store.to_owned(), task, options }
}

fn fill(store: &Store) {
    let items = ["kettle", "lamp", "spade"].map(|id| Item {
        id: id.to_owned(),
        title: format!("A {id}"),
        description: String::new(),
        categories: Vec::new(),
    });
    store.put_items(&items).unwrap();
    let voices = [
        ("marta", "Fine!! LOVE it. The {} is fine, people!!"),
        ("bob", "The {} does, on the whole, what one may ask of it."),
        ("cyd", "meh. {}. broke in a week. meh."),
    ];
    for (time, item) in ["kettle", "lamp", "spade"].iter().enumerate() {
        let reviews = voices.map(|(user, text)| Review {
            user: user.to_owned(),
            item: (*item).to_owned(),
            rating: Some(4.0),
            title: String::new(),
            text: text.replace("{}", item),
            time: 1_600_000_000 + time as i64,
        });
        store.put_reviews(&reviews).unwrap();
    }
}

impl World {
    fn new() -> Self {
        Self::with(ServerOptions::default())
    }

    fn with(options: ServerOptions) -> Self {
        Self::with_task(options, Task::DEFAULT)
    }

    fn with_task(options: ServerOptions, task: &str) -> Self {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        fill(&Store::open(&path).unwrap());
        let lm = tiny_lm();
        let personal = Some(settings_of_task(&path, task));
        let encoder = Some(std::sync::Arc::new(tiny_encoder()));
        server.serve(ServedModels { lm: lm.clone(), encoder, personal });
        let client = Client::new(server.address());
        Self { client, lm, server: Some(server), folder }
    }

    /// File of the store.
    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("store.sqlite")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.post(path, body)
    }

    /// The answer to a request that must succeed.
    #[track_caller]
    fn ask(&self, path: &str, body: &Value) -> Value {
        self.post(path, body).ok()
    }

    fn chat(&self, more: &Value) -> Value {
        self.ask("/v1/chat/completions", &chat_body(more))
    }

    fn complete(&self, more: &Value) -> Value {
        self.ask("/v1/completions", &merged(json!({ "model": "tiny", "seed": 3 }), more))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.wait(|| true);
        }
    }
}

fn chat_body(more: &Value) -> Value {
    let base = json!({
        "model": "tiny",
        "messages": [{ "role": "user", "content": "Say it" }],
        "max_tokens": 20,
        "seed": 3,
    });
    merged(base, more)
}

fn merged(mut base: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
