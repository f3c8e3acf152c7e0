//! KV blocks in candle tensors.

use candle_core::{DType, Device, Result, Tensor};

use crate::lm::decoder::cache::{KvCache, KvLayout};
use crate::lm::decoder::config::DecoderConfig;

/// Positions of a KV block. More than in the kernels' blocks, since each block costs a few device
/// operations.
pub(super) const BLOCK_SIZE: usize = 256;

/// Layout of KV blocks in f32 tensors on a device.
pub struct CandleKv {
    n_layers: usize,
    n_kv_heads: usize,
    head_dim: usize,
    device: Device,
}

/// One layer's part of a KV block. Both tensors are `[n_kv_heads, 256, head_dim]`, f32, contiguous,
/// and undefined past the written positions.
pub struct LayerKv {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

/// The part of a cache that attention reads: one layer, up to and including the positions just
/// written.
pub(super) struct KvView<'a> {
    cache: &'a KvCache<CandleKv>,
    layer: usize,
    pub(super) len: usize,
}

impl CandleKv {
    pub(super) fn new(config: &DecoderConfig, device: &Device) -> Self {
        let DecoderConfig { n_layers, n_kv_heads, head_dim, .. } = *config;
        Self { n_layers, n_kv_heads, head_dim, device: device.clone() }
    }
}

impl KvLayout for CandleKv {
    /// One entry per layer.
    type Data = Vec<LayerKv>;

    fn block_size(&self) -> usize {
        BLOCK_SIZE
    }

    fn block_bytes(&self) -> usize {
        2 * self.n_layers * self.n_kv_heads * self.head_dim * BLOCK_SIZE * size_of::<f32>()
    }

    fn allocate(&self) -> Result<Vec<LayerKv>> {
        let shape = (self.n_kv_heads, BLOCK_SIZE, self.head_dim);
        let zeros = || Tensor::zeros(shape, DType::F32, &self.device);
        (0..self.n_layers).map(|_| Ok(LayerKv { keys: zeros()?, values: zeros()? })).collect()
    }

    fn copy(&self, layers: &Vec<LayerKv>) -> Result<Vec<LayerKv>> {
        layers
            .iter()
            .map(|layer| Ok(LayerKv { keys: layer.keys.copy()?, values: layer.values.copy()? }))
            .collect()
    }
}

/// Writes the keys and values of one layer, `[n_kv_heads, n, head_dim]`, after the current positions
/// of a cache that has space for them.
pub(super) fn write(
    cache: &mut KvCache<CandleKv>,
    layer: usize,
    keys: &Tensor,
    values: &Tensor,
) -> Result<()> {
    let (n, start) = (keys.dim(1)?, cache.len());
    let mut written = 0;
    for block in cache.next_blocks_mut(n) {
        let block = &block?[layer];
        let offset = (start + written) % BLOCK_SIZE;
        let count = (BLOCK_SIZE - offset).min(n - written);
        block.keys.slice_set(&keys.narrow(1, written, count)?.contiguous()?, 1, offset)?;
        block.values.slice_set(&values.narrow(1, written, count)?.contiguous()?, 1, offset)?;
        written += count;
    }
    Ok(())
}

impl<'a> KvView<'a> {
    /// View of one layer that includes the `n` positions just written.
    pub(super) fn new(cache: &'a KvCache<CandleKv>, layer: usize, n: usize) -> Self {
        Self { cache, layer, len: cache.len() + n }
    }

    /// The KV blocks in order, each with the number of its valid positions.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (&LayerKv, usize)> {
        self.cache.blocks(self.len - self.cache.len()).enumerate().map(|(index, block)| {
            (&block[self.layer], (self.len - index * BLOCK_SIZE).min(BLOCK_SIZE))
        })
    }
}
