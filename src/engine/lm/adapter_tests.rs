//! Tests of adapters: alone, in company, with cached prefixes, and on both decoders.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use futures::executor::block_on;
use futures::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::decoder::{
    BatchRows, CandleDecoder, CpuDecoder, Decoder, DecoderOptions, RowKind, WeightPrecision,
};
use super::tiny::Tiny;
use super::{
    Adapter, AdapterShape, Error, Isa, LayerAdapter, Lm, LowRank, Prompt, Request, Sampling,
    ScoreRequest,
};
use idiolect_kernels::attention::KvPrecision;

/// A random adapter with `n_soft` soft tokens and products of rank 2.
fn adapter(shape: AdapterShape, n_soft: usize, seed: u64) -> Adapter {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values =
        |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-0.3f32..0.3)).collect() };
    let mut product =
        |n_out| Some(LowRank::new(2, values(2 * shape.n_embd), values(2 * n_out)).unwrap());
    let layers: Vec<LayerAdapter> = (0..shape.n_layers)
        .map(|_| LayerAdapter { query: product(shape.n_query), value: product(shape.n_value) })
        .collect();
    Adapter::new((0..n_soft).map(|_| values(shape.n_embd)).collect(), layers)
}

fn prompt(text: &str) -> Prompt {
    Prompt::Text(text.to_owned())
}

fn request(text: &str, adapter: Option<&Arc<Adapter>>) -> Request {
    let sampling = Sampling { temperature: 1.0, seed: 3, ..Sampling::default() };
    Request { sampling, adapter: adapter.cloned(), ..Request::new(prompt(text), 24) }
}

fn write(lm: &Lm, text: &str, adapter: Option<&Arc<Adapter>>) -> String {
    block_on(lm.generate(request(text, adapter))).unwrap().text
}

fn bits(lm: &Lm, text: &str, adapter: Option<&Arc<Adapter>>) -> Vec<u32> {
    let asked = ScoreRequest {
        adapter: adapter.cloned(),
        ..ScoreRequest::new(prompt(text), "a text that is scored")
    };
    let score = block_on(lm.score(asked)).unwrap().remove(0);
    score.logprobs.iter().map(|logprob| logprob.to_bits()).collect()
}

const LONG: &str = "A prompt that many requests begin with, so long that it fills a block of keys and \
                    values and some of the next one, whatever adapter reads it.";

#[test]
fn adapters_in_company_and_with_cached_prefixes_give_the_same_bytes() {
    for architecture in ["llama", "qwen2", "gemma3"] {
        let fresh = || Tiny::new(architecture).lm();
        let shape = fresh().adapter_shape();
        let adapters: Vec<Option<Arc<Adapter>>> = vec![
            None,
            Some(Arc::new(adapter(shape, 0, 1))),
            Some(Arc::new(adapter(shape, 3, 2))),
            Some(Arc::new(adapter(shape, 3, 3))),
        ];
        // Each by an engine that has seen nothing else.
        let alone: Vec<String> =
            adapters.iter().map(|adapter| write(&fresh(), LONG, adapter.as_ref())).collect();
        let alone_bits: Vec<Vec<u32>> =
            adapters.iter().map(|adapter| bits(&fresh(), LONG, adapter.as_ref())).collect();
        for (i, text) in alone.iter().enumerate() {
            assert!(!alone[..i].contains(text), "{architecture}: two adapters write {text:?}");
        }
        let lm = fresh();
        for round in 0..3 {
            let all = adapters.iter().map(|adapter| lm.generate(request(LONG, adapter.as_ref())));
            let together = block_on(join_all(all));
            for (text, alone) in together.into_iter().zip(&alone) {
                assert_eq!(text.unwrap().text, *alone, "{architecture}, round {round}");
            }
            for (adapter, alone) in adapters.iter().zip(&alone_bits) {
                assert_eq!(bits(&lm, LONG, adapter.as_ref()), *alone, "{architecture}");
            }
        }
        assert!(lm.stats().reused_tokens > 0, "{architecture}: no prefix was reused");
    }
}

#[test]
fn an_adapter_that_adds_nothing_changes_nothing() {
    let lm = Tiny::new("llama").lm();
    let shape = lm.adapter_shape();
    let zero =
        |n_out: usize| Some(LowRank::new(1, vec![0.5; shape.n_embd], vec![0.0; n_out]).unwrap());
    let layer = LayerAdapter { query: zero(shape.n_query), value: zero(shape.n_value) };
    for layers in [Vec::new(), vec![layer; shape.n_layers]] {
        let nothing = Arc::new(Adapter::new(Vec::new(), layers));
        assert_eq!(bits(&lm, LONG, Some(&nothing)), bits(&lm, LONG, None));
        assert_eq!(write(&lm, LONG, Some(&nothing)), write(&lm, LONG, None));
    }
}

