//! The decoder on the real small model, against llama.cpp (recorded by scripts/record-lm-golden)
//! and against the same model with dequantized weights (the "twin").

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use candle_core::{Device, Tensor};
use idiolect::kernels::Isa;
use idiolect::kernels::attention::KvPrecision;
use idiolect::lm::decoder::{
    BatchRows, CandleDecoder, CpuDecoder, CpuKv, Decoder, DecoderOptions, KvCache, RowKind, Twin,
    TwinAdapter, TwinLayerAdapter, TwinLowRank, WeightPrecision,
};
use idiolect::lm::{
    Adapter, LayerAdapter, Lm, LoadOptions, LowRank, Prompt, ScoreRequest, TextToScore,
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
        let rows = BatchRows { tokens: chunk, kind, cache: &mut cache, adapter: None };
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
    let hidden = decoder
        .forward(&mut [BatchRows { tokens, kind: RowKind::Text, cache, adapter: None }])
        .unwrap();
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

/// Pseudo-random numbers of a root mean square of about `size`.
fn noise(n: usize, seed: u32, size: f32) -> Vec<f32> {
    let at = |i: u32| i.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 8;
    let uniform = (0..n as u32).map(|i| at(i) as f32 / (1 << 24) as f32 - 0.5);
    uniform.map(|x| x * size * 12_f32.sqrt()).collect()
}

#[test]
fn the_twin_that_gives_gradients_has_the_losses_of_the_engine() {
    let Some(files) = crate::common::test_lm() else { return };
    let lm = Lm::load(&files, &LoadOptions::default()).unwrap();
    let twin = Twin::open(&files.gguf, &Device::Cpu).unwrap();
    let shape = twin.adapter_shape();
    let size = twin.embedding_size().unwrap() as f32;
    let product = |n_out: usize, seed: u32| {
        let (down, up) = (noise(shape.n_embd * 2, seed, 0.02), noise(2 * n_out, seed + 1, 0.05));
        let tensor = |values: &[f32], rows| {
            Tensor::from_slice(values, (rows, values.len() / rows), &Device::Cpu).unwrap()
        };
        let of_twin = TwinLowRank { down: tensor(&down, shape.n_embd), up: tensor(&up, 2) };
        (Some(of_twin), Some(LowRank::new(2, down, up).unwrap()))
    };
    let soft: Vec<Vec<f32>> = (0..3).map(|i| noise(shape.n_embd, 7 + i, size)).collect();
    let (of_twin, of_engine): (Vec<_>, Vec<_>) = (0..shape.n_layers as u32)
        .map(|layer| {
            let (query, value) =
                (product(shape.n_query, 4 * layer), product(shape.n_value, 4 * layer + 2));
            let of_twin = TwinLayerAdapter { query: query.0, value: value.0 };
            (of_twin, LayerAdapter { query: query.1, value: value.1 })
        })
        .unzip();
    let adapted = TwinAdapter {
        soft_tokens: Some(Tensor::new(soft.clone(), &Device::Cpu).unwrap()),
        layers: of_twin,
    };
    // Many tokens: the engine also quantizes what it computes with, so that single ones differ more.
    let tokens = golden().tokens;
    let (prompt, text) = tokens.split_at(16);
    let text = &text[..text.len().min(320)];
    let mut each = Vec::new();
    for (of_twin, adapter) in
        [(TwinAdapter::default(), None), (adapted, Some(Adapter::new(soft, of_engine)))]
    {
        let losses = twin.losses(prompt, text, &of_twin).unwrap();
        let by_twin = f64::from(losses.mean_all().unwrap().to_scalar::<f32>().unwrap());
        let asked = ScoreRequest {
            adapter: adapter.map(std::sync::Arc::new),
            ..ScoreRequest::new(Prompt::Tokens(prompt.to_vec()), TextToScore::Tokens(text.to_vec()))
        };
        let score = futures::executor::block_on(lm.score(asked)).unwrap().remove(0);
        let by_engine = -score.total() / text.len() as f64;
        eprintln!("mean loss: twin {by_twin:.4}, engine {by_engine:.4} nats a token");
        assert!((by_twin - by_engine).abs() < 0.01, "{by_twin} {by_engine}");
        each.push(losses.to_vec1::<f32>().unwrap());
    }
    let changed = each[0].iter().zip(&each[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(changed > 0.1, "the adapter changes {changed} nats at most");
}
