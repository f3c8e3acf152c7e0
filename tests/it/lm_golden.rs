//! The decoder on the real small model, against llama.cpp (recorded by scripts/record-lm-golden)
//! and against the same model with dequantized weights (the "twin").

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use candle_core::Device;
use idiolect::kernels::Isa;
use idiolect::kernels::attention::KvPrecision;
use idiolect::lm::decoder::{
    BatchRows, CandleDecoder, CpuDecoder, CpuKv, Decoder, DecoderOptions, KvCache, RowKind,
    WeightPrecision,
};
use idiolect::model::gguf::Gguf;
use idiolect::model::tokenizer::Tokenizer;
use sha2::{Digest, Sha256};

/// Number of tokens per forward step.
const CHUNK: usize = 256;

#[derive(serde::Deserialize)]
struct Golden {
    model: String,
    perplexity: f64,
    tokens: Vec<u32>,
    logprobs: Vec<f64>,
    greedy: Vec<Greedy>,
    long: Long,
}

#[derive(serde::Deserialize)]
struct Long {
    window: usize,
    n_tokens: usize,
    sha256: String,
    perplexity: f64,
}

#[derive(serde::Deserialize)]
struct Greedy {
    prompt: Vec<u32>,
    tokens: Vec<u32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/lm-smollm2-135m.json")).unwrap()
}

/// Opens the model of the golden values, if it is there.
fn open() -> Option<Gguf> {
    let path = crate::common::test_lm()?.gguf;
    if !path.ends_with(golden().model) {
        eprintln!("skipped: {} is not {}", path.display(), golden().model);
        return None;
    }
    Some(Gguf::open(&path).unwrap())
}

fn options(precision: WeightPrecision, kv_precision: KvPrecision) -> DecoderOptions {
    DecoderOptions {
        device: Device::Cpu,
        precision,
        context: Some(4096),
        threads: 0,
        isa: Isa::detect(),
        kv_precision,
    }
}

/// Loads the model of the golden values, if it is there.
fn model(kv_precision: KvPrecision) -> Option<CpuDecoder> {
    let options = options(WeightPrecision::Packed, kv_precision);
    Some(CpuDecoder::load(&open()?, &options).unwrap())
}

/// The same model with dequantized weights.
fn dequantized() -> CandleDecoder {
    let options = options(WeightPrecision::Dequantized, KvPrecision::F16);
    CandleDecoder::load(&open().unwrap(), &options).unwrap()
}

/// Log-probability of each token but the first, given all tokens before it.
fn logprobs<D: Decoder>(decoder: &D, tokens: &[u32]) -> Vec<f64> {
    logprobs_as(RowKind::Text, decoder, tokens)
}

/// The same, with all rows of one kind.
fn logprobs_as<D: Decoder>(kind: RowKind, decoder: &D, tokens: &[u32]) -> Vec<f64> {
    let mut cache = decoder.empty_cache();
    let (mut logprobs, mut logits) = (Vec::new(), Vec::new());
    for (chunk, next) in tokens.chunks(CHUNK).zip(tokens[1..].chunks(CHUNK)) {
        let rows = BatchRows { tokens: chunk, kind, cache: &mut cache };
        let hidden = decoder.forward(&mut [rows]).unwrap();
        for first in (0..next.len()).step_by(64) {
            let count = 64.min(next.len() - first);
            let rows: Vec<u32> = (first..first + count).map(|row| row as u32).collect();
            decoder.logits(&hidden, &rows, &mut logits).unwrap();
            let rows = logits.chunks(decoder.config().n_vocab);
            for (row, id) in rows.zip(&next[first..]) {
                let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                logprobs.push(f64::from(row[*id as usize]) - sum.ln());
            }
        }
    }
    logprobs
}

fn perplexity(logprobs: &[f64]) -> f64 {
    (-logprobs.iter().sum::<f64>() / logprobs.len() as f64).exp()
}

/// Root mean square difference.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    (squares / a.len() as f64).sqrt()
}

fn next_logits(decoder: &CpuDecoder, cache: &mut KvCache<CpuKv>, tokens: &[u32]) -> Vec<f32> {
    let hidden = decoder.forward(&mut [BatchRows { tokens, kind: RowKind::Text, cache }]).unwrap();
    let mut logits = Vec::new();
    decoder.logits(&hidden, &[tokens.len() as u32 - 1], &mut logits).unwrap();
    logits
}