#[test]
fn a_soft_token_with_the_values_of_an_embedding_is_that_token() {
    let tiny = Tiny { dtype: GgmlDType::F32, ..Tiny::new("llama") };
    let lm = tiny.lm();
    let table = tiny.gguf().qtensor("token_embd.weight", &Device::Cpu).unwrap();
    let table = table.dequantize(&Device::Cpu).unwrap();
    let embedding = table.get(65).unwrap().to_vec1::<f32>().unwrap();
    let soft = Arc::new(Adapter::new(vec![embedding], Vec::new()));
    let score = |prompt: &[u32], adapter: Option<&Arc<Adapter>>| {
        let asked = ScoreRequest {
            adapter: adapter.cloned(),
            ..ScoreRequest::new(Prompt::Tokens(prompt.to_vec()), "some text")
        };
        block_on(lm.score(asked)).unwrap().remove(0).logprobs
    };
    assert_eq!(score(&[66, 67], Some(&soft)), score(&[65, 66, 67], None));
    assert_ne!(score(&[66, 67], None), score(&[65, 66, 67], None));
    let completion = block_on(lm.generate(Request {
        adapter: Some(soft),
        ..Request::new(Prompt::Tokens(vec![66, 67]), 4)
    }));
    assert_eq!(completion.unwrap().prompt_tokens, 3);
}

#[test]
fn both_decoders_agree() {
    for architecture in ["llama", "qwen3"] {
        let tiny = Tiny { dtype: GgmlDType::F32, ..Tiny::new(architecture) };
        let options = DecoderOptions {
            device: Device::Cpu,
            precision: WeightPrecision::Dequantized,
            context: None,
            threads: 2,
            isa: Isa::detect(),
            kv_precision: KvPrecision::default(),
        };
        let cpu = CpuDecoder::load(&tiny.gguf(), &options).unwrap();
        let candle = CandleDecoder::load(&tiny.gguf(), &options).unwrap();
        let shape = AdapterShape::of(cpu.config());
        let first = cpu.config().n_vocab as u32;
        let (one, other) = (adapter(shape, 2, 1), adapter(shape, 0, 2));
        let [a, b, c] = [&[first, first + 1, 5, 6, 7][..], &[5, 6, 7, 8], &[9, 8, 7]];
        let rows = |hidden: &dyn Fn(&[u32], &mut Vec<f32>)| {
            let mut logits = Vec::new();
            hidden(&[4, 8, 11], &mut logits);
            logits
        };
        let of_cpu = {
            let (mut x, mut y, mut z) = (cpu.empty_cache(), cpu.empty_cache(), cpu.empty_cache());
            let kind = RowKind::Text;
            let hidden = cpu.forward(&mut [
                BatchRows { tokens: a, kind, cache: &mut x, adapter: Some(&one) },
                BatchRows { tokens: b, kind, cache: &mut y, adapter: Some(&other) },
                BatchRows { tokens: c, kind, cache: &mut z, adapter: None },
            ]);
            let hidden = hidden.unwrap();
            rows(&|rows, logits| cpu.logits(&hidden, rows, logits).unwrap())
        };
        let of_candle = {
            let (mut x, mut y, mut z) =
                (candle.empty_cache(), candle.empty_cache(), candle.empty_cache());
            let kind = RowKind::Text;
            let hidden = candle.forward(&mut [
                BatchRows { tokens: a, kind, cache: &mut x, adapter: Some(&one) },
                BatchRows { tokens: b, kind, cache: &mut y, adapter: Some(&other) },
                BatchRows { tokens: c, kind, cache: &mut z, adapter: None },
            ]);
            let hidden = hidden.unwrap();
            rows(&|rows, logits| candle.logits(&hidden, rows, logits).unwrap())
        };
        let off = of_cpu.iter().zip(&of_candle).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Keys and values of the kernels are f16.
        assert!(off < 2e-2, "{architecture}: {off}");
    }
}

#[test]
fn adapters_of_other_models_are_refused() {
    let lm = Tiny::new("llama").lm();
    let shape = lm.adapter_shape();
    let refused = |adapter: Adapter| {
        let asked = Request { adapter: Some(Arc::new(adapter)), ..request("Say", None) };
        block_on(lm.generate(asked)).unwrap_err()
    };
    let is_shape = |error| matches!(error, Error::Adapter { .. });
    assert!(is_shape(refused(Adapter::new(vec![vec![0.0; shape.n_embd + 1]], Vec::new()))));
    assert!(is_shape(refused(Adapter::new(Vec::new(), vec![LayerAdapter::default()]))));
    let product = |n_in, n_out| Some(LowRank::new(1, vec![0.0; n_in], vec![0.0; n_out]).unwrap());
    for (query, value) in [
        (product(shape.n_embd + 1, shape.n_query), None),
        (product(shape.n_embd, shape.n_query + 1), None),
        (None, product(shape.n_embd, shape.n_value + 1)),
    ] {
        let layers = vec![LayerAdapter { query, value }; shape.n_layers];
        assert!(is_shape(refused(Adapter::new(Vec::new(), layers))));
    }
    let odd = Adapter::new(vec![vec![f32::NAN; shape.n_embd]], Vec::new());
    assert!(matches!(refused(odd), Error::AdapterValue));
    // It goes on working.
    assert!(!write(&lm, "Say", None).is_empty());
    // An id of a soft token is none without an adapter.
    let id = 288;
    let unknown = Request { prompts: vec![Prompt::Tokens(vec![id])], ..request("Say", None) };
    assert!(matches!(block_on(lm.generate(unknown)), Err(Error::Token { .. })));
}
