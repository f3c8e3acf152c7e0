//! Decoder speed in tokens per second: these kernels and candle's quantized products on the same
//! file, in turns.
//!
//! `IDIOLECT_TEST_LM=model.gguf cargo bench --bench decoder [-- RUNS]`. Two threads each (set
//! `RAYON_NUM_THREADS=2` for candle's). Prints median, minimum and maximum.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use idiolect::kernels::Isa;
use idiolect::kernels::attention::KvPrecision;
use idiolect::lm::decoder::{
    BatchRows, CandleDecoder, CpuDecoder, Decoder, DecoderOptions, KvCache, RowKind,
    WeightPrecision,
};
use idiolect::model::gguf::Gguf;

fn main() {
    let Ok(path) = std::env::var("IDIOLECT_TEST_LM") else {
        println!("skipped: IDIOLECT_TEST_LM names no file");
        return;
    };
    let gguf = Gguf::open(Path::new(&path)).unwrap();
    let options = |precision| DecoderOptions {
        device: Device::Cpu,
        precision,
        context: Some(8192),
        threads: 2,
        isa: Isa::detect(),
        kv_precision: KvPrecision::F16,
    };
    let start = Instant::now();
    let ours = CpuDecoder::load(&gguf, &options(WeightPrecision::Packed)).unwrap();
    println!("ours loaded in {:.2} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let candle = CandleDecoder::load(&gguf, &options(WeightPrecision::Stored)).unwrap();
    println!("candle's loaded in {:.2} s", start.elapsed().as_secs_f64());
    let runs = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5);

    println!("tokens/s: median (smallest to largest) of {runs}; ours, candle's, ratio");
    for depth in [512, 2048, 4096] {
        let few = if depth > 1000 { 1 } else { runs };
        let (name, runs) = (format!("prefill {depth}"), [runs, few]);
        row(&name, runs, || prefill_rate(&ours, depth), || prefill_rate(&candle, depth));
    }
    for depth in [0, 2048] {
        let (name, runs) = (format!("decode at {depth}"), [runs, runs]);
        let caches = (prefill(&ours, depth.max(1)), prefill(&candle, depth.max(1)));
        row(
            &name,
            runs,
            || decode_rate(&ours, &caches.0, 1, 32),
            || decode_rate(&candle, &caches.1, 1, 32),
        );
    }
    let caches = (prefill(&ours, 1), prefill(&candle, 1));
    row(
        "decode 8 together",
        [runs, runs],
        || decode_rate(&ours, &caches.0, 8, 16),
        || decode_rate(&candle, &caches.1, 8, 16),
    );
}

fn prefill_rate<D: Decoder>(decoder: &D, n: usize) -> f64 {
    rate(n, || prefill(decoder, n))
}

/// Tokens per second of `n` sequences that go on from `prompt`, over `n_tokens` forward steps after
/// the first, which warms up.
fn decode_rate<D: Decoder>(
    decoder: &D,
    prompt: &KvCache<D::Layout>,
    n: usize,
    n_tokens: usize,
) -> f64 {
    let mut caches: Vec<KvCache<D::Layout>> = (0..n).map(|_| prompt.fork()).collect();
    decode(decoder, &mut caches);
    rate(n * n_tokens, || (0..n_tokens).for_each(|_| decode(decoder, &mut caches)))
}

fn prefill<D: Decoder>(decoder: &D, n: usize) -> KvCache<D::Layout> {
    let tokens: Vec<u32> = (0..n as u32).map(|i| (i * i * 31 + i * 7) % 40_000).collect();
    let mut cache = decoder.empty_cache();
    for chunk in tokens.chunks(256) {
        let rows =
            BatchRows { tokens: chunk, kind: RowKind::Prompt, cache: &mut cache, adapter: None };
        let hidden = decoder.forward(&mut [rows]).unwrap();
        if cache.len() == n {
            let last = chunk.len() as u32 - 1;
            decoder.logits(&hidden, &[last], &mut Vec::new()).unwrap();
        }
    }
    cache
}

fn decode<D: Decoder>(decoder: &D, caches: &mut [KvCache<D::Layout>]) {
    let rows: Vec<u32> = (0..caches.len() as u32).collect();
    let mut batch: Vec<BatchRows<'_, D::Layout>> = caches
        .iter_mut()
        .map(|cache| BatchRows { tokens: &[17], kind: RowKind::Text, cache, adapter: None })
        .collect();
    let hidden = decoder.forward(&mut batch).unwrap();
    decoder.logits(&hidden, &rows, &mut Vec::new()).unwrap();
}

fn rate<T>(n_tokens: usize, work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let _result = work();
    n_tokens as f64 / start.elapsed().as_secs_f64()
}

/// Runs both decoders in turns and prints their rates.
fn row(
    name: &str,
    runs: [usize; 2],
    mut ours: impl FnMut() -> f64,
    mut candle: impl FnMut() -> f64,
) {
    let mut rates = [Vec::new(), Vec::new()];
    for run in 0..runs[0].max(runs[1]) {
        if run < runs[0] {
            rates[0].push(ours());
        }
        if run < runs[1] {
            rates[1].push(candle());
        }
    }
    let medians = rates.each_mut().map(|rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    let shown = |which: usize| {
        let rates = &rates[which];
        format!("{:7.1} ({:.1} to {:.1})", medians[which], rates[0], rates[rates.len() - 1])
    };
    println!("{name:18} {:28} {:28} {:.1}x", shown(0), shown(1), medians[0] / medians[1]);
}
