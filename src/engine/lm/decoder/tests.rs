//! The decoders against candle-transformers' models of the same families, against itself with other
//! chunk sizes, and against damaged files.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2, quantized_qwen3};

use super::*;
use crate::lm::Error;
use crate::lm::tiny::{N_TOKENS, Tiny};
use crate::model::gguf::Value;
use idiolect_kernels::Isa;
use idiolect_kernels::attention::KvPrecision;

/// Families that candle-transformers knows.
const IN_CANDLE: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// Names of all families.
fn families() -> impl Iterator<Item = &'static str> {
    DecoderFamily::ALL.into_iter().map(DecoderFamily::architecture)
}

fn load(tiny: &Tiny, precision: WeightPrecision) -> Result<CandleDecoder> {
    let options = DecoderOptions {
        device: Device::Cpu,
        precision,
        context: None,
        threads: 2,
        isa: Isa::detect(),
        kv_precision: KvPrecision::default(),
    };
    CandleDecoder::load(&tiny.gguf(), &options)
}

fn prompt(n: usize) -> Vec<u32> {
    (0..n).map(|i| (i * i * 31 + i * 7) as u32 % N_TOKENS as u32).collect()
}

/// Logits after every token; the tokens are run in chunks of these lengths.
fn logits<D: Decoder>(
    decoder: &D,
    cache: &mut KvCache<D::Layout>,
    tokens: &[u32],
    portions: &[usize],
) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    let mut at = 0;
    for portion in portions.iter().cycle() {
        if at == tokens.len() {
            return rows;
        }
        let end = (at + portion).min(tokens.len());
        let hidden = decoder
            .forward(&mut [BatchRows {
                kind: RowKind::Text,
                tokens: &tokens[at..end],
                cache,
                adapter: None,
            }])
            .unwrap();
        rows.extend(logits_of(decoder, &hidden, end - at));
        at = end;
    }
    unreachable!()
}

/// Logits after the first `n_rows` rows.
fn logits_of<D: Decoder>(decoder: &D, hidden: &D::Hidden, n_rows: usize) -> Vec<Vec<f32>> {
    let rows: Vec<u32> = (0..n_rows as u32).collect();
    let mut logits = Vec::new();
    decoder.logits(hidden, &rows, &mut logits).unwrap();
    logits.chunks(decoder.config().n_vocab).map(<[f32]>::to_vec).collect()
}

fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// candle-transformers' logits after the last token of a fresh prefill.
fn candle_logits(tiny: &Tiny, tokens: &[u32]) -> Vec<f32> {
    let device = Device::Cpu;
    let mut file = Cursor::new(tiny.bytes());
    let content = Content::read(&mut file).unwrap();
    let ids = Tensor::new(tokens, &device).unwrap().unsqueeze(0).unwrap();
    let logits = match tiny.architecture {
        "llama" => quantized_llama::ModelWeights::from_gguf(content, &mut file, &device)
            .unwrap()
            .forward(&ids, 0),
        "qwen2" => quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &device)
            .unwrap()
            .forward(&ids, 0),
        _ => quantized_qwen3::ModelWeights::from_gguf(content, &mut file, &device)
            .unwrap()
            .forward(&ids, 0),
    };
    logits.unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn the_families_equal_candle_transformers() {
    for architecture in IN_CANDLE {
        for dtype in [GgmlDType::F32, GgmlDType::Q8_0] {
            // candle's qwen3 computes its rotary tables in f16 unless the file sets another dtype.
            let values = vec![("general.dtype".to_owned(), Value::Unsigned(0))];
            let tiny = Tiny { dtype, values, ..Tiny::new(architecture) };
            let decoder = load(&tiny, WeightPrecision::Stored).unwrap();
            let tokens = prompt(37);
            let ours = logits(&decoder, &mut decoder.empty_cache(), &tokens, &[64]);
            let theirs = candle_logits(&tiny, &tokens);
            let difference = largest_difference(&ours[36..], std::slice::from_ref(&theirs));
            let spread = theirs.iter().copied().fold(0.0, f32::max);
            assert!(difference < 2e-4 && spread > 0.5, "{architecture} {dtype:?}: {difference}");
        }
    }
}

