//! A tiny encoder with made-up weights, for tests.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::path::Path;

use candle_core::Device;

use super::Encoder;
use crate::model::EncoderFiles;

pub use super::tiny::*;

pub fn files(dir: &Path) -> EncoderFiles {
    EncoderFiles {
        name: "under-test".to_owned(),
        dir: dir.to_owned(),
        pooling: None,
        max_tokens: None,
        prompt: None,
        sha256: String::new(),
    }
}

/// Creates the tiny folder; it is removed on drop.
pub fn tiny_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_encoder(dir.path());
    dir
}

/// Returns an encoder of a few words ("the kettle sings and leaks twice"), for tests of other
/// modules.
pub fn tiny_encoder() -> Encoder {
    let dir = tiny_folder();
    Encoder::load(&files(dir.path()), &Device::Cpu).unwrap()
}

/// Returns an encoder with the same words and other weights, so with another stamp.
pub fn other_tiny_encoder() -> Encoder {
    let dir = tiny_folder();
    write_weights(dir.path(), |x| x * 0.5);
    Encoder::load(&files(dir.path()), &Device::Cpu).unwrap()
}
