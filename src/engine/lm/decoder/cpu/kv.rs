//! KV blocks in the layout and precision of our own kernels.

use candle_core::Result;

use crate::lm::decoder::cache::{KvCache, KvLayout};
use idiolect_kernels::attention::{KV_BLOCK_SIZE, KvShape};

/// Layout of KV blocks for the kernels.
pub struct CpuKv {
    pub(super) n_layers: usize,
    /// Shape of one layer.
    pub(super) shape: KvShape,
}

impl KvLayout for CpuKv {
    /// One kernel block per layer, in order.
    type Data = Vec<u16>;

    fn block_size(&self) -> usize {
        KV_BLOCK_SIZE
    }

    fn block_bytes(&self) -> usize {
        self.n_layers * self.shape.block_len() * size_of::<u16>()
    }

    fn allocate(&self) -> Result<Vec<u16>> {
        Ok(vec![0; self.n_layers * self.shape.block_len()])
    }

    fn copy(&self, bits: &Vec<u16>) -> Result<Vec<u16>> {
        Ok(bits.clone())
    }

    fn to_bytes(&self, bits: &Vec<u16>) -> Option<Vec<u8>> {
        Some(bits.iter().flat_map(|bits| bits.to_le_bytes()).collect())
    }

    fn of_bytes(&self, bytes: &[u8]) -> Option<Vec<u16>> {
        let (bits, rest) = bytes.as_chunks::<2>();
        let is_block = bytes.len() == self.block_bytes() && rest.is_empty();
        is_block.then(|| bits.iter().map(|bits| u16::from_le_bytes(*bits)).collect())
    }
}

/// KV blocks of `layer`, from the first position up to the next `n` positions.
pub(super) fn layer_blocks(cache: &KvCache<CpuKv>, layer: usize, n: usize) -> Vec<&[u16]> {
    let len = cache.layout().shape.block_len();
    cache.blocks(n).map(|bits| &bits[layer * len..][..len]).collect()
}

/// Mutable KV blocks of `layer` for the next `n` positions. The first block may already be partly
/// filled.
pub(super) fn next_layer_blocks(
    cache: &mut KvCache<CpuKv>,
    layer: usize,
    n: usize,
) -> impl Iterator<Item = Result<&mut [u16]>> {
    let len = cache.layout().shape.block_len();
    cache.next_blocks_mut(n).map(move |bits| Ok(&mut bits?[layer * len..][..len]))
}
