//! Compares the encoder with golden vectors, and loads folders that are each wrong in one way.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};

use candle_core::Device;
use proptest::prelude::*;

use super::{Encoder, Error};
use crate::model::catalog::{Catalog, default_models_dir};
use crate::model::{EncoderFiles, Pooling};

use super::testing::{CONFIG, MODULES, POOLING, TOKENIZER, files, tiny_folder, write_weights};

/// Returns the default encoder, if it is available.
fn real_encoder() -> Option<Encoder> {
    Some(Encoder::load(&real_files()?, &Device::Cpu).unwrap())
}

/// Returns the default encoder's files, if they are available.
pub(super) fn real_files() -> Option<EncoderFiles> {
    let named = std::env::var_os("IDIOLECT_TEST_ENCODER").map(|dir| files(&PathBuf::from(dir)));
    let found = named.or_else(|| {
        Catalog::load(&default_models_dir().ok()?).ok()?.encoder("all-minilm-l6-v2").ok()
    });
    if found.is_none() {
        eprintln!("skipped: neither IDIOLECT_TEST_ENCODER nor the default encoder is there");
    }
    found
}

fn load_error(dir: &Path) -> String {
    Encoder::load(&files(dir), &Device::Cpu).unwrap_err().to_string()
}

pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    #[derive(serde::Deserialize)]
    struct Golden {
        max_tokens: usize,
        cases: Vec<Case>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        text: String,
        n_tokens: usize,
        truncated: bool,
        vector: Vec<f32>,
    }
    let Some(encoder) = real_encoder() else { return };
    let golden: Golden =
        serde_json::from_str(include_str!("../../../tests/golden/encoder-all-minilm-l6-v2.json"))
            .unwrap();
    assert_eq!(encoder.max_tokens(), golden.max_tokens);
    let texts: Vec<&str> = golden.cases.iter().map(|case| case.text.as_str()).collect();
    for (case, got) in golden.cases.iter().zip(encoder.encode(&texts).unwrap()) {
        let cosine = cosine(&case.vector, &got.vector);
        assert!(cosine >= 0.9999, "{}: cosine {cosine}", case.name);
        let largest =
            case.vector.iter().zip(&got.vector).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
        assert!(largest < 2e-5, "{}: largest difference {largest}", case.name);
        assert_eq!((got.n_tokens, got.truncated), (case.n_tokens, case.truncated), "{}", case.name);
    }
}

#[test]
fn strange_texts_have_unit_vectors() {
    let Some(encoder) = real_encoder() else { return };
    let huge = "It squeaks, it wobbles, I love it. ".repeat(3_000);
    let texts = ["", "\u{1F600}\u{1F525}\u{1F525}", huge.as_str(), "\u{0}\u{FFFD}\u{202E}"];
    for (text, got) in texts.iter().zip(encoder.encode(&texts).unwrap()) {
        assert!((cosine(&got.vector, &got.vector) - 1.0).abs() < 1e-9);
        let norm: f32 = got.vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((norm - 1.0).abs() < 1e-5, "norm {norm}");
        assert_eq!(got.truncated, text.len() > 1_000);
    }
}

#[test]
fn a_tiny_folder_loads_and_cuts_what_is_too_long() {
    let dir = tiny_folder();
    let encoder = Encoder::load(&files(dir.path()), &Device::Cpu).unwrap();
    assert_eq!((encoder.dimension(), encoder.max_tokens()), (8, 12));
    let long = "the kettle sings and leaks twice ".repeat(5);
    let got = encoder.encode(&["the kettle sings", long.as_str()]).unwrap();
    assert_eq!((got[0].n_tokens, got[0].truncated), (5, false));
    assert_eq!((got[1].n_tokens, got[1].truncated), (32, true));
    // Ten tokens are kept besides the two special ones.
    let kept = "the kettle sings and leaks twice the kettle sings and";
    assert_eq!(encoder.encode(&[kept]).unwrap()[0].vector, got[1].vector);
}

