//! The nets: what is known of a user to an adapter.
//!
//! Shapes: D values of a text's vector, n past texts, E the width of the language model, m soft tokens, L
//! layers, K products of rank r.

use candle_core::{D, Device, Tensor};
use idiolect_engine::lm::decoder::{TwinAdapter, TwinLayerAdapter, TwinLowRank};
use idiolect_engine::lm::{Adapter, AdapterShape, LayerAdapter, LowRank};

use super::vectors::UserVectors;
use super::{AdapterNetKind, AdapterSettings};
use crate::{Error, NetParameters, ParameterSpec, ParameterStart, Result};

/// Width of the gate's hidden layer, as the authors of RecLoRA have it.
const GATE: usize = 60;
/// The gate's logits are divided by it before the softmax.
const TEMPERATURE: f64 = 2.0;
/// Products are multiplied by this number over their rank (`alpha` of LoRA).
const ALPHA: f64 = 8.0;

/// A net that makes adapters.
#[derive(Debug, Clone)]
pub(super) struct AdapterNet {
    pub(super) parameters: NetParameters,
    kind: AdapterNetKind,
    shape: AdapterShape,
    n_soft: usize,
    n_products: usize,
    rank: usize,
    /// Size of the soft tokens' values.
    size: f64,
}

impl AdapterNet {
    /// A net with first values, for vectors of `n_values` and a language model of `shape`. `size`: root mean
    /// square of the values of its input embeddings.
    pub(super) fn new(
        settings: &AdapterSettings,
        n_values: usize,
        (shape, size): (AdapterShape, f64),
        device: &Device,
    ) -> Result<Self> {
        let AdapterSettings { kind, n_soft, n_products, rank, seed, .. } = *settings;
        let AdapterShape { n_layers, n_embd, n_query, n_value } = shape;
        let specs = match kind {
            AdapterNetKind::Pplug => vec![
                ParameterSpec::weight("in.w", n_values, n_embd),
                ParameterSpec::bias("in.b", n_embd),
                ParameterSpec::weight("out.w", n_embd, n_soft * n_embd),
                ParameterSpec::bias("out.b", n_soft * n_embd),
                ParameterSpec {
                    name: "instruction",
                    shape: vec![1, n_embd],
                    start: ParameterStart::Uniform(0.5),
                },
            ],
            AdapterNetKind::Reclora => {
                let down = |name| ParameterSpec {
                    name,
                    shape: vec![n_layers, n_products, n_embd * rank],
                    start: ParameterStart::Uniform(1.0 / (n_embd as f32).sqrt()),
                };
                let up = |name, n_out: usize| ParameterSpec {
                    name,
                    shape: vec![n_layers, n_products, rank * n_out],
                    start: ParameterStart::Zeros,
                };
                vec![
                    ParameterSpec::weight("gate1.w", n_values, GATE),
                    ParameterSpec::bias("gate1.b", GATE),
                    ParameterSpec::weight("gate2.w", GATE, 2 * n_layers * n_products),
                    ParameterSpec::bias("gate2.b", 2 * n_layers * n_products),
                    down("query.down"),
                    up("query.up", n_query),
                    down("value.down"),
                    up("value.up", n_value),
                ]
            }
        };
        let parameters = NetParameters::new(specs, seed, device)?;
        Ok(Self { parameters, kind, shape, n_soft, n_products, rank, size })
    }

    /// The adapter of a user; `uniform` mixes all products alike.
    pub(super) fn adapter(&self, user: &UserVectors, uniform: bool) -> Result<TwinAdapter> {
        let (rows, weights) = user.tensors(self.parameters.vars()[0].device())?;
        match self.kind {
            AdapterNetKind::Pplug => self.soft_tokens(&rows, &weights),
            AdapterNetKind::Reclora => self.mixed(&weights.matmul(&rows)?, uniform),
        }
    }

