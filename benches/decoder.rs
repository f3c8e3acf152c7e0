//! Decoder speed in tokens per second: these kernels and candle's quantized products on the same
//! file, in turns.
//!
//! `IDIOLECT_TEST_LM=model.gguf cargo bench --bench decoder [-- RUNS]`. Two threads each (set
//! `RAYON_NUM_THREADS=2` for candle's). Prints median, minimum and maximum.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use idiolect::kernels::Tier;
use idiolect::kernels::attention::KvPrecision;
use idiolect::lm::decoder::{Cache, Decoder, Options, Precision, Rows};
use idiolect::model::gguf::Gguf;

fn main() {
    let Ok(path) = std::env::var("IDIOLECT_TEST_LM") else {
        println!("skipped: IDIOLECT_TEST_LM names no file");
        return;
    };
    let gguf = Gguf::open(Path::new(&path)).unwrap();
    let load = |precision| {
        let start = Instant::now();
        let options = Options {
            device: Device::Cpu,
            precision,
            context: Some(8192),
            threads: 2,
            tier: Tier::detect(),
            kv_precision: KvPrecision::F16,
        };
        let decoder = Decoder::load(&gguf, &options).unwrap();
        println!("{precision:?} loaded in {:.2} s", start.elapsed().as_secs_f64());
        decoder
    };
    let decoders = [load(Precision::Packed), load(Precision::Stored)];
    let runs = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5);

    println!("tokens/s: median (smallest to largest) of {runs}; ours, candle's, ratio");
    for depth in [512, 2048, 4096] {
        let few = if depth > 1000 { 1 } else { runs };
        row(&format!("prefill {depth}"), [runs, few], |which| {
            let decoder = &decoders[which];
            rate(depth, || prefill(decoder, depth))
        });
    }
    for depth in [0, 2048] {
        let caches = decoders.each_ref().map(|decoder| prefill(decoder, depth.max(1)));
        row(&format!("decode at {depth}"), [runs, runs], |which| {
            let mut cache = caches[which].fork();
            decode(&decoders[which], &mut [&mut cache]);
            rate(32, || (0..32).for_each(|_| decode(&decoders[which], &mut [&mut cache])))
        });
    }
    let caches = decoders.each_ref().map(|decoder| prefill(decoder, 1));
    row("decode 8 together", [runs, runs], |which| {
        let mut caches: Vec<Cache> = (0..8).map(|_| caches[which].fork()).collect();
        let mut caches: Vec<&mut Cache> = caches.iter_mut().collect();
        decode(&decoders[which], &mut caches);
        rate(8 * 16, || (0..16).for_each(|_| decode(&decoders[which], &mut caches)))
    });
}

fn prefill(decoder: &Decoder, n: usize) -> Cache {
    let tokens: Vec<u32> = (0..n as u32).map(|i| (i * i * 31 + i * 7) % 40_000).collect();
    let mut cache = decoder.cache();
    for chunk in tokens.chunks(256) {
        let hidden = decoder.forward(&mut [Rows { tokens: chunk, cache: &mut cache }]).unwrap();
        if cache.len() == n {
            decoder.logits(&hidden.narrow(0, chunk.len() - 1, 1).unwrap()).unwrap();
        }
    }
    cache
}

fn decode(decoder: &Decoder, caches: &mut [&mut Cache]) {
    let mut batch: Vec<Rows<'_>> =
        caches.iter_mut().map(|cache| Rows { tokens: &[17], cache }).collect();
    let hidden = decoder.forward(&mut batch).unwrap();
    decoder.logits(&hidden).unwrap();
}

fn rate<T>(n_tokens: usize, work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let _result = work();
    n_tokens as f64 / start.elapsed().as_secs_f64()
}

/// Runs both decoders in turns and prints their rates.
fn row(name: &str, runs: [usize; 2], mut once: impl FnMut(usize) -> f64) {
    let mut rates = [Vec::new(), Vec::new()];
    for run in 0..runs[0].max(runs[1]) {
        for which in 0..2 {
            if run < runs[which] {
                rates[which].push(once(which));
            }
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
