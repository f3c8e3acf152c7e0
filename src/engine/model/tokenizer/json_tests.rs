//! Compares tokenizers from a `tokenizer.json` with the same vocabulary in a GGUF.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::tests::small_bpe;
use super::*;
use crate::model::gguf::{Gguf, Value, writer::Writer};

/// Returns the vocabulary of [`small_bpe`] as a `tokenizer.json` that truncates, pads and adds a
/// token.
fn small_json(gguf: &Gguf) -> serde_json::Value {
    use serde_json::json;
    let tokens = gguf.strings("tokenizer.ggml.tokens").unwrap();
    let n = tokens.len();
    let added = |id: usize, special: bool| {
        json!({"id": id, "content": tokens[id], "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": special})
    };
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"},
        "added_tokens": [added(0, true), added(1, true), added(2, true), added(n - 2, false), added(n - 1, false)],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": tokens[..n - 2].iter().enumerate().map(|(id, text)| (text.clone(), json!(id)))
                .collect::<serde_json::Map<_, _>>(),
            "merges": gguf.strings("tokenizer.ggml.merges").unwrap()}
    })
}

fn from_json(json: &serde_json::Value, gguf: &Gguf) -> Result<Tokenizer> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).unwrap();
    Tokenizer::from_file(&path, gguf)
}

#[test]
fn a_tokenizer_json_gives_the_ids_of_the_gguf() {
    let gguf = small_bpe();
    let (ours, theirs) =
        (Tokenizer::from_gguf(&gguf).unwrap(), from_json(&small_json(&gguf), &gguf).unwrap());
    let texts = [
        "hell, wor hello world 123",
        "<|im_start|>hell<|im_end|><think>",
        "      x",
        "Führer 🦙\n",
        "",
    ];
    for text in texts {
        let ids = theirs.encode(text).unwrap();
        assert_eq!(ids, ours.encode(text).unwrap(), "{text:?}");
        assert_eq!(theirs.decode(&ids).unwrap(), text);
        for piece in [Piece::Markup(text.to_owned()), Piece::Data(text.to_owned())] {
            let with_bos = theirs.encode_pieces(std::slice::from_ref(&piece)).unwrap();
            let mut expected = ours.encode_pieces(&[piece]).unwrap();
            // This file states that BOS comes first; the GGUF does not.
            if expected.first() != Some(&1) {
                expected.insert(0, 1);
            }
            assert_eq!(with_bos, expected, "{text:?}");
        }
    }
    assert_eq!(theirs.n_vocab(), ours.n_vocab());
    for id in 0..theirs.n_vocab() as u32 {
        assert_eq!(theirs.bytes(id), ours.bytes(id), "{id}");
        assert_eq!(theirs.is_end(id), ours.is_end(id), "{id}");
    }
    assert_ne!(theirs.fingerprint(), ours.fingerprint());
}

#[test]
fn a_tokenizer_json_of_another_model_is_refused() {
    let gguf = small_bpe();
    let mut json = small_json(&gguf);
    json["added_tokens"][1]["content"] = "<|system|>".into();
    json["post_processor"] = serde_json::Value::Null;
    let error = from_json(&json, &gguf).unwrap_err().to_string();
    assert!(error.contains("another model"), "{error}");
    let error = from_json(&serde_json::json!({"model": 3}), &gguf).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
    for other in [serde_json::json!([]), serde_json::json!(5), serde_json::Value::Null] {
        let error = from_json(&other, &gguf).unwrap_err().to_string();
        assert!(error.contains("not a tokenizer.json"), "{error}");
    }
    json = small_json(&gguf);
    json["added_tokens"][4]["id"] = u32::MAX.into();
    let error = from_json(&json, &gguf).unwrap_err().to_string();
    assert!(error.contains("4294967295"), "{error}");
    json = small_json(&gguf);
    json["decoder"] = serde_json::json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
    let error = from_json(&json, &gguf).unwrap_err().to_string();
    assert!(error.contains("WordPiece"), "{error}");
}

#[test]
fn a_file_at_which_the_crate_panics_is_refused() {
    let gguf = small_bpe();
    let mut json = small_json(&gguf);
    json["post_processor"]["special_tokens"] = serde_json::json!({});
    let error = from_json(&json, &gguf).unwrap_err().to_string();
    assert!(error.contains("contradicts itself"), "{error}");
}

#[test]
fn a_space_that_only_the_first_text_gets_is_not_put_behind_markers() {
    let gguf = Gguf::from_bytes(
        Writer::new()
            .value("general.architecture", Value::String("llama".into()))
            .value("tokenizer.ggml.add_bos_token", Value::Bool(false))
            .finish(),
        Path::new("bare.gguf"),
    )
    .unwrap();
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 4, "content": "</s>", "single_word": false, "lstrip": false,
                          "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false},
        "post_processor": null,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3, "</s>": 4}, "merges": [["▁", "a"]]}
    });
    let tokenizer = from_json(&json, &gguf).unwrap();
    let ids = tokenizer.encode_pieces(&[Piece::Markup("a a</s>a".to_owned())]).unwrap();
    assert_eq!(ids, [3, 3, 4, 2]);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a aa");
    assert!(tokenizer.is_end(4));
}
