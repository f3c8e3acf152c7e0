//! Compares the packed network with candle's, batches with single texts, and int8 with f32.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::architecture::Architecture;
use super::candle::CandleEncoder;
use super::cpu::CpuEncoder;
use super::settings::EncoderSettings;
use super::testing::{files, tiny_folder};
use super::tests::{cosine, real_files};
use super::{Encoder, EncoderOptions, EncoderPrecision, Error};
use crate::model::{EncoderFiles, Pooling};
use idiolect_kernels::{Isa, Pool};

/// Configurations that are hard for kernels: heads of 4, 20 and 32 elements, widths that are not
/// multiples of a vector's lanes.
fn random_networks() -> Vec<Value> {
    let network = |family: &str, width: [usize; 2], heads: usize, act: &str, pad: u32| {
        json!({
            "model_type": family, "hidden_size": width[0], "intermediate_size": width[1],
            "num_attention_heads": heads, "num_hidden_layers": 2, "hidden_act": act,
            "vocab_size": 50, "max_position_embeddings": 200, "type_vocab_size": 2,
            "pad_token_id": pad, "layer_norm_eps": 1e-5
        })
    };
    vec![
        network("bert", [8, 16], 2, "gelu", 0),
        network("bert", [64, 256], 2, "gelu", 0),
        network("bert", [60, 100], 3, "gelu_new", 0),
        network("xlm-roberta", [64, 160], 4, "gelu", 1),
        network("xlm-roberta", [96, 128], 3, "relu", 1),
        network("roberta", [40, 72], 2, "gelu_pytorch_tanh", 1),
    ]
}

/// Returns a safetensors file of random weights, about as large in magnitude as trained ones.
fn random_weights(config: &Value, prefix: &str) -> Vec<u8> {
    let number = |name: &str| usize::try_from(config[name].as_u64().unwrap()).unwrap();
    let (hidden, wide) = (number("hidden_size"), number("intermediate_size"));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut tensors = HashMap::new();
    let mut put = |name: &str, shape: &[usize], around: f32| {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| around + rng.random_range(-0.25..0.25_f32))
            .collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        tensors.insert(format!("{prefix}{name}"), tensor);
    };
    put("embeddings.word_embeddings.weight", &[number("vocab_size"), hidden], 0.0);
    let positions = [number("max_position_embeddings"), hidden];
    put("embeddings.position_embeddings.weight", &positions, 0.0);
    put("embeddings.token_type_embeddings.weight", &[2, hidden], 0.0);
    let mut norms = vec!["embeddings".to_owned()];
    for layer in 0..number("num_hidden_layers") {
        let layer = format!("encoder.layer.{layer}");
        norms.extend([format!("{layer}.attention.output"), format!("{layer}.output")]);
        for (name, from, to) in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", hidden, wide),
            ("output.dense", wide, hidden),
        ] {
            put(&format!("{layer}.{name}.weight"), &[to, from], 0.0);
            put(&format!("{layer}.{name}.bias"), &[to], 0.0);
        }
    }
    for norm in norms {
        put(&format!("{norm}.LayerNorm.weight"), &[hidden], 1.0);
        put(&format!("{norm}.LayerNorm.bias"), &[hidden], 0.0);
    }
    let views: Vec<(String, Tensor)> = tensors.into_iter().collect();
    safetensors::serialize(views.iter().map(|(name, tensor)| (name, tensor)), None).unwrap()
}

/// Returns texts of ids, one of them with the padding id inside, with more rows than a group holds.
fn random_texts() -> Vec<Vec<u32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    [1, 2, 17, 100, 3, 140, 28, 64, 5, 5, 33]
        .into_iter()
        .map(|n| (0..n).map(|_| rng.random_range(0..50)).collect())
        .collect()
}

fn options(precision: EncoderPrecision, threads: usize, isa: Isa) -> EncoderOptions {
    EncoderOptions { device: Device::Cpu, precision, threads, isa }
}

fn pack(architecture: &Architecture, bytes: &[u8], isa: Isa, threads: usize) -> CpuEncoder {
    let pool = Pool::new(threads);
    CpuEncoder::load(architecture, bytes.to_vec(), EncoderPrecision::F32, isa, pool).unwrap()
}

#[test]
fn random_networks_of_both_families_give_the_vectors_of_candle() {
    let texts = random_texts();
    let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    for (i, config) in random_networks().iter().enumerate() {
        let architecture = Architecture::from_config(config).unwrap();
        let family = if config["model_type"] == "bert" { "bert." } else { "roberta." };
        let bytes = random_weights(config, if i % 2 == 0 { "" } else { family });
        let twin = CandleEncoder::load(&architecture, bytes.clone(), &Device::Cpu).unwrap();
        let packed = pack(&architecture, &bytes, Isa::detect(), 2);
        for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Last] {
            for (ids, got) in ids.iter().zip(packed.pooled(&ids, pooling).unwrap()) {
                let expected = twin.pooled(ids, pooling).unwrap();
                let cosine = cosine(&got, &expected);
                assert!(cosine > 0.999_999, "{config} {pooling:?} {}: {cosine}", ids.len());
            }
        }
    }
}