    /// `x` times a weight and plus a bias.
    fn linear(&self, x: &Tensor, weight: &str, bias: &str) -> Result<Tensor> {
        Ok(x.matmul(self.parameters.get(weight))?.broadcast_add(self.parameters.get(bias))?)
    }

    /// The learnt token, then the user's: each past text through the net, and the weighted sum.
    fn soft_tokens(&self, rows: &Tensor, weights: &Tensor) -> Result<TwinAdapter> {
        let hidden = self.linear(rows, "in.w", "in.b")?.gelu()?;
        let of_texts = self.linear(&hidden, "out.w", "out.b")?;
        let of_user = weights.matmul(&of_texts)?.reshape((self.n_soft, self.shape.n_embd))?;
        let tokens = Tensor::cat(&[self.parameters.get("instruction"), &of_user], 0)?;
        let soft_tokens = Some((tokens * self.size)?);
        Ok(TwinAdapter { soft_tokens, layers: Vec::new() })
    }

    /// The products of each layer, mixed by the gate: factors first. `user`: `[1, D]`.
    fn mixed(&self, user: &Tensor, uniform: bool) -> Result<TwinAdapter> {
        let AdapterShape { n_layers, n_embd, n_query, n_value } = self.shape;
        let (k, rank) = (self.n_products, self.rank);
        // [L, 2, K]
        let gates = match uniform {
            true => {
                let shares = vec![1.0 / k as f32; 2 * n_layers * k];
                Tensor::from_vec(shares, (n_layers, 2, k), user.device())?
            }
            false => {
                let hidden = self.linear(user, "gate1.w", "gate1.b")?.relu()?;
                let logits = (self.linear(&hidden, "gate2.w", "gate2.b")? / TEMPERATURE)?;
                softmax(&logits.reshape((n_layers, 2, k))?)?
            }
        };
        let part = |at: usize, down: &str, up: &str, n_out: usize| -> Result<[Tensor; 2]> {
            let gate = gates.narrow(1, at, 1)?.contiguous()?;
            let down = gate.matmul(self.parameters.get(down))?.reshape((n_layers, n_embd, rank))?;
            let up = gate.matmul(self.parameters.get(up))?.reshape((n_layers, rank, n_out))?;
            Ok([down, (up * (ALPHA / rank as f64))?])
        };
        let query = part(0, "query.down", "query.up", n_query)?;
        let value = part(1, "value.down", "value.up", n_value)?;
        let layers = (0..n_layers).map(|layer| {
            let of = |[down, up]: &[Tensor; 2]| -> Result<Option<TwinLowRank>> {
                Ok(Some(TwinLowRank { down: down.get(layer)?, up: up.get(layer)? }))
            };
            Ok(TwinLayerAdapter { query: of(&query)?, value: of(&value)? })
        });
        Ok(TwinAdapter { soft_tokens: None, layers: layers.collect::<Result<_>>()? })
    }
}

/// The values of an adapter, as the engine takes them.
pub(super) fn values_of(adapter: &TwinAdapter) -> Result<Adapter> {
    let soft_tokens = match &adapter.soft_tokens {
        Some(tokens) => tokens.to_vec2::<f32>()?,
        None => Vec::new(),
    };
    let product = |product: &Option<TwinLowRank>| -> Result<Option<LowRank>> {
        let Some(TwinLowRank { down, up }) = product else { return Ok(None) };
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let made = LowRank::new(down.dim(1)?, values(down)?, values(up)?);
        made.map(Some).map_err(|error| Error::Tensor(candle_core::Error::wrap(error)))
    };
    let layers = adapter.layers.iter().map(|layer| {
        Ok(LayerAdapter { query: product(&layer.query)?, value: product(&layer.value)? })
    });
    Ok(Adapter::new(soft_tokens, layers.collect::<Result<_>>()?))
}

/// Softmax over the last dimension.
fn softmax(x: &Tensor) -> Result<Tensor> {
    // The greatest value cancels, so no gradient runs through it.
    let powers = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    Ok(powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?)
}
