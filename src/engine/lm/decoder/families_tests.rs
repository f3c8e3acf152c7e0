//! Tiny models of each family, compared with llama.cpp's logits (`scripts/record-families-golden`).

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use half::f16;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::*;
use crate::model::gguf::Value;
use crate::model::gguf::writer::Writer;
use crate::model::hash::hex;
use idiolect_kernels::Isa;
use idiolect_kernels::attention::KvPrecision;

#[derive(Deserialize)]
struct Golden {
    tokens: Vec<u32>,
    rows: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Key, type, value.
    values: Vec<(String, String, serde_json::Value)>,
    tensors: Vec<TensorSpec>,
    /// By the format of the matrices.
    formats: HashMap<String, Recorded>,
}

/// Name, shape, format, centre, spread.
#[derive(Deserialize)]
struct TensorSpec(String, Vec<usize>, String, f32, f32);

#[derive(Deserialize)]
struct Recorded {
    sha256: String,
    logits: Vec<Vec<f32>>,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/families.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl Case {
    /// The file that llama.cpp ran, without its tokenizer.
    fn gguf(&self, matrices: &str) -> Gguf {
        let mut writer = Writer::new();
        for (key, kind, value) in &self.values {
            let value = match kind.as_str() {
                "uint" => Value::Unsigned(value.as_u64().unwrap()),
                "float" => Value::F32(value.as_f64().unwrap() as f32),
                "text" => Value::String(value.as_str().unwrap().to_owned()),
                "truths" => {
                    let truths = value.as_array().unwrap().iter();
                    Value::Integers(truths.map(|x| i64::from(x.as_bool().unwrap())).collect())
                }
                other => panic!("{other}"),
            };
            writer = writer.value(key, value);
        }
        let mut hash = Sha256::new();
        for TensorSpec(name, shape, format, centre, spread) in &self.tensors {
            let format = if format == "matrix" { matrices } else { format };
            let n: usize = shape.iter().product();
            let (dtype, bytes) = match format {
                "F32" => (GgmlDType::F32, floats(name, n, *centre, *spread)),
                _ => (GgmlDType::Q8_0, quants(name, n, *spread)),
            };
            hash.update(&bytes);
            writer = writer.tensor(name, shape, dtype, &bytes);
        }
        assert_eq!(hex(&hash.finalize()), self.formats[matrices].sha256, "{}", self.name);
        Gguf::from_bytes(writer.finish(), self.name.as_ref()).unwrap()
    }
}

/// The generator of the script: SplitMix64, seeded by FNV-1a of the name.
fn numbers(name: &str, n: usize) -> impl Iterator<Item = i32> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (1..=n as u64).map(move |i| {
        let mut state = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^= state >> 31;
        (state >> 40) as i32 - (1 << 23)
    })
}

fn floats(name: &str, n: usize, centre: f32, spread: f32) -> Vec<u8> {
    let unit = (1 << 23) as f32;
    numbers(name, n).flat_map(|x| (centre + spread * (x as f32 / unit)).to_le_bytes()).collect()
}

fn quants(name: &str, n: usize, spread: f32) -> Vec<u8> {
    let scale = f16::from_f32(spread / 127.0).to_le_bytes();
    let quants: Vec<i32> = numbers(name, n).map(|x| (x >> 16).max(-127)).collect();
    let block = |quants: &[i32]| scale.into_iter().chain(quants.iter().map(|q| *q as u8)).collect();
    quants.chunks(32).flat_map(|quants| -> Vec<u8> { block(quants) }).collect()
}

fn options(precision: WeightPrecision, threads: usize, isa: Isa) -> DecoderOptions {
    let kv_precision = KvPrecision::F16;
    let device = Device::Cpu;
    DecoderOptions { device, precision, context: None, threads, isa, kv_precision }
}

/// Appends the logits after each of `tokens`, which are run in portions.
fn logits<D: Decoder>(
    decoder: &D,
    cache: &mut KvCache<D::Layout>,
    tokens: &[u32],
    portion: usize,
) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for tokens in tokens.chunks(portion) {
        let hidden = decoder
            .forward(&mut [BatchRows { kind: RowKind::Text, tokens, cache, adapter: None }])
            .unwrap();
        let rows: Vec<u32> = (0..tokens.len() as u32).collect();
        let mut logits = Vec::new();
        decoder.logits(&hidden, &rows, &mut logits).unwrap();
        all.extend(logits.chunks(decoder.config().n_vocab).map(<[f32]>::to_vec));
    }
    all
}

