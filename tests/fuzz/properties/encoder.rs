//! The files of a sentence encoder: any of them replaced in a folder of a tiny one.

use candle_core::Device;
use idiolect_engine::encoder::testing::{files, tiny_folder};
use idiolect_engine::encoder::{Encoder, EncoderOptions, EncoderPrecision};
use idiolect_engine::lm::Isa;

use super::{HOSTILE, framed};

pub fn check(input: &[u8]) {
    if let Some(files) = framed::files(input) {
        check_folder(&files);
    }
}

/// An encoder that loads gives vectors of finite numbers, all of one length.
pub fn check_folder(changed: &[(String, &[u8])]) {
    let folder = tiny_folder();
    framed::write(folder.path(), changed);
    let (device, isa) = (Device::Cpu, Isa::detect());
    let options = EncoderOptions { device, precision: EncoderPrecision::F32, threads: 1, isa };
    let Ok(encoder) = Encoder::load_with(&files(folder.path()), &options) else { return };
    let texts = ["the kettle sings", "twice"].into_iter().chain(HOSTILE.iter().copied());
    let Ok(embeddings) = encoder.encode(&texts.collect::<Vec<_>>()) else { return };
    let length = embeddings[0].vector.len();
    assert!(embeddings.iter().all(|embedding| embedding.vector.len() == length));
}
