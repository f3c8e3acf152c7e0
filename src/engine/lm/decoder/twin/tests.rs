#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use candle_core::Var;
use candle_core::quantized::GgmlDType;
use futures::executor::block_on;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::lm::decoder::DecoderFamily;
use crate::lm::tiny::{N_TOKENS, Tiny};
use crate::lm::{Adapter, LayerAdapter, LowRank, Prompt, ScoreRequest, TextToScore};

const N_SOFT: usize = 3;
const RANK: usize = 2;

/// Families without experts.
fn dense() -> impl Iterator<Item = &'static str> {
    DecoderFamily::ALL.into_iter().filter(|family| !family.has_experts()).map(|f| f.architecture())
}

fn tiny(architecture: &'static str) -> Tiny {
    Tiny { dtype: GgmlDType::F32, ..Tiny::new(architecture) }
}

fn tokens(n: usize, of: usize) -> Vec<u32> {
    (0..n).map(|i| ((i * i * 31 + i * of) % N_TOKENS) as u32).collect()
}

/// Random parameters of an adapter: soft tokens, then two factors for queries and two for values of each
/// layer.
fn parameters(shape: AdapterShape) -> Vec<Var> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut var = |rows: usize, columns: usize| {
        let n = rows * columns;
        let values: Vec<f32> = (0..n).map(|_| random.random_range(-0.3f32..0.3)).collect();
        Var::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    };
    let mut all = vec![var(N_SOFT, shape.n_embd)];
    for _ in 0..shape.n_layers {
        for n_out in [shape.n_query, shape.n_value] {
            all.extend([var(shape.n_embd, RANK), var(RANK, n_out)]);
        }
    }
    all
}

fn of_twin(parameters: &[Var]) -> TwinAdapter {
    let tensor = |var: &Var| var.as_tensor().clone();
    let product =
        |factors: &[Var]| Some(TwinLowRank { down: tensor(&factors[0]), up: tensor(&factors[1]) });
    TwinAdapter {
        soft_tokens: Some(tensor(&parameters[0])),
        layers: parameters[1..]
            .chunks(4)
            .map(|layer| TwinLayerAdapter {
                query: product(&layer[..2]),
                value: product(&layer[2..]),
            })
            .collect(),
    }
}

fn of_engine(parameters: &[Var]) -> Adapter {
    let values = |var: &Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let product = |factors: &[Var]| {
        Some(LowRank::new(RANK, values(&factors[0]), values(&factors[1])).unwrap())
    };
    let layers = parameters[1..]
        .chunks(4)
        .map(|layer| LayerAdapter { query: product(&layer[..2]), value: product(&layer[2..]) });
    let soft = parameters[0].as_tensor().to_vec2::<f32>().unwrap();
    Adapter::new(soft, layers.collect())
}

#[test]
fn the_losses_are_those_of_the_engine_in_every_family() {
    let (prompt, text) = (tokens(40, 7), tokens(21, 11));
    for architecture in dense() {
        let tiny = tiny(architecture);
        let (twin, lm) = (Twin::load(&tiny.gguf(), &Device::Cpu).unwrap(), tiny.lm());
        assert_eq!(twin.adapter_shape(), lm.adapter_shape());
        let parameters = parameters(twin.adapter_shape());
        let adapters = [
            (TwinAdapter::default(), None),
            (of_twin(&parameters), Some(Arc::new(of_engine(&parameters)))),
        ];
        for (of_twin, adapter) in adapters {
            let losses = twin.losses(&prompt, &text, &of_twin).unwrap().to_vec1::<f32>().unwrap();
            let asked = ScoreRequest {
                adapter,
                ..ScoreRequest::new(
                    Prompt::Tokens(prompt.clone()),
                    TextToScore::Tokens(text.clone()),
                )
            };
            let score = block_on(lm.score(asked)).unwrap().remove(0);
            for (loss, logprob) in losses.iter().zip(&score.logprobs) {
                // The engine's keys and values are f16.
                assert!((loss + logprob).abs() < 2e-2, "{architecture}: {loss} {logprob}");
            }
        }
    }
}

#[test]
fn the_gradients_are_those_of_differences() {
    for architecture in ["llama", "qwen2", "qwen3", "gemma2"] {
        let twin = Twin::load(&tiny(architecture).gguf(), &Device::Cpu).unwrap();
        let parameters = parameters(twin.adapter_shape());
        let loss = || {
            let losses = twin.losses(&tokens(9, 7), &tokens(14, 3), &of_twin(&parameters)).unwrap();
            losses.sum_all().unwrap()
        };
        let gradients = loss().backward().unwrap();
        for (number, var) in parameters.iter().enumerate() {
            let gradient = gradients.get(var).unwrap().flatten_all().unwrap();
            let gradient = gradient.to_vec1::<f32>().unwrap();
            // Along the gradient, the loss rises by its length.
            let length = gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let before = var.as_tensor().copy().unwrap();
            let step = 2e-2 / length;
            let at = |sign: f64| {
                let direction = gradients.get(var).unwrap();
                var.set(&(&before + (direction * (sign * step)).unwrap()).unwrap()).unwrap();
                f64::from(loss().to_scalar::<f32>().unwrap())
            };
            let rise = (at(1.0) - at(-1.0)) / (2.0 * step * length);
            var.set(&before).unwrap();
            assert!(length > 0.0, "{architecture}, parameter {number}: no gradient");
            let off = (rise - length).abs();
            assert!(off < 0.05 * length + 1e-3, "{architecture} {number}: {rise} {length}");
        }
    }
}

#[test]
fn embeddings_have_a_size_and_wrong_input_is_refused() {
    let tiny = tiny("llama");
    let twin = Twin::load(&tiny.gguf(), &Device::Cpu).unwrap();
    let rows =
        twin.weights.embedding.tensor(&(0..288).collect::<Vec<u32>>(), &Device::Cpu).unwrap();
    let values = rows.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mean = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / values.len() as f64;
    assert!((twin.embedding_size().unwrap() - mean.sqrt()).abs() < 1e-5);

    let plain = TwinAdapter::default();
    assert!(twin.losses(&[], &[1], &plain).is_err());
    assert!(twin.losses(&[1], &[], &plain).is_err());
    assert!(twin.losses(&[9999], &[1], &plain).is_err());
    assert!(twin.losses(&[1], &[9999], &plain).is_err());
    assert!(twin.losses(&tokens(1000, 7), &tokens(60, 7), &plain).is_err());
    assert!(Twin::load(&Tiny::new("qwen3moe").gguf(), &Device::Cpu).is_err());
}
