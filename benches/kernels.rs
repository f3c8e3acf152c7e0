//! Speed of the linear kernels and of candle's quantized product, at the shapes of SmolLM2-135M, on
//! two threads.
//!
//! `cargo bench --bench kernels`; throughput is in multiply-adds (one element is two operations).
//! Restrict with a filter such as `linear/n=512`.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use idiolect::kernels::{Isa, PackedLinear, Pool};

/// Name, rows and columns of the matrices of the model.
const SHAPES: [(&str, usize, usize); 4] =
    [("q", 576, 576), ("up", 1536, 576), ("down", 576, 1536), ("head", 49152, 576)];

fn linear(criterion: &mut Criterion) {
    let pool = Pool::new(2);
    for dtype in [GgmlDType::Q4_1, GgmlDType::Q8_0] {
        for (name, rows, cols) in SHAPES {
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
                let mut group = criterion.benchmark_group(format!("linear/n={n}/{name}/{dtype:?}"));
                group.throughput(Throughput::Elements((n * rows * cols) as u64));
                for isa in Isa::available() {
                    packed = packed.on_isa(isa);
                    group.bench_function(isa.name(), |bencher| {
                        bencher.iter(|| {
                            packed.forward(black_box(&flat), n, black_box(&mut y), &pool).unwrap();
                        });
                    });
                }
                group.bench_function("candle", |bencher| {
                    bencher.iter(|| black_box(candle.forward(black_box(&x)).unwrap()));
                });
            }
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
