//! `models fetch` from a hub: a server on the loopback interface that answers like the Hugging Face
//! Hub.
#![cfg(all(unix, feature = "hub"))]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::common::{Run, Sandbox};

const COMMIT: &str = "0123456789012345678901234567890123456789";

/// A server of one file that records the requested byte ranges. It ends with the test process.
struct Hub {
    address: String,
    ranges: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn of(contents: Vec<u8>, etag: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ranges);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (contents, etag, seen) = (contents.clone(), etag.clone(), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &contents, &etag, &seen));
            }
        });
        Self { address, ranges }
    }
}

fn serve(mut stream: TcpStream, contents: &[u8], etag: &str, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_lowercase());
        }
        if !lines[0].starts_with(&format!("get /some/tiny/resolve/{COMMIT}/tiny.gguf ")) {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
            continue;
        }
        let range = lines.iter().find_map(|line| line.strip_prefix("range: bytes="));
        let range = range.unwrap_or("0-").to_owned();
        let (from, to) = range.split_once('-').unwrap();
        let from: usize = from.parse().unwrap();
        let to = to.parse().map_or(contents.len(), |last: usize| last + 1);
        seen.lock().unwrap().push(range);
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{}\r\n\
             etag: \"{etag}\"\r\nx-repo-commit: {COMMIT}\r\n\r\n",
            to - from,
            to - 1,
            contents.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A client that hangs up is no error here.
        if stream.write_all(&contents[from..to]).is_err() {
            return;
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Shop {
    sandbox: Sandbox,
    hub: Hub,
}

impl Shop {
    fn new(served: Vec<u8>, expected: &[u8]) -> Self {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("models")).unwrap();
        let text = format!(
            r#"
            name = "tiny"
            kind = "lm"
            architecture = "llama"
            parameters = "0"
            licence = "none"
            context = 8
            [[files]]
            name = "tiny.gguf"
            size = {}
            sha256 = "{}"
            [[sources]]
            kind = "hub"
            repo = "some/tiny"
            revision = "{COMMIT}"
            "#,
            expected.len(),
            hash(expected)
        );
        sandbox.write("models/tiny.toml", text);
        let etag = hash(expected);
        Self { sandbox, hub: Hub::of(served, etag) }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.sandbox.command(arguments);
        command
            .env("IDIOLECT_MODELS", self.sandbox.path("models"))
            .env("HF_HOME", self.sandbox.path("hf"))
            .env("XDG_CONFIG_HOME", self.sandbox.path("config"))
            .env("HF_ENDPOINT", &self.hub.address);
        for name in [
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "HF_TOKEN",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        Run::of(command.output().unwrap())
    }

    fn repository(&self) -> PathBuf {
        self.sandbox.path("hf/hub/models--some--tiny")
    }

    fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT).join("tiny.gguf")
    }
}

fn contents() -> Vec<u8> {
    (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn a_file_comes_into_the_cache_and_is_used_there() {
    let shop = Shop::new(contents(), &contents());
    let fetched = shop.run(&["models", "fetch", "tiny", "--json"]).json();
    assert_eq!(fetched["fetched"][0]["source"], "hub repository some/tiny");
    assert_eq!(fetched["fetched"][0]["path"].as_str().map(PathBuf::from), Some(shop.snapshot()));
    assert_eq!(fs::read(shop.snapshot()).unwrap(), contents());
    let asked = shop.hub.ranges.lock().unwrap().len();
    shop.run(&["models", "fetch", "tiny"]).ok();
    shop.run(&["models", "path", "tiny"]).ok();
    assert_eq!(shop.hub.ranges.lock().unwrap().len(), asked);
}

#[test]
fn what_was_begun_is_gone_on_with() {
    let shop = Shop::new(contents(), &contents());
    let blobs = shop.repository().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(hash(&contents())).with_extension("part");
    fs::write(part, &contents()[..1_234_567]).unwrap();
    shop.run(&["models", "fetch", "tiny"]).ok();
    assert_eq!(fs::read(shop.snapshot()).unwrap(), contents());
    assert!(shop.hub.ranges.lock().unwrap().contains(&"1234567-".to_owned()));
}

#[test]
fn a_wrong_file_does_not_stay_in_the_cache() {
    let mut wrong = contents();
    wrong[1_000_000] ^= 1;
    let shop = Shop::new(wrong.clone(), &contents());
    let said = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(said.contains("wrong SHA-256") && said.contains(&hash(&wrong)), "{said}");
    assert!(!shop.snapshot().exists());
    assert!(!shop.repository().join("blobs").join(hash(&contents())).exists());
}

#[test]
fn an_absent_file_is_told() {
    let shop = Shop::new(contents(), &contents());
    let other = fs::read_to_string(shop.sandbox.path("models/tiny.toml")).unwrap();
    shop.sandbox.write("models/tiny.toml", other.replace("some/tiny", "some/other"));
    let said = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(said.contains("hub repository some/other") && said.contains("404"), "{said}");
}