/// Largest difference of the recorded rows.
fn largest_difference(ours: &[Vec<f32>], golden: &Golden, theirs: &[Vec<f32>]) -> f32 {
    let ours = golden.rows.iter().flat_map(|row| &ours[*row]);
    ours.zip(theirs.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Limits of the difference from llama.cpp, relative to its largest logit: with f32 weights of
/// candle's operations (the largest recorded is 5e-4, of Gemma, since llama.cpp looks GELU up in a
/// table of f16) and of our kernels, which keep keys and values in f16 (8e-4); with Q8_0, where a
/// difference in the last place of an activation becomes one of a whole int8 step, of both (3e-2).
const BY_CANDLE: f32 = 1e-3;
const BY_KERNELS: f32 = 2e-3;
const QUANTIZED: f32 = 0.06;

#[test]
fn every_family_gives_the_logits_of_llama_cpp() {
    let golden = golden();
    for family in DecoderFamily::ALL {
        let of_family = |case: &Case| case.values[0].2 == family.architecture();
        assert!(golden.cases.iter().any(of_family), "{family:?}");
    }
    let mut failures = Vec::new();
    for case in &golden.cases {
        for (format, recorded) in &case.formats {
            let gguf = case.gguf(format);
            let theirs = &recorded.logits;
            let isa = Isa::detect();
            let candle = CandleDecoder::load(&gguf, &options(WeightPrecision::Stored, 2, isa));
            let candle = candle.unwrap();
            let candle = logits(&candle, &mut candle.empty_cache(), &golden.tokens, 160);
            let kernels = CpuDecoder::load(&gguf, &options(WeightPrecision::Packed, 2, isa));
            let kernels = kernels.unwrap();
            let kernels = logits(&kernels, &mut kernels.empty_cache(), &golden.tokens, 160);
            let (by_candle, by_kernels) = match format.as_str() {
                "F32" => (BY_CANDLE, BY_KERNELS),
                _ => (QUANTIZED, QUANTIZED),
            };
            let largest = theirs.iter().flatten().map(|x| x.abs()).fold(0.0, f32::max);
            assert!(largest > 0.5, "{}", case.name);
            for (by, ours, most) in
                [("candle", &candle, by_candle), ("kernels", &kernels, by_kernels)]
            {
                let difference = largest_difference(ours, &golden, theirs) / largest;
                let line = format!("{} {format} by {by}: {difference:.6}", case.name);
                if difference.is_nan() || difference > most {
                    failures.push(line);
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_family_gives_the_same_bits_in_portions_and_after_a_reused_prefix() {
    let golden = golden();
    for case in &golden.cases {
        let gguf = case.gguf("Q8_0");
        let load = |threads, isa| {
            CpuDecoder::load(&gguf, &options(WeightPrecision::Packed, threads, isa)).unwrap()
        };
        let decoder = load(1, Isa::detect());
        let whole = logits(&decoder, &mut decoder.empty_cache(), &golden.tokens, 160);
        let decoder = load(3, Isa::detect());
        for portion in [1, 7, 64, 100] {
            let parts = logits(&decoder, &mut decoder.empty_cache(), &golden.tokens, portion);
            assert_eq!(parts, whole, "{} {portion}", case.name);
        }
        let plain = load(2, Isa::PLAIN);
        let parts = logits(&plain, &mut plain.empty_cache(), &golden.tokens, 50);
        assert_eq!(parts, whole, "{}", case.name);
        // A fork of a prefix goes on as the whole did, with other text before it was cut.
        let mut prefix = decoder.empty_cache();
        logits(&decoder, &mut prefix, &golden.tokens[..130], 130);
        logits(&decoder, &mut prefix, &[1, 2, 3], 3);
        prefix.truncate(105);
        let rest = logits(&decoder, &mut prefix.fork(), &golden.tokens[105..], 20);
        assert_eq!(rest, whole[105..], "{}", case.name);
    }
}
