//! Decoders of several families ([`DecoderFamily`]): token ids and KV caches in, logits out.
//!
//! [`Decoder`] is the interface. [`CpuDecoder`] runs whole layers on our own kernels.
//! [`CandleDecoder`] runs them as candle operations: on GPUs, for files whose formats have no
//! kernel, and as the reference in tests. [`load`] chooses. Each has its own layout of the KV cache;
//! configuration, reading of weights, rotary tables and sharing of KV blocks are common to both. [`Twin`]
//! gives gradients, for training.

use super::Result;
use crate::model::gguf::Gguf;

mod cache;
mod candle;
mod config;
mod cpu;
mod experts;
mod family;
mod interface;
mod metadata;
mod rope;
mod twin;
mod unsupported;
mod weight_reader;
mod weights;

pub(super) use cache::SharedKvBlock;
pub use cache::{KvCache, KvLayout, KvPool};
pub use candle::{CandleDecoder, CandleKv};
pub use config::{DecoderConfig, ExpertCounts, LayerAttention, QueryGrowth};
pub use cpu::{CpuDecoder, CpuKv};
pub use family::{
    BiasPlacement, DecoderFamily, GateActivation, NormPlacement, QueryKeyNorm, WindowedLayers,
};
pub use interface::{BatchRows, Decoder, DecoderOptions, RowKind, WeightPrecision};
pub use rope::{LayerRotation, RopeScaling};
pub use twin::{Twin, TwinAdapter, TwinLayerAdapter, TwinLowRank};

/// A decoder of either implementation, as [`load`] returns it.
pub enum LoadedDecoder {
    /// On our own kernels.
    Cpu(Box<CpuDecoder>),
    /// On candle.
    Candle(Box<CandleDecoder>),
}

/// Loads the decoder that suits the device, the options and the formats of the file: the
/// [`CpuDecoder`] wherever it can run.
///
/// # Errors
/// The architecture is unknown, a tensor is missing or does not have the shape that the metadata
/// give, or the requested context is 0 or larger than the model's.
pub fn load(gguf: &Gguf, options: &DecoderOptions) -> Result<LoadedDecoder> {
    let on_kernels = options.device.is_cpu()
        && options.precision == WeightPrecision::Packed
        && CpuDecoder::supports(gguf);
    Ok(match on_kernels {
        true => LoadedDecoder::Cpu(Box::new(CpuDecoder::load(gguf, options)?)),
        false => LoadedDecoder::Candle(Box::new(CandleDecoder::load(gguf, options)?)),
    })
}

#[cfg(test)]
mod families_tests;
#[cfg(test)]
mod tests;