#[test]
fn portions_do_not_matter() {
    for architecture in families() {
        let tiny = Tiny { dtype: GgmlDType::F32, ..Tiny::new(architecture) };
        let decoder = load(&tiny, WeightPrecision::Stored).unwrap();
        let tokens = prompt(600);
        let whole = logits(&decoder, &mut decoder.empty_cache(), &tokens, &[600]);
        for portions in [&[1][..], &[256], &[7, 1, 300, 64]] {
            let parts = logits(&decoder, &mut decoder.empty_cache(), &tokens, portions);
            let difference = largest_difference(&whole, &parts);
            assert!(difference < 1e-4, "{architecture} {portions:?}: {difference}");
        }
    }
}

#[test]
fn quantized_weights_stay_near_their_dequantized_twin() {
    for architecture in families() {
        let tiny = Tiny::new(architecture);
        let tokens = prompt(50);
        let of = |precision| {
            let decoder = load(&tiny, precision).unwrap();
            logits(&decoder, &mut decoder.empty_cache(), &tokens, &[50])
        };
        let dense = of(WeightPrecision::Dequantized);
        // candle's operations with our products of matrices are what files of some formats get.
        for precision in [WeightPrecision::Stored, WeightPrecision::Packed] {
            let difference = largest_difference(&of(precision), &dense);
            assert!(difference < 0.1, "{architecture} {precision:?}: {difference}");
        }
        let on_kernels = all_logits(&packed(&tiny, 2, Isa::detect()), &tokens, 50);
        let difference = largest_difference(&on_kernels, &dense);
        assert!(difference < 0.1, "{architecture} on kernels: {difference}");
    }
}

#[test]
fn a_fork_that_diverges_leaves_the_original_as_it_was() {
    let decoder = load(&Tiny::new("qwen3"), WeightPrecision::Stored).unwrap();
    let tokens = prompt(300);
    let mut original = decoder.empty_cache();
    logits(&decoder, &mut original, &tokens, &[256]);

    let mut alone = decoder.empty_cache();
    logits(&decoder, &mut alone, &tokens, &[256]);
    let want = logits(&decoder, &mut alone, &[5, 6, 7], &[1]);

    let mut fork = original.fork();
    logits(&decoder, &mut fork, &[200, 201, 202, 203], &[4]);
    assert_eq!((original.len(), fork.len()), (300, 304));
    assert_eq!(logits(&decoder, &mut original, &[5, 6, 7], &[1]), want);

    // Conversely, the fork does not see the original's new tokens.
    let mut fork = alone.fork();
    fork.truncate(300);
    assert_eq!(logits(&decoder, &mut fork, &[5, 6, 7], &[1]), want);
    assert_eq!(alone.len(), 303);
}

#[test]
fn a_truncated_cache_goes_on_from_where_it_was_cut() {
    let decoder = load(&Tiny::new("llama"), WeightPrecision::Stored).unwrap();
    let tokens = prompt(520);
    let mut cache = decoder.empty_cache();
    let whole = logits(&decoder, &mut cache, &tokens, &[1]);
    assert_eq!(cache.bytes(), 3 * 256 * decoder.config().cache_bytes_per_token());
    cache.truncate(250);
    assert_eq!((cache.len(), cache.bytes()), (250, 256 * decoder.config().cache_bytes_per_token()));
    assert_eq!(logits(&decoder, &mut cache, &tokens[250..], &[1]), whole[250..]);
    cache.truncate(0);
    assert!(cache.is_empty() && cache.bytes() == 0);
}

#[test]
fn sequences_in_one_batch_do_not_touch_each_other() {
    let tiny = Tiny { dtype: GgmlDType::F32, ..Tiny::new("llama") };
    let decoder = load(&tiny, WeightPrecision::Stored).unwrap();
    let (a, b) = (prompt(20), prompt(33));
    let alone = |tokens: &[u32]| logits(&decoder, &mut decoder.empty_cache(), tokens, &[64]);
    let (mut cache_a, mut cache_b) = (decoder.empty_cache(), decoder.empty_cache());
    let hidden = decoder
        .forward(&mut [
            BatchRows { kind: RowKind::Text, tokens: &a, cache: &mut cache_a, adapter: None },
            BatchRows { kind: RowKind::Text, tokens: &b, cache: &mut cache_b, adapter: None },
        ])
        .unwrap();
    let together = logits_of(&decoder, &hidden, 53);
    assert!(largest_difference(&together[..20], &alone(&a)) < 1e-5);
    assert!(largest_difference(&together[20..], &alone(&b)) < 1e-5);
}

