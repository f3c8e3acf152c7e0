//! Requests to the server, without a connection: a line `METHOD ADDRESS`, lines of headers, an empty line,
//! the body. `Host` is added if it is absent.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use idiolect_core::corpus::{Item, Review, Store};
use idiolect_core::methods::MethodOptions;
use idiolect_core::task::Task;
use idiolect_engine::encoder::testing::tiny_encoder;
use idiolect_engine::lm::tiny::Tiny;
use idiolect_server::testing::{InProcess, PlainRequest};
use idiolect_server::{PersonalSettings, ServedModels, ServerOptions};
use serde_json::Value;

use super::scratch;

pub fn check(input: &[u8]) {
    let Some(request) = request(input) else { return };
    let world = world();
    let has_body = request.method != "HEAD";
    let is_change = matches!(request.method.as_str(), "DELETE" | "PATCH");
    let Some(answer) = world.server.answer(request) else { return };
    if is_change {
        world.restore();
    }
    assert!((200..600).contains(&answer.status), "{}", answer.status);
    let text = String::from_utf8_lossy(&answer.body);
    assert_ne!(answer.status, 500, "{text}");
    if has_body && answer.content_type.as_deref() == Some("application/json") {
        let body: Value = serde_json::from_slice(&answer.body).expect("a body of JSON");
        assert_eq!(answer.status >= 400, body.get("error").is_some_and(Value::is_object), "{text}");
    }
}

fn request(input: &[u8]) -> Option<PlainRequest> {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &input[..0]),
    };
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let (method, address) = lines.next()?.split_once(' ')?;
    let mut headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        headers.push(("host".to_owned(), "localhost".to_owned()));
    }
    let (method, address) = (method.to_owned(), address.to_owned());
    Some(PlainRequest { method, address, headers, body: body.to_vec() })
}

struct World {
    server: InProcess,
    /// The store as it was made, and the one that is served.
    pristine: PathBuf,
    served: PathBuf,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = scratch();
        let (pristine, served) =
            (folder.path().join("pristine.sqlite"), folder.path().join("store.sqlite"));
        fill(&Store::open(&pristine).unwrap());
        fs::copy(&pristine, &served).unwrap();
        let task = Task::load(Task::DEFAULT).unwrap();
        let options = MethodOptions { max_tokens: Some(8), ..MethodOptions::of(&task) };
        let personal = Some(PersonalSettings { store: served.clone(), task, options });
        let lm = Tiny { n_layers: 1, context: 2048, ..Tiny::new("llama") }.lm();
        let models =
            ServedModels { lm, encoder: Some(std::sync::Arc::new(tiny_encoder())), personal };
        let options = ServerOptions {
            timeout: Duration::from_secs(4),
            default_max_tokens: 8,
            ..ServerOptions::default()
        };
        let server = InProcess::new(options, models);
        Self { server, pristine, served, _folder: folder }
    }

    /// Puts the store back as it was made.
    fn restore(&self) {
        remove_beside(&self.served);
        fs::copy(&self.pristine, &self.served).unwrap();
    }
}

fn remove_beside(store: &Path) {
    for suffix in ["-wal", "-shm"] {
        let mut beside = store.as_os_str().to_owned();
        beside.push(suffix);
        let _ = fs::remove_file(beside);
    }
}

fn fill(store: &Store) {
    for (time, item) in ["kettle", "lamp"].iter().enumerate() {
        let title = format!("A {item}");
        let (description, categories) = (String::new(), Vec::new());
        store
            .put_items(&[Item { id: (*item).to_owned(), title, description, categories }])
            .unwrap();
        let reviews = [("marta", "Fine!! LOVE it."), ("bob", "It does what one may ask of it.")];
        let reviews = reviews.map(|(user, text)| Review {
            user: user.to_owned(),
            item: (*item).to_owned(),
            rating: Some(4.0),
            title: String::new(),
            text: text.to_owned(),
            time: 1_600_000_000 + time as i64,
        });
        store.put_reviews(&reviews).unwrap();
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}
