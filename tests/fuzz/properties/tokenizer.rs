//! `tokenizer.json`, alone or beside a GGUF with a vocabulary.

use std::fs;
use std::path::Path;

use idiolect_engine::model::gguf::{Gguf, Value, writer::Writer};
use idiolect_engine::model::tokenizer::{Piece, Tokenizer};

use super::{HOSTILE, scratch};

pub fn check(input: &[u8]) {
    let folder = scratch();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, input).unwrap();
    for gguf in [bare(), with_tokens()] {
        if let Ok(tokenizer) = Tokenizer::from_file(&path, &gguf) {
            check_texts(&tokenizer);
        }
    }
}

/// A GGUF without a vocabulary.
fn bare() -> Gguf {
    let writer = Writer::new().value("general.architecture", Value::String("llama".to_owned()));
    Gguf::from_bytes(writer.finish(), Path::new("bare.gguf")).unwrap()
}

/// A GGUF whose vocabulary the file may contradict.
fn with_tokens() -> Gguf {
    let tokens = ["<unk>", "<s>", "</s>", "a", "b"].map(str::to_owned).to_vec();
    let writer = Writer::new()
        .value("general.architecture", Value::String("llama".to_owned()))
        .value("tokenizer.ggml.model", Value::String("llama".to_owned()))
        .value("tokenizer.ggml.tokens", Value::Strings(tokens))
        .value("tokenizer.ggml.token_type", Value::Integers(vec![2, 3, 3, 1, 1]))
        .value("tokenizer.ggml.bos_token_id", Value::Unsigned(1))
        .value("tokenizer.ggml.eos_token_id", Value::Unsigned(2));
    Gguf::from_bytes(writer.finish(), Path::new("tokens.gguf")).unwrap()
}

/// Data yields no control token and nothing beyond the vocabulary, and comes back where each byte has a
/// token.
pub fn check_texts(tokenizer: &Tokenizer) {
    let n_vocab = tokenizer.n_vocab();
    let markers: String = (0..n_vocab.min(64) as u32)
        .filter_map(|id| tokenizer.marker_text(id))
        .flat_map(|text| [text, " "])
        .take(64)
        .collect();
    for text in HOSTILE.iter().copied().chain([markers.as_str()]) {
        let Ok(ids) = tokenizer.encode(text) else { continue };
        assert!(ids.iter().all(|id| (*id as usize) < n_vocab), "{ids:?} of {n_vocab}");
        assert!(!ids.iter().any(|id| tokenizer.is_control(*id)), "control token in {text:?}");
        let decoded = tokenizer.decode(&ids).unwrap();
        let spelled: usize = ids.iter().map(|id| tokenizer.bytes(*id).len()).sum();
        assert!(decoded.len() <= 3 * spelled, "{decoded:?}");
        let data = [Piece::Data(text.to_owned())];
        if let Ok(ids) = tokenizer.encode_pieces(&data) {
            let own = match tokenizer.bos() {
                Some(bos) if ids.first() == Some(&bos) => &ids[1..],
                _ => &ids[..],
            };
            assert!(!own.iter().any(|id| tokenizer.is_control(*id)), "control token in {text:?}");
        }
        let _ = tokenizer.encode_pieces(&[Piece::Markup(text.to_owned())]);
    }
    for id in tokenizer.ends().take(64) {
        let _ = (tokenizer.bytes(id), tokenizer.marker_text(id));
    }
}
