//! GGUF: a file, or several files of a split model behind `SPLIT`, each behind its length.

use std::fs;
use std::path::Path;

use candle_core::Device;
use idiolect_engine::lm::Isa;
use idiolect_engine::lm::decoder::{self, DecoderOptions, WeightPrecision};
use idiolect_engine::model::chat::{Chat, ChatTemplate, Role};
use idiolect_engine::model::gguf::{Gguf, writer::Writer};
use idiolect_engine::model::tokenizer::Tokenizer;

use super::{HOSTILE, scratch, template, tokenizer};

/// Start of an input with several files.
pub const SPLIT: &[u8] = b"SPLIT";

pub fn check(input: &[u8]) {
    match input.strip_prefix(SPLIT) {
        Some(parts) => check_split(parts),
        None => {
            if let Ok(gguf) = Gguf::from_bytes(input.to_vec(), Path::new("fuzz.gguf")) {
                check_model(&gguf, input.len() as u64);
                check_copy(&gguf);
            }
        }
    }
}

/// The files of a split model, each after its length in four bytes.
pub fn parts(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = (u32::from_le_bytes(*length) as usize).min(behind.len());
        parts.push(&behind[..length]);
        rest = &behind[length..];
    }
    parts.truncate(9);
    parts
}

fn check_split(parts: &[u8]) {
    let parts = self::parts(parts);
    let folder = scratch();
    let name =
        |number: usize| folder.path().join(format!("m-{number:05}-of-{:05}.gguf", parts.len()));
    for (part, number) in parts.iter().zip(1..) {
        fs::write(name(number), part).unwrap();
    }
    let size = parts.iter().map(|part| part.len() as u64).sum();
    if let Ok(gguf) = Gguf::open(&name(1)) {
        check_model(&gguf, size);
    }
}

fn check_model(gguf: &Gguf, size: u64) {
    assert!(gguf.size() <= size, "{} bytes of {size}", gguf.size());
    check_tensors(gguf, size);
    let _ = gguf.architecture();
    if let Ok(tokenizer) = Tokenizer::from_gguf(gguf) {
        tokenizer::check_texts(&tokenizer);
    }
    if let Ok(template) = ChatTemplate::from_gguf(gguf) {
        let chat = HOSTILE.iter().fold(Chat::default(), |chat, text| chat.with(Role::User, *text));
        template::check_rendering(&template, &chat);
    }
    let options = DecoderOptions {
        device: Device::Cpu,
        precision: WeightPrecision::Packed,
        context: None,
        threads: 1,
        isa: Isa::detect(),
        kv_precision: idiolect_engine::lm::LoadOptions::default().kv_precision,
    };
    let _ = decoder::load(gguf, &options);
}

/// Tensors lie within the files, do not overlap, and have the bytes of their shape.
fn check_tensors(gguf: &Gguf, size: u64) {
    let names: Vec<&str> = gguf.tensor_names().collect();
    let mut places = Vec::new();
    let mut total = 0_u64;
    for name in &names {
        let view = gguf.tensor(name).unwrap();
        let elements: usize = view.shape.iter().product();
        let bytes = elements / view.dtype.block_size() * view.dtype.type_size();
        assert_eq!(view.data.len(), bytes, "{name}");
        let start = view.data.as_ptr() as usize;
        places.push((start, start + bytes));
        total += bytes as u64;
        let _ = gguf.qtensor(name, &Device::Cpu);
        let _ = gguf.qtensor_rows(name, 0..1, &Device::Cpu);
    }
    assert!(total <= size, "{total} bytes of tensors in files of {size}");
    places.sort_unstable();
    assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].0), "tensors overlap");
    let sorted: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(sorted.len(), names.len(), "a name stands twice");
}

/// A file written from what was read gives the same again.
fn check_copy(gguf: &Gguf) {
    let mut writer = Writer::new();
    let keys: Vec<&str> = gguf.keys().collect();
    // Of arrays of other types only a description is kept.
    let is_kept = |key: &&&str| {
        !matches!(gguf.value(key), Some(idiolect_engine::model::gguf::Value::Other(_)))
    };
    let kept: Vec<&str> = keys.iter().filter(is_kept).copied().collect();
    for key in &kept {
        writer = writer.value(key, gguf.value(key).unwrap().clone());
    }
    for name in gguf.tensor_names() {
        let view = gguf.tensor(name).unwrap();
        writer = writer.tensor(name, &view.shape, view.dtype, view.data);
    }
    let copy = Gguf::from_bytes(writer.finish(), Path::new("copy.gguf")).unwrap();
    assert_eq!(copy.keys().collect::<Vec<_>>(), kept);
    for key in kept {
        // Debug text, so that a value that is not a number equals itself; widths may differ.
        let shown = |gguf: &Gguf| {
            format!(
                "{:?}",
                gguf.value(key).map(|value| (
                    value.as_u64(),
                    value.as_f32(),
                    value.as_str().map(str::to_owned),
                    value.as_strings().map(<[String]>::len),
                    value.as_integers().map(<[i64]>::to_vec)
                ))
            )
        };
        assert_eq!(shown(&copy), shown(gguf), "{key}");
    }
    for name in gguf.tensor_names() {
        let (ours, theirs) = (copy.tensor(name).unwrap(), gguf.tensor(name).unwrap());
        assert_eq!((ours.shape, ours.data), (theirs.shape, theirs.data), "{name}");
    }
}