#[test]
fn bits_depend_neither_on_company_nor_threads_nor_tier() {
    let texts = random_texts();
    let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    // Enough groups for each thread to process some by itself.
    let many: Vec<&[u32]> = ids.iter().cycle().take(22 * ids.len()).copied().collect();
    for config in random_networks() {
        let architecture = Architecture::from_config(&config).unwrap();
        let bytes = random_weights(&config, "");
        let of = |texts: &[&[u32]], isa, threads| {
            let vectors = pack(&architecture, &bytes, isa, threads).pooled(texts, Pooling::Mean);
            let bits = |vector: Vec<f32>| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            vectors.unwrap().into_iter().map(bits).collect::<Vec<_>>()
        };
        let expected = of(&ids, Isa::PLAIN, 1);
        for isa in Isa::available() {
            assert_eq!(of(&ids, isa, 3), expected, "{isa}");
        }
        for (got, expected) in of(&many, Isa::detect(), 2).iter().zip(expected.iter().cycle()) {
            assert_eq!(got, expected);
        }
        for (ids, expected) in ids.iter().zip(&expected) {
            assert_eq!(&of(&[ids], Isa::detect(), 2)[0], expected);
        }
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    text: String,
}

fn golden_texts() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/encoder-all-minilm-l6-v2.json"))
        .unwrap()
}

#[test]
fn the_real_network_gives_the_vectors_of_candle_and_int8_stays_near() {
    let Some(files) = real_files() else { return };
    let load =
        |precision| Encoder::load_with(&files, &options(precision, 2, Isa::detect())).unwrap();
    let (exact, int8) = (load(EncoderPrecision::F32), load(EncoderPrecision::Int8));
    assert_ne!(exact.stamp(), int8.stamp(), "vectors of different precision are never mixed");
    let settings = EncoderSettings::read(&files).unwrap();
    let bytes = std::fs::read(files.dir.join("model.safetensors")).unwrap();
    let twin = CandleEncoder::load(&settings.architecture, bytes, &Device::Cpu).unwrap();

    let Golden { cases } = golden_texts();
    let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
    let (exact_vectors, int8_vectors) =
        (exact.encode(&texts).unwrap(), int8.encode(&texts).unwrap());
    let mut worst = [1.0_f64; 2];
    for ((case, f32), int8) in cases.iter().zip(exact_vectors).zip(int8_vectors) {
        let ids = exact.tokenize(&case.text).unwrap().ids;
        let by_candle = twin.pooled(&ids, settings.pooling).unwrap();
        let near = [cosine(&f32.vector, &by_candle), cosine(&int8.vector, &f32.vector)];
        assert!(near[0] > 0.999_999, "{}: {} beside candle", case.name, near[0]);
        assert!(near[1] > 0.995, "{}: {} in int8", case.name, near[1]);
        worst = [worst[0].min(near[0]), worst[1].min(near[1])];
    }
    eprintln!(
        "smallest cosine: f32 beside candle {:.8}, int8 beside f32 {:.5}",
        worst[0], worst[1]
    );
}

#[test]
fn real_vectors_depend_neither_on_company_nor_on_threads() {
    let Some(files) = real_files() else { return };
    let long = "My aunt keeps this lamp beside the piano and swears by it. ".repeat(12);
    let texts = ["a", "It hums.", long.as_str(), "", "Returned it after nine days, twice mended."];
    let many: Vec<&str> = texts.into_iter().cycle().take(60).collect();
    for precision in [EncoderPrecision::F32, EncoderPrecision::Int8] {
        let load = |threads| {
            Encoder::load_with(&files, &options(precision, threads, Isa::detect())).unwrap()
        };
        let (one, three) = (load(1), load(3));
        let together = one.encode(&texts).unwrap();
        for (text, expected) in texts.iter().zip(&together) {
            assert_eq!(&three.encode(&[text]).unwrap()[0], expected, "the very bits, for {text:?}");
        }
        for (got, expected) in three.encode(&many).unwrap().iter().zip(together.iter().cycle()) {
            assert_eq!(got, expected, "the very bits");
        }
    }
}

#[test]
fn int8_is_refused_where_there_are_no_kernels_for_it() {
    let dir = tiny_folder();
    let files: EncoderFiles = files(dir.path());
    let error =
        Encoder::load_with(&files, &options(EncoderPrecision::Int8, 1, Isa::PLAIN)).unwrap_err();
    assert!(matches!(error, Error::NoInt8(_)));
    let message = error.to_string();
    assert!(message.contains("hidden_size is 8") && message.contains("use f32"), "{message}");
}
