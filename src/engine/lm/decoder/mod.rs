//! Decoders of the llama, qwen2 and qwen3 families: token ids and KV caches in, logits out.
//!
//! [`Decoder`] is the interface. [`CpuDecoder`] runs whole layers on our own kernels.
//! [`CandleDecoder`] runs them as candle operations: on GPUs, for files whose formats have no
//! kernel, and as the reference in tests. [`load`] chooses. Each has its own layout of the KV cache;
//! configuration, reading of weights, rotary tables and sharing of KV blocks are common to both.

use std::sync::Arc;

use candle_core::Device;

use super::Result;
use crate::model::gguf::Gguf;
use idiolect_kernels::attention::KvPrecision;
use idiolect_kernels::{Isa, Pool};

mod cache;
mod candle;
mod config;
mod cpu;
mod embedding;
mod pack;
mod rope;
mod rows;
mod weights;

pub(super) use cache::SharedKvBlock;
pub use cache::{KvCache, KvLayout, KvPool};
pub use candle::{CandleDecoder, CandleKv};
pub use config::{DecoderConfig, DecoderFamily};
pub use cpu::{CpuDecoder, CpuKv};
pub use rope::RopeScaling;
pub use rows::BatchRows;

/// A loaded model. It holds no state of a sequence; that is in the [`KvCache`].
pub trait Decoder: Send + Sync + 'static {
    /// Layout of the KV blocks of its caches.
    type Layout: KvLayout;
    /// Output of the last layer, `[n_rows, n_embd]`.
    type Hidden;

    /// Shapes and constants of the model.
    fn config(&self) -> &DecoderConfig;

    /// Layout and memory of the KV blocks of all its caches.
    fn kv_pool(&self) -> &Arc<KvPool<Self::Layout>>;

    /// Runs new tokens of any number of sequences through all layers and appends them to their
    /// caches. Returns the last layer's output, the rows of all sequences in order;
    /// [`Decoder::logits`] computes the logits of selected rows.
    ///
    /// On an error the caches keep their content.
    ///
    /// # Errors
    /// The batch or a sequence is empty, a sequence exceeds the context window, a token id is
    /// outside of the vocabulary, or a tensor operation fails.
    fn forward(&self, batch: &mut [BatchRows<'_, Self::Layout>]) -> Result<Self::Hidden>;

    /// Replaces the content of `logits` with the logits of the token after each of the given rows
    /// of `hidden`: `[rows.len()][n_vocab]`.
    ///
    /// # Errors
    /// A tensor operation fails.
    fn logits(&self, hidden: &Self::Hidden, rows: &[u32], logits: &mut Vec<f32>) -> Result<()>;

    /// Whether a row's result depends on its own sequence only, bit for bit, regardless of the rest
    /// of the batch and of how the sequence was split into chunks.
    fn is_exact(&self) -> bool;

    /// Worker threads of the kernels on the CPU; `None` if they are not used.
    fn pool(&self) -> Option<&Pool>;

    /// Creates an empty cache for this model.
    fn empty_cache(&self) -> KvCache<Self::Layout> {
        KvCache::new(Arc::clone(self.kv_pool()))
    }
}

/// Form in which weights are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightPrecision {
    /// At the precision of the file, in the layout of our own kernels; activations are quantized
    /// for the product. On devices other than the CPU this equals `Stored`.
    #[default]
    Packed,
    /// As stored in the file, multiplied by candle.
    Stored,
    /// Dequantized to f32: slow, large, and the reference for the other two.
    Dequantized,
}

/// Options for loading a decoder.
#[derive(Debug, Clone)]
pub struct DecoderOptions {
    /// Device that it runs on.
    pub device: Device,
    /// Form in which its weights are kept in memory.
    pub precision: WeightPrecision,
    /// Context window, tokens; `None` uses the model's own.
    pub context: Option<usize>,
    /// Number of worker threads of the kernels on the CPU; 0 means one per core.
    pub threads: usize,
    /// Instruction set of the kernels on the CPU.
    pub isa: Isa,
    /// Precision of keys and values in the kernels on the CPU; [`CandleDecoder`] keeps f32.
    pub kv_precision: KvPrecision,
}

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
mod tests;