#[test]
fn perplexity_is_llama_cpps_and_the_dequantized_twins() {
    let Some(decoder) = model(KvPrecision::F16) else { return };
    let golden = golden();
    let ours = logprobs(&decoder, &golden.tokens);
    let (all, theirs) = (perplexity(&ours), golden.perplexity);
    eprintln!("perplexity {all:.4}, llama.cpp {theirs:.4}");
    assert!((all / theirs - 1.0).abs() < 0.005, "{all} {theirs}");
    let twin = logprobs(&dequantized(), &golden.tokens);
    let (ours_off, theirs_off) = (distance(&ours, &twin), distance(&golden.logprobs, &twin));
    eprintln!(
        "dequantized twin {:.4}; root mean square distance of log-probabilities from the twin's: \
         {ours_off:.4}, llama.cpp's {theirs_off:.4}",
        perplexity(&twin)
    );
    let exact = perplexity(&twin);
    assert!((all / exact - 1.0).abs() < 0.005, "{all} {exact}");
    // Both quantize activations to 8 bits; our error may not be much larger than that of llama.cpp.
    assert!(ours_off < 1.1 * theirs_off, "{ours_off} {theirs_off}");
}

/// Perplexity of the sample corpus, more than 20,000 tokens, in independent windows.
#[test]
fn perplexity_of_a_long_text_is_the_dequantized_twins_and_no_worse_than_llama_cpps() {
    let Some(decoder) = model(KvPrecision::F16) else { return };
    let long = golden().long;
    let texts: Vec<String> = include_str!("../../data/sample/reviews.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].clone())
        .map(|text| text.as_str().unwrap().to_owned())
        .collect();
    let gguf = Gguf::open(&crate::common::test_lm().unwrap().gguf).unwrap();
    let tokens = Tokenizer::from_gguf(&gguf).unwrap().encode(&texts.join("\n\n")).unwrap();
    let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
    let hash = Sha256::digest(ids.join(","));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((tokens.len(), hash), (long.n_tokens, long.sha256));
    assert!(tokens.len() > 20_000);
    let start = std::time::Instant::now();
    let windows = || tokens.chunks(long.window);
    let of = |decoder: &CpuDecoder| {
        perplexity(&windows().flat_map(|window| logprobs(decoder, window)).collect::<Vec<_>>())
    };
    let (ours, theirs) = (of(&decoder), long.perplexity);
    eprintln!("{} tokens in {:.1} s", tokens.len(), start.elapsed().as_secs_f64());
    if decoder.separates_prompts() {
        let as_prompt = windows().flat_map(|w| logprobs_as(RowKind::Prompt, &decoder, w));
        let as_prompt = perplexity(&as_prompt.collect::<Vec<_>>());
        eprintln!("computed as prompts {as_prompt:.4}, as texts {ours:.4}");
        assert!((as_prompt / ours - 1.0).abs() < 0.001, "{as_prompt} {ours}");
    }
    let twin = dequantized();
    let twin =
        perplexity(&windows().flat_map(|window| logprobs(&twin, window)).collect::<Vec<_>>());
    eprintln!("the twin in {:.1} s", start.elapsed().as_secs_f64());
    let bf16 = of(&model(KvPrecision::Bf16).unwrap());
    eprintln!(
        "perplexity {ours:.4}, with keys and values of bf16 {bf16:.4}, dequantized twin {twin:.4}, \
         llama.cpp {theirs:.4}"
    );
    for ours in [ours, bf16] {
        assert!((ours / twin - 1.0).abs() < 0.003, "{ours} {twin}");
        assert!(ours <= theirs, "{ours} {theirs}");
    }
}

/// On 2026-11-22 four of the ten prompts were identical to the end, and 174 tokens agreed in all.
/// The other six diverged at a token of llama.cpp whose logit was at most 0.26 below our largest.
#[test]
fn greedy_tokens_part_from_llama_cpps_only_where_two_are_nearly_alike() {
    let Some(decoder) = model(KvPrecision::F16) else { return };
    let golden = golden();
    let (mut agreed, mut identical) = (0, 0);
    for (n, greedy) in golden.greedy.iter().enumerate() {
        let mut cache = decoder.empty_cache();
        let mut logits = next_logits(&decoder, &mut cache, &greedy.prompt);
        let mut parted = false;
        for theirs in &greedy.tokens {
            let likeliest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let gap = likeliest - logits[*theirs as usize];
            if gap > 0.0 {
                eprintln!("prompt {n}: llama.cpp's token is {gap:.4} behind ours");
                // Six times the root mean square difference of log-probabilities that quantized
                // activations cause.
                assert!(gap < 0.5, "prompt {n}: {gap}");
                parted = true;
                break;
            }
            agreed += 1;
            logits = next_logits(&decoder, &mut cache, &[*theirs]);
        }
        identical += usize::from(!parted);
    }
    eprintln!("{identical} of {} prompts identical, {agreed} tokens agreed", golden.greedy.len());
}