#[test]
fn stretched_positions_change_what_they_should() {
    let plain = Tiny { dtype: GgmlDType::F32, ..Tiny::new("llama") };
    let tokens = prompt(40);
    let of = |tiny: &Tiny| {
        let decoder = load(tiny, WeightPrecision::Stored).unwrap();
        logits(&decoder, &mut decoder.empty_cache(), &tokens, &[40])
    };
    let base = of(&plain);
    let linear = Tiny {
        values: vec![
            ("llama.rope.scaling.type".to_owned(), Value::String("linear".to_owned())),
            ("llama.rope.scaling.factor".to_owned(), Value::F32(4.0)),
        ],
        ..plain.clone()
    };
    // Dividing every frequency by 4 is the same as dividing every position by 4.
    let divisors = Tiny { rope_divisors: Some(vec![4.0; 8]), ..plain.clone() };
    let (linear, divisors) = (of(&linear), of(&divisors));
    assert_eq!(linear, divisors);
    assert!(largest_difference(&base, &linear) > 1e-3);
    let ones = Tiny { rope_divisors: Some(vec![1.0; 8]), ..plain };
    assert_eq!(of(&ones), base);
}

fn refusal(tiny: &Tiny) -> String {
    match load(tiny, WeightPrecision::Stored) {
        Ok(_) => panic!("loaded"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused_by_name() {
    let unknown = refusal(&Tiny::new("mamba"));
    assert!(unknown.contains("mamba") && unknown.contains("llama, mistral3, qwen2"), "{unknown}");
    assert!(unknown.contains("recurrent") && unknown.contains("models fetch"), "{unknown}");

    let missing = refusal(&Tiny { without: Some("blk.1.ffn_up.weight"), ..Tiny::new("llama") });
    assert!(missing.contains("blk.1.ffn_up.weight") && missing.contains("[96, 64]"), "{missing}");

    let bias = refusal(&Tiny { without: Some("blk.0.attn_k.bias"), ..Tiny::new("qwen2") });
    assert!(bias.contains("blk.0.attn_k.bias"), "{bias}");

    let with = |architecture, key: &str, value| Tiny {
        values: vec![(key.to_owned(), value)],
        ..Tiny::new(architecture)
    };
    let shape = refusal(&with("llama", "llama.feed_forward_length", Value::Unsigned(128)));
    assert!(shape.contains("[96, 64]") && shape.contains("[128, 64]"), "{shape}");

    let fewer = refusal(&with("llama", "llama.block_count", Value::Unsigned(1)));
    assert!(fewer.contains("blk.1."), "{fewer}");

    for (key, value, word) in [
        ("llama.attention.head_count", Value::Unsigned(0), "head_count"),
        ("llama.attention.head_count_kv", Value::Unsigned(3), "head_count_kv"),
        ("llama.context_length", Value::Unsigned(0), "context_length"),
        ("llama.context_length", Value::Unsigned(1 << 40), "context_length"),
        ("llama.rope.dimension_count", Value::Unsigned(8), "rope.dimension_count"),
        ("llama.rope.scaling.type", Value::String("dynamic".to_owned()), "dynamic"),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(f32::NAN), "epsilon"),
        ("llama.expert_count", Value::Unsigned(8), "experts"),
    ] {
        let message = refusal(&with("llama", key, value));
        assert!(message.contains(word), "{message}");
    }

    let spoilt =
        refusal(&Tiny { spoilt: Some(("output_norm.weight", f32::NAN)), ..Tiny::new("llama") });
    assert!(spoilt.contains("output_norm.weight") && spoilt.contains("NaN"), "{spoilt}");
}

#[test]
fn a_context_is_held_to() {
    let gguf = Tiny::new("llama").gguf();
    let with = |context| {
        let options = DecoderOptions {
            device: Device::Cpu,
            precision: WeightPrecision::Stored,
            context: Some(context),
            threads: 1,
            isa: Isa::PLAIN,
            kv_precision: KvPrecision::default(),
        };
        CandleDecoder::load(&gguf, &options)
    };
    for context in [0, 1025] {
        assert!(matches!(with(context), Err(Error::Context { most: 1024, .. })));
    }
    let decoder = with(10).unwrap();
    let mut cache = decoder.empty_cache();
    logits(&decoder, &mut cache, &prompt(8), &[8]);
    let error = decoder
        .forward(&mut [BatchRows {
            kind: RowKind::Text,
            tokens: &[1, 2, 3],
            cache: &mut cache,
            adapter: None,
        }])
        .unwrap_err();
    assert!(matches!(error, Error::TooLong { prompt: 8, max_tokens: 3, context: 10 }), "{error}");
    assert_eq!(cache.len(), 8);
    let error = decoder
        .forward(&mut [BatchRows {
            kind: RowKind::Text,
            tokens: &[9999],
            cache: &mut cache,
            adapter: None,
        }])
        .unwrap_err();
    assert!(matches!(error, Error::Token { id: 9999, .. }), "{error}");
    assert!(decoder.forward(&mut []).is_err());
}

/// Logits with chunks of `portion` tokens. The packed decoder must give the same bits for any size.
fn all_logits(decoder: &CpuDecoder, tokens: &[u32], portion: usize) -> Vec<Vec<f32>> {
    logits(decoder, &mut decoder.empty_cache(), tokens, &[portion])
}

fn packed(tiny: &Tiny, threads: usize, isa: Isa) -> CpuDecoder {
    let options = DecoderOptions {
        device: Device::Cpu,
        precision: WeightPrecision::Packed,
        context: None,
        threads,
        isa,
        kv_precision: KvPrecision::default(),
    };
    CpuDecoder::load(&tiny.gguf(), &options).unwrap()
}

#[test]
fn the_packed_pass_gives_the_same_bits_however_it_is_cut_threaded_and_computed() {
    for architecture in families() {
        let tiny = Tiny::new(architecture);
        let tokens = prompt(150);
        let whole = all_logits(&packed(&tiny, 1, Isa::detect()), &tokens, 150);
        let decoder = packed(&tiny, 2, Isa::detect());
        for portion in [1, 7, 64, 100] {
            assert_eq!(all_logits(&decoder, &tokens, portion), whole, "{architecture} {portion}");
        }
        for isa in Isa::available() {
            assert_eq!(all_logits(&packed(&tiny, 2, isa), &tokens, 33), whole, "{isa}");
        }
    }
}

#[test]
fn the_packed_pass_gives_a_sequence_the_same_bits_in_any_company() {
    for architecture in ["qwen3", "gemma3", "qwen3moe", "mistral3"] {
        the_same_bits_in_any_company(&packed(&Tiny::new(architecture), 2, Isa::detect()));
    }
}

fn the_same_bits_in_any_company(decoder: &CpuDecoder) {
    let prompts: Vec<Vec<u32>> = [1, 20, 33, 70].map(prompt).to_vec();
    let mut caches: Vec<KvCache<CpuKv>> = prompts.iter().map(|_| decoder.empty_cache()).collect();
    let mut batch: Vec<BatchRows<'_, CpuKv>> = prompts
        .iter()
        .zip(&mut caches)
        .map(|(tokens, cache)| BatchRows { kind: RowKind::Text, tokens, cache, adapter: None })
        .collect();
    let hidden = decoder.forward(&mut batch).unwrap();
    let together = logits_of(decoder, &hidden, 124);
    let mut rows = together.into_iter();
    for tokens in &prompts {
        let own: Vec<Vec<f32>> = rows.by_ref().take(tokens.len()).collect();
        assert_eq!(own, all_logits(decoder, tokens, 64));
    }
}

#[test]
fn forks_of_a_packed_cache_do_not_see_each_other() {
    let decoder = packed(&Tiny::new("llama"), 2, Isa::detect());
    let tokens = prompt(300);
    let mut original = decoder.empty_cache();
    logits(&decoder, &mut original, &tokens, &[256]);
    let mut fork = original.fork();
    let want = logits(&decoder, &mut original.fork(), &[5, 6, 7], &[1]);
    logits(&decoder, &mut fork, &[200, 201, 202, 203], &[4]);
    assert_eq!(logits(&decoder, &mut original, &[5, 6, 7], &[3]), want);
    fork.truncate(300);
    assert_eq!(logits(&decoder, &mut fork, &[5, 6, 7], &[1]), want);
    assert_eq!(original.bytes(), 5 * decoder.kv_pool().block_bytes());
    // The fork has its own fifth block; truncation removed the positions it wrote there.
    assert_eq!(decoder.kv_pool().bytes(), 6 * decoder.kv_pool().block_bytes());
    drop((original, fork));
    assert_eq!(decoder.kv_pool().bytes(), 0);
}
