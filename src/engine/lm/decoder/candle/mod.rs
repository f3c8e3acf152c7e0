//! A decoder whose layers are candle operations, on any device.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::cache::KvPool;
use super::config::DecoderConfig;
use super::interface::{BatchRows, Decoder, DecoderOptions, WeightPrecision, segments};
use super::rope::{LayerRopes, RopeTables};
use super::weights::{DecoderWeights, Kernels};
use crate::lm::Result;
use crate::model::gguf::Gguf;
use idiolect_kernels::Pool;

mod attention;
mod feed_forward;
mod kv;
mod layer;
mod rope;
mod weights;

pub use kv::CandleKv;

use attention::{Mask, soft_cap};
use layer::{CandleStep, LayerMasks};
use rope::CandleRope;
use weights::CandleForm;

/// A decoder whose layers are candle operations. Sums depend on the shape of the batch, so results
/// are equal to rounding only.
pub struct CandleDecoder {
    config: DecoderConfig,
    device: Device,
    weights: DecoderWeights<CandleForm>,
    ropes: LayerRopes<CandleRope>,
    kv_pool: Arc<KvPool<CandleKv>>,
}

impl CandleDecoder {
    /// Loads config and weights. If [`WeightPrecision::Packed`] is asked for on the CPU, matrices
    /// that have a kernel are multiplied by it.
    ///
    /// # Errors
    /// As [`load`](super::load).
    pub fn load(gguf: &Gguf, options: &DecoderOptions) -> Result<Self> {
        let config = DecoderConfig::from_gguf(gguf)?.with_context(options.context)?;
        let (device, precision) = (options.device.clone(), options.precision);
        let packs = device.is_cpu() && precision == WeightPrecision::Packed;
        let form = CandleForm { precision, kernels: packs.then(|| Kernels::new(options)) };
        let weights = DecoderWeights::load(gguf, &config, &form, &device)?;
        let tables = RopeTables::new(&config.rope(), weights.rope_divisors.as_deref());
        let local = config.local_rope().map(|settings| RopeTables::new(&settings, None));
        let ropes = LayerRopes {
            global: CandleRope::new(&tables, &device)?,
            local: local.map(|tables| CandleRope::new(&tables, &device)).transpose()?,
        };
        let kv_pool = Arc::new(KvPool::new(CandleKv::new(&config, &device)));
        Ok(Self { config, device, weights, ropes, kv_pool })
    }

    /// The masks of `n_rows` new positions from `start` on.
    fn masks(&self, start: usize, n_rows: usize) -> candle_core::Result<LayerMasks> {
        let causal = |window| Mask::causal(start, n_rows, window, &self.device);
        let window = self.config.layers.iter().find_map(|layer| layer.window);
        let windowed = window.map(|window| causal(Some(window))).transpose()?;
        Ok(LayerMasks { open: causal(None)?, windowed })
    }
}

impl Decoder for CandleDecoder {
    type Layout = CandleKv;
    type Hidden = Tensor;

    fn config(&self) -> &DecoderConfig {
        &self.config
    }

    fn kv_pool(&self) -> &Arc<KvPool<CandleKv>> {
        &self.kv_pool
    }

    fn forward(&self, batch: &mut [BatchRows<'_, CandleKv>]) -> Result<Tensor> {
        let (input, segments) = segments(&self.config, batch)?;
        let masks = segments.iter().map(|segment| self.masks(segment.start, segment.n_rows));
        let masks = masks.collect::<candle_core::Result<_>>()?;
        let mut x = scaled(
            self.weights.embedding.tensor(&input.ids, &self.device)?,
            self.config.embedding_factor,
        )?;
        for (row, values) in &input.soft {
            let values = Tensor::from_slice(values, (1, values.len()), &self.device)?;
            x = x.slice_scatter0(&values, *row)?;
        }
        let mut step = CandleStep { config: &self.config, ropes: &self.ropes, segments, masks };
        for (index, layer) in self.weights.layers.iter().enumerate() {
            x = step.run_layer(index, layer, &x)?;
        }
        for segment in step.segments {
            segment.cache.advance(segment.n_rows);
        }
        Ok(x)
    }

    fn logits(&self, hidden: &Tensor, rows: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        let wanted = Tensor::new(rows, hidden.device())?;
        let hidden = self.weights.norm.forward(&hidden.index_select(&wanted, 0)?)?;
        let scores = scaled(self.weights.head.forward(&hidden)?, self.config.logit_factor)?;
        let scores = match self.config.logit_cap {
            Some(cap) => soft_cap(&scores, cap)?,
            None => scores,
        };
        *logits = scores.flatten_all()?.to_vec1()?;
        Ok(())
    }

    fn states(&self, hidden: &Tensor, rows: &[u32], states: &mut Vec<f32>) -> Result<()> {
        let wanted = Tensor::new(rows, hidden.device())?;
        let normed = self.weights.norm.forward(&hidden.index_select(&wanted, 0)?)?;
        *states = normed.flatten_all()?.to_vec1()?;
        Ok(())
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn pool(&self) -> Option<&Pool> {
        None
    }
}

fn scaled(x: Tensor, factor: f32) -> candle_core::Result<Tensor> {
    if factor == 1.0 { Ok(x) } else { x * f64::from(factor) }
}
