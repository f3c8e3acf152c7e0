//! Tests against scripted servers on loopback, and against `idiolect serve` with a tiny model.

#![allow(clippy::unwrap_used)]

mod failures;
mod fake;
mod own_server;
mod servers;

use std::path::PathBuf;
use std::time::Duration;

use idiolect_engine::lm::tiny::Tiny;

use crate::{RemoteAddress, RemoteLm, RemoteOptions, Result, RetryPolicy};

/// A model whose window has room for chats; each byte is a token.
fn tiny() -> Tiny {
    Tiny { context: 4096, ..Tiny::new("llama") }
}

/// The tiny model's file, in a folder that lives as long as the returned guard.
fn tiny_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, tiny().bytes()).unwrap();
    (folder, path)
}

/// Connects with attempts that wait for nothing.
fn connect(address: &str) -> Result<RemoteLm> {
    connect_with(address, |_| {})
}

fn connect_with(address: &str, change: impl FnOnce(&mut RemoteOptions)) -> Result<RemoteLm> {
    let (_folder, path) = tiny_file();
    let mut options = RemoteOptions::new(path);
    options.timeout = Duration::from_secs(60);
    options.retry =
        RetryPolicy { tries: 6, first_wait: Duration::ZERO, longest_wait: Duration::ZERO };
    change(&mut options);
    RemoteLm::connect(&RemoteAddress::parse(address)?, &options)
}
