//! A decoder whose layers run on our own kernels, without tensors between them.
//!
//! Each row's result depends on its own sequence only, bit for bit: not on the other rows of the
//! batch, on how a prompt was split into chunks, on the number of threads or on the instruction
//! set. With matrix tiles (AMX), prompts are computed in bf16; so bits depend on where the prompt
//! ends, and are those of this instruction set.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Error};

use super::cache::KvPool;
use super::config::DecoderConfig;
use super::interface::{BatchRows, Decoder, DecoderOptions, RowKind, segments};
use super::rope::{LayerRopes, RopeTables};
use super::weights::{DecoderWeights, Kernels};
use crate::lm::Result;
use crate::model::gguf::Gguf;
use idiolect_kernels::attention::KvShape;
use idiolect_kernels::elementwise::soft_cap;
use idiolect_kernels::linear::ProductRows;
use idiolect_kernels::{PackedLinear, Pool};

mod feed_forward;
mod kv;
mod layer;
mod weights;

pub use kv::CpuKv;

use layer::{Buffers, CpuStep};
use weights::CpuForm;

/// A decoder on our own kernels. It ignores the device and the weight precision of the options.
pub struct CpuDecoder {
    config: DecoderConfig,
    weights: DecoderWeights<CpuForm>,
    ropes: LayerRopes<RopeTables>,
    shape: KvShape,
    kernels: Kernels,
    kv_pool: Arc<KvPool<CpuKv>>,
    /// Kept between forward steps, since a fresh allocation costs more than the work done in it.
    buffers: Mutex<Buffers>,
}

impl CpuDecoder {
    /// Whether the formats of all matrices of the file have kernels. The embedding table needs none
    /// if the output head is another matrix.
    #[must_use]
    pub fn supports(gguf: &Gguf) -> bool {
        let has_head = gguf.tensor("output.weight").is_some();
        gguf.tensor_names()
            .filter(|name| !(has_head && *name == "token_embd.weight"))
            .filter_map(|name| gguf.tensor(name))
            .filter(|tensor| tensor.shape.len() >= 2)
            .all(|tensor| PackedLinear::supports(tensor.dtype))
    }

    /// Loads config and weights.
    ///
    /// # Errors
    /// As [`load`](super::load); also if the format of a matrix has no kernel.
    pub fn load(gguf: &Gguf, options: &DecoderOptions) -> Result<Self> {
        let config = DecoderConfig::from_gguf(gguf)?.with_context(options.context)?;
        let kernels = Kernels::new(options);
        let form = CpuForm(kernels.clone());
        let weights = DecoderWeights::load(gguf, &config, &form, &Device::Cpu)?;
        let ropes = LayerRopes {
            global: RopeTables::new(&config.rope(), weights.rope_divisors.as_deref()),
            local: config.local_rope().map(|settings| RopeTables::new(&settings, None)),
        };
        let shape = config.kv_shape(options.kv_precision);
        let kv_pool = Arc::new(KvPool::new(CpuKv { n_layers: config.n_layers, shape }));
        let buffers = Mutex::default();
        Ok(Self { config, weights, ropes, shape, kernels, kv_pool, buffers })
    }
}

impl Decoder for CpuDecoder {
    type Layout = CpuKv;
    type Hidden = Vec<f32>;

    fn config(&self) -> &DecoderConfig {
        &self.config
    }

    fn kv_pool(&self) -> &Arc<KvPool<CpuKv>> {
        &self.kv_pool
    }

    fn forward(&self, batch: &mut [BatchRows<'_, CpuKv>]) -> Result<Vec<f32>> {
        let prompts = batch.iter().filter(|rows| rows.kind == RowKind::Prompt);
        let n_prompt = prompts.map(|rows| rows.tokens.len()).sum();
        let (input, segments) = segments(&self.config, batch)?;
        let mut x = self.weights.embedding.rows(&input.ids)?;
        scale(&mut x, self.config.embedding_factor);
        for (row, values) in &input.soft {
            x[row * self.config.n_embd..][..self.config.n_embd].copy_from_slice(values);
        }
        let mut step = CpuStep {
            config: &self.config,
            shape: self.shape,
            ropes: &self.ropes,
            isa: self.kernels.isa,
            pool: &self.kernels.pool,
            rows: ProductRows { n: input.ids.len(), n_prompt },
            segments,
            buffers: &mut self.buffers.lock().unwrap_or_else(PoisonError::into_inner),
        };
        for (index, layer) in self.weights.layers.iter().enumerate() {
            step.run_layer(index, layer, &mut x)?;
        }
        for segment in step.segments {
            segment.cache.advance(segment.n_rows);
        }
        Ok(x)
    }

    fn logits(&self, hidden: &Vec<f32>, rows: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        let (isa, pool) = (self.kernels.isa, &self.kernels.pool);
        let head = &self.weights.head;
        let mut normed = Vec::new();
        self.states(hidden, rows, &mut normed)?;
        logits.resize(rows.len() * head.rows(), 0.0);
        head.forward(&normed, rows.len(), logits, pool).map_err(Error::wrap)?;
        scale(logits, self.config.logit_factor);
        if let Some(cap) = self.config.logit_cap {
            soft_cap(logits, cap, isa, pool);
        }
        Ok(())
    }

    fn states(&self, hidden: &Vec<f32>, rows: &[u32], states: &mut Vec<f32>) -> Result<()> {
        let (isa, pool) = (self.kernels.isa, &self.kernels.pool);
        let width = self.config.n_embd;
        states.resize(rows.len() * width, 0.0);
        for (row, state) in rows.iter().zip(states.chunks_exact_mut(width)) {
            let hidden = &hidden[*row as usize * width..][..width];
            self.weights.norm.forward(hidden, state, isa, pool)?;
        }
        Ok(())
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn separates_prompts(&self) -> bool {
        self.kernels.isa.has_prompt_products()
    }

    fn pool(&self) -> Option<&Pool> {
        Some(&self.kernels.pool)
    }
}

fn scale(x: &mut [f32], factor: f32) {
    if factor != 1.0 {
        x.iter_mut().for_each(|x| *x *= factor);
    }
}
