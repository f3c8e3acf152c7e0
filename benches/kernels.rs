//! Speed of the linear kernels and of candle's quantized product, at the shapes of SmolLM2-135M and of
//! Qwen2.5-1.5B, on two threads.
//!
//! `cargo bench --bench kernels`; throughput is in multiply-adds (one element is two operations).
//! Restrict with a filter such as `linear/n=512`.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use idiolect::kernels::linear::{ProductRows, forward_many};
use idiolect::kernels::{Isa, PackedLinear, Pool};

/// Format, name, rows and columns of a matrix.
type Shape = (GgmlDType, &'static str, usize, usize);

/// Matrices of SmolLM2-135M in two formats.
fn small() -> impl Iterator<Item = Shape> {
    let shapes = [("q", 576, 576), ("up", 1536, 576), ("down", 576, 1536), ("head", 49152, 576)];
    [GgmlDType::Q4_1, GgmlDType::Q8_0]
        .into_iter()
        .flat_map(move |dtype| shapes.map(|(name, rows, cols)| (dtype, name, rows, cols)))
}

/// Matrices of Qwen2.5-1.5B in the formats of a Q4_K_M file.
const LARGE: [Shape; 3] = [
    (GgmlDType::Q4K, "up", 8960, 1536),
    (GgmlDType::Q4K, "down", 1536, 8960),
    (GgmlDType::Q6K, "down", 1536, 8960),
];

fn linear(criterion: &mut Criterion) {
    let pool = Pool::new(2);
    for (dtype, name, rows, cols) in small().chain(LARGE) {
        let weights = Tensor::randn(0_f32, 1.0, (rows, cols), &Device::Cpu).unwrap();
        let weights = QTensor::quantize(&weights, dtype).unwrap();
        let blocks = weights.data().unwrap().into_owned();
        let candle = QMatMul::from_qtensor(weights).unwrap();
        let mut packed =
            PackedLinear::from_blocks(&blocks, dtype, rows, cols, Isa::PLAIN, &pool).unwrap();
        for n in [1, 8, 64, 512] {
            if rows > 10_000 && n > 8 {
                continue;
            }
            let x = Tensor::randn(0_f32, 1.0, (n, cols), &Device::Cpu).unwrap();
            let flat: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            let mut y = vec![0.0; n * rows];
            let group = format!("linear/n={n}/{name}/{rows}x{cols}/{dtype:?}");
            let mut group = criterion.benchmark_group(group);
            group.throughput(Throughput::Elements((n * rows * cols) as u64));
            for isa in Isa::available() {
                packed = packed.on_isa(isa);
                let n_prompts: &[usize] = if isa.has_prompt_products() { &[0, n] } else { &[0] };
                for &n_prompt in n_prompts {
                    let name = if n_prompt > 0 { "amx, prompt" } else { isa.name() };
                    group.bench_function(name, |bencher| {
                        bencher.iter(|| {
                            let (x, rows) = (black_box(&flat), ProductRows { n, n_prompt });
                            forward_many(&[&packed], x, rows, &mut [black_box(&mut y)], &pool)
                                .unwrap();
                        });
                    });
                }
            }
            group.bench_function("candle", |bencher| {
                bencher.iter(|| black_box(candle.forward(black_box(&x)).unwrap()));
            });
        }
    }
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(600))
}

criterion_group! { name = kernels; config = settings(); targets = linear }
criterion_main!(kernels);