#[test]
fn the_stamp_tells_what_makes_vectors_differ() {
    let dir = tiny_folder();
    let stamp = || Encoder::load(&files(dir.path()), &Device::Cpu).unwrap().stamp().to_owned();
    let mut stamps = vec![stamp()];
    assert_eq!(stamps[0], stamp());
    std::fs::write(dir.path().join("1_Pooling/config.json"), r#"{"pooling_mode": "cls"}"#).unwrap();
    stamps.push(stamp());
    std::fs::write(dir.path().join("sentence_bert_config.json"), r#"{"max_seq_length": 7}"#)
        .unwrap();
    stamps.push(stamp());
    std::fs::write(dir.path().join("modules.json"), MODULES.replace("2_N", "3_N")).unwrap();
    assert_eq!(stamps[2], stamp(), "a folder's name decides nothing");
    std::fs::write(dir.path().join("tokenizer.json"), TOKENIZER.replace("twice", "thrice"))
        .unwrap();
    stamps.push(stamp());
    write_weights(dir.path(), |x| x * 0.5);
    stamps.push(stamp());
    let distinct: std::collections::HashSet<_> = stamps.iter().collect();
    assert_eq!(distinct.len(), stamps.len());
}

#[test]
fn a_folder_without_modules_asks_the_catalog() {
    let dir = tiny_folder();
    let with_modules = Encoder::load(&files(dir.path()), &Device::Cpu).unwrap();
    std::fs::remove_file(dir.path().join("modules.json")).unwrap();
    let message = load_error(dir.path());
    assert!(message.contains("modules.json") && message.contains("pooling"), "{message}");
    let stated = EncoderFiles { pooling: Some(Pooling::Mean), ..files(dir.path()) };
    let from_catalog = Encoder::load(&stated, &Device::Cpu).unwrap();
    assert_eq!(from_catalog.stamp(), with_modules.stamp());
}

#[test]
fn wrong_folders_are_refused_with_the_reason() {
    let dir = tiny_folder();
    let cases: [(&str, String, &str); 10] = [
        ("config.json", CONFIG.replace("\"bert\"", "\"mamba\""), "`mamba` is not carried"),
        ("config.json", CONFIG.replace("\"gelu\"", "\"swish\""), "`swish` is not carried"),
        ("config.json", CONFIG.replace("\"vocab_size\": 9,", ""), "`vocab_size` is missing"),
        ("config.json", CONFIG.replace(": 9,", ": 10,"), "model.safetensors"),
        ("tokenizer.json", TOKENIZER.replace("\"twice\": 8", "\"x\": 8, \"y\": 9"), "10 tokens"),
        ("tokenizer.json", "{".to_owned(), "tokenizer.json"),
        ("tokenizer.json", TOKENIZER.replace("null,", "null \"x\","), "tokenizer.json"),
        (
            "tokenizer.json",
            TOKENIZER.replace("\"decoder\": null", "\"decoder\": {\"type\" 3}"),
            "itself",
        ),
        ("modules.json", MODULES.replace("models.Normalize", "models.Dense"), "`Dense`"),
        ("1_Pooling/config.json", POOLING.replace("false", "true"), "expected one of mean"),
    ];
    for (name, text, expected) in cases {
        let path = dir.path().join(name);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let message = load_error(dir.path());
        assert!(message.contains(expected), "{name}: {message}");
        std::fs::write(&path, before).unwrap();
    }
    for name in ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"] {
        let path = dir.path().join(name);
        let before = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let message = load_error(dir.path());
        assert!(
            message.contains("read ") && message.contains("config.json") | message.contains(name)
        );
        std::fs::write(&path, before).unwrap();
    }
}

#[test]
fn weights_of_another_hash_are_refused() {
    let dir = tiny_folder();
    let expected = EncoderFiles { sha256: "0".repeat(64), ..files(dir.path()) };
    let message = Encoder::load(&expected, &Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("SHA-256") && message.contains("models fetch"), "{message}");
}

#[test]
fn vectors_that_are_not_finite_are_an_error_that_names_the_text() {
    let dir = tiny_folder();
    write_weights(dir.path(), |x| if x > 0.49 { f32::NAN } else { x });
    let message = load_error(dir.path());
    assert!(message.contains("model.safetensors") && message.contains("not finite"), "{message}");

    write_weights(dir.path(), |x| x * 3e38);
    let encoder = Encoder::load(&files(dir.path()), &Device::Cpu).unwrap();
    let error = encoder.encode(&["the kettle sings"]).unwrap_err();
    assert!(matches!(&error, Error::NotFinite { text, .. } if text.contains("the kettle sings")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A damaged file causes an error or gives finite vectors, but never a panic.
    #[test]
    fn damaged_weights_never_panic(cut in 0_usize..6_000, flip in 0_usize..48_000, both: bool) {
        let dir = tiny_folder();
        let path = dir.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        // Half of the flips hit the header, where damage can mislead the reader.
        let n_bits = if flip % 2 == 0 { 8 * 600 } else { 8 * bytes.len() };
        let bit = flip % n_bits;
        bytes[bit / 8] ^= 1 << (bit % 8);
        if both {
            bytes.truncate(cut);
        }
        std::fs::write(&path, bytes).unwrap();
        if let Ok(encoder) = Encoder::load(&files(dir.path()), &Device::Cpu) {
            match encoder.encode(&["the kettle sings"]) {
                Ok(got) => prop_assert!(got[0].vector.iter().all(|x| x.is_finite())),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn a_prompt_is_put_before_every_text_and_changes_the_stamp() {
    let dir = tiny_folder();
    let load = |files: &EncoderFiles| Encoder::load(files, &Device::Cpu).unwrap();
    let vector = |encoder: &Encoder, text: &str| encoder.encode(&[text]).unwrap().remove(0).vector;
    let bare = load(&files(dir.path()));
    let by_catalog =
        load(&EncoderFiles { prompt: Some("the kettle ".to_owned()), ..files(dir.path()) });
    assert_eq!(vector(&by_catalog, "sings"), vector(&bare, "the kettle sings"));
    assert_ne!(by_catalog.stamp(), bare.stamp());

    // The folder's own default counts before the catalog's; without one there is no prompt.
    let config = dir.path().join("config_sentence_transformers.json");
    let prompts = r#"{"prompts": {"a": "leaks ", "b": ""}, "default_prompt_name": null}"#;
    std::fs::write(&config, prompts).unwrap();
    assert_eq!(load(&files(dir.path())).stamp(), bare.stamp());
    std::fs::write(&config, prompts.replace("null", "\"a\"")).unwrap();
    let stated = load(&files(dir.path()));
    assert_eq!(vector(&stated, " twice"), vector(&bare, "leaks twice"));
    assert!(![bare.stamp(), by_catalog.stamp()].contains(&stated.stamp()));
    std::fs::write(&config, prompts.replace("null", "\"b\"")).unwrap();
    assert_eq!(load(&files(dir.path())).stamp(), bare.stamp());

    std::fs::write(&config, prompts.replace("null", "\"c\"")).unwrap();
    let message = load_error(dir.path());
    assert!(message.contains("`c`") && message.contains("default_prompt_name"), "{message}");
    std::fs::write(&config, prompts.replace("null", "\"a\"")).unwrap();
    let pooling =
        POOLING.trim_end().trim_end_matches('}').to_owned() + ", \"include_prompt\": false}";
    std::fs::write(dir.path().join("1_Pooling/config.json"), pooling).unwrap();
    assert!(load_error(dir.path()).contains("include_prompt"));
}
