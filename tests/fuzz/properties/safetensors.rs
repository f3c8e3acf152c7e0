//! Weights in safetensors files, and an encoder with such weights.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device};
use idiolect_engine::model::weights::{check_safetensors, open_safetensors};

use super::{encoder, scratch};

pub fn check(input: &[u8]) {
    let folder = scratch();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, input).unwrap();
    let checked = check_safetensors(input, Path::new("fuzz.safetensors")).is_ok();
    let opened = open_safetensors(&path, &Device::Cpu, DType::F32).is_ok();
    assert!(checked || !opened, "opened without a check");
    if checked {
        encoder::check_folder(&[("model.safetensors".to_owned(), input)]);
    }
}
