//! A complete encoder folder with tiny weights, for tests that need vectors without meaning.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};

pub const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 9, "hidden_size": 8,
    "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "hidden_act": "gelu", "max_position_embeddings": 12, "type_vocab_size": 2}"#;

/// Six words and the special tokens.
pub const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [], "normalizer": null, "decoder": null,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                   {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
                           "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]}}},
    "model": {"type": "WordLevel", "unk_token": "[UNK]",
        "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "the": 3, "kettle": 4, "sings": 5,
                  "and": 6, "leaks": 7, "twice": 8}}}"#;

pub const MODULES: &str = r#"[
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#;

pub const POOLING: &str = r#"{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#;

const WORDS: [&str; 6] = ["the", "kettle", "sings", "and", "leaks", "twice"];

/// Returns a text of four of the encoder's words, a different one for each number below 1296.
pub fn tiny_text(number: usize) -> String {
    (0..4).map(|i| WORDS[number / 6_usize.pow(i) % 6]).collect::<Vec<_>>().join(" ")
}

/// Writes the folder.
pub fn write_tiny_encoder(dir: &Path) {
    std::fs::create_dir_all(dir.join("1_Pooling")).unwrap();
    for (name, text) in [
        ("config.json", CONFIG),
        ("tokenizer.json", TOKENIZER),
        ("modules.json", MODULES),
        ("1_Pooling/config.json", POOLING),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    write_weights(dir, |x| x);
}

/// Writes `model.safetensors`: numbers between -0.5 and 0.5, each mapped by `change`.
pub fn write_weights(dir: &Path, change: impl Fn(f32) -> f32) {
    let mut tensors = HashMap::new();
    let mut state = 1_u32;
    let mut put = |name: &str, shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                change((state >> 8) as f32 / (1 << 24) as f32 - 0.5)
            })
            .collect();
        tensors.insert(name.to_owned(), Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    };
    put("embeddings.word_embeddings.weight", &[9, 8]);
    put("embeddings.position_embeddings.weight", &[12, 8]);
    put("embeddings.token_type_embeddings.weight", &[2, 8]);
    for norm in ["embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"] {
        put(&format!("{norm}.LayerNorm.weight"), &[8]);
        put(&format!("{norm}.LayerNorm.bias"), &[8]);
    }
    for (name, from, to) in [
        ("attention.self.query", 8, 8),
        ("attention.self.key", 8, 8),
        ("attention.self.value", 8, 8),
        ("attention.output.dense", 8, 8),
        ("intermediate.dense", 8, 16),
        ("output.dense", 16, 8),
    ] {
        put(&format!("encoder.layer.0.{name}.weight"), &[to, from]);
        put(&format!("encoder.layer.0.{name}.bias"), &[to]);
    }
    candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).unwrap();
}
