//! The KV cache: a value that is passed to the decoder. Forking is cheap, and writes to one fork
//! never change another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Result, bail};

/// Layout of the KV blocks of one decoder.
pub trait KvLayout: Send + Sync + 'static {
    /// Keys and values of up to [`KvLayout::block_size`] positions, all layers.
    type Data: Send + Sync;

    /// Number of positions of a KV block. In every sequence, blocks begin at multiples of it.
    fn block_size(&self) -> usize;

    /// Bytes of a KV block, all layers.
    fn block_bytes(&self) -> usize;

    /// Allocates the memory of a block.
    ///
    /// # Errors
    /// The device has no memory left.
    fn allocate(&self) -> Result<Self::Data>;

    /// Copies a block.
    ///
    /// # Errors
    /// The device has no memory left.
    fn copy(&self, data: &Self::Data) -> Result<Self::Data>;

    /// The content of a block as bytes, the same on every machine; `None` if the layout has no such form.
    fn to_bytes(&self, data: &Self::Data) -> Option<Vec<u8>> {
        let _ = data;
        None
    }

    /// The block of which [`KvLayout::to_bytes`] gave the bytes; `None` if they have another length.
    fn of_bytes(&self, bytes: &[u8]) -> Option<Self::Data> {
        let _ = bytes;
        None
    }
}

/// Layout of the KV blocks of one decoder, and the bytes of all that exist. The blocks count
/// themselves, when they are made and when they go.
pub struct KvPool<L: KvLayout> {
    layout: L,
    bytes: AtomicUsize,
}

/// One KV block.
struct KvBlock<L: KvLayout> {
    data: L::Data,
    pool: Arc<KvPool<L>>,
}

/// A KV block that several caches may hold.
pub(in crate::lm) struct SharedKvBlock<L: KvLayout>(Arc<KvBlock<L>>);

/// Keys and values of a sequence, layer by layer.
///
/// Positions are kept in KV blocks of [`KvPool::block_size`] positions. A fork shares all blocks. A
/// cache that writes to a shared block copies it first (copy on write), so at most one block per
/// fork is copied, and a full one never is.
pub struct KvCache<L: KvLayout> {
    pool: Arc<KvPool<L>>,
    blocks: Vec<Arc<KvBlock<L>>>,
    len: usize,
}

impl<L: KvLayout> KvPool<L> {
    pub(super) fn new(layout: L) -> Self {
        Self { layout, bytes: AtomicUsize::new(0) }
    }

    /// Number of positions of a KV block. In every sequence, blocks begin at multiples of it.
    pub fn block_size(&self) -> usize {
        self.layout.block_size()
    }

    /// Bytes of a KV block, all layers.
    pub fn block_bytes(&self) -> usize {
        self.layout.block_bytes()
    }

    /// Bytes of all existing KV blocks; a block that several caches share is counted once.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }
}

impl<L: KvLayout> KvBlock<L> {
    fn new(data: L::Data, pool: &Arc<KvPool<L>>) -> Self {
        pool.bytes.fetch_add(pool.block_bytes(), Ordering::AcqRel);
        Self { data, pool: Arc::clone(pool) }
    }
}

impl<L: KvLayout> Drop for KvBlock<L> {
    fn drop(&mut self) {
        self.pool.bytes.fetch_sub(self.pool.block_bytes(), Ordering::AcqRel);
    }
}

impl<L: KvLayout> KvCache<L> {
    /// Creates an empty cache.
    pub(super) fn new(pool: Arc<KvPool<L>>) -> Self {
        Self { pool, blocks: Vec::new(), len: 0 }
    }

    /// Number of positions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no positions.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns a second cache with the same content. Positions appended to one are not seen by the
    /// other.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), blocks: self.blocks.clone(), len: self.len }
    }

    /// Removes all positions from `len` on; does nothing if there are none.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.blocks.truncate(len.div_ceil(self.block_size()));
        }
    }

    /// Bytes of its KV blocks, including those shared with forks.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * self.pool.block_bytes()
    }

    /// Number of positions of a KV block.
    pub(in crate::lm) fn block_size(&self) -> usize {
        self.pool.block_size()
    }

    /// Number of its KV blocks.
    pub(in crate::lm) fn n_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Whether the last KV block is not full and has another holder, so that writing copies it.
    pub(in crate::lm) fn shares_partial_block(&self) -> bool {
        !self.len.is_multiple_of(self.block_size())
            && self.blocks.last().is_some_and(|block| Arc::strong_count(block) > 1)
    }

    /// Identities of its KV blocks, unique among all existing blocks.
    pub(in crate::lm) fn block_identities(&self) -> impl Iterator<Item = usize> {
        self.blocks.iter().map(|block| Arc::as_ptr(block).addr())
    }

    /// Its KV blocks in order.
    pub(in crate::lm) fn shared_blocks(&self) -> impl ExactSizeIterator<Item = SharedKvBlock<L>> {
        self.blocks.iter().map(|block| SharedKvBlock(Arc::clone(block)))
    }

    /// Appends the first `n` positions of a KV block, computed at this position of a sequence from
    /// the same tokens. The cache must consist of full blocks.
    pub(in crate::lm) fn append_shared(&mut self, block: SharedKvBlock<L>, n: usize) {
        debug_assert!(self.len.is_multiple_of(self.block_size()) && n <= self.block_size());
        self.blocks.truncate(self.len / self.block_size());
        self.blocks.push(block.0);
        self.len += n;
    }

    /// The bytes of its full KV blocks, in order; `None` if the layout has no such form.
    pub(in crate::lm) fn full_block_bytes(&self) -> Option<Vec<Vec<u8>>> {
        let full = self.blocks.iter().take(self.len / self.block_size());
        full.map(|block| self.pool.layout.to_bytes(&block.data)).collect()
    }

    /// Appends a full KV block of which [`KvCache::full_block_bytes`] gave the bytes; returns whether they
    /// are those of a block. The cache must consist of full blocks.
    pub(in crate::lm) fn append_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(data) = self.pool.layout.of_bytes(bytes) else { return false };
        let block = SharedKvBlock(Arc::new(KvBlock::new(data, &self.pool)));
        self.append_shared(block, self.block_size());
        true
    }

    /// Layout of its blocks.
    pub(super) fn layout(&self) -> &L {
        &self.pool.layout
    }

    /// Allocates space for `n` more positions in blocks that no other cache holds.
    pub(super) fn reserve(&mut self, n: usize) -> Result<()> {
        if n == 0 {
            return Ok(());
        }
        let block_size = self.block_size();
        if let Some(tail) = self.blocks.get_mut(self.len / block_size)
            && Arc::get_mut(tail).is_none()
        {
            let copy = self.pool.layout.copy(&tail.data)?;
            *tail = Arc::new(KvBlock::new(copy, &self.pool));
        }
        while self.blocks.len() * block_size < self.len + n {
            let data = self.pool.layout.allocate()?;
            self.blocks.push(Arc::new(KvBlock::new(data, &self.pool)));
        }
        Ok(())
    }

    /// KV blocks from the first position up to the next `n` positions.
    pub(super) fn blocks(&self, n: usize) -> impl Iterator<Item = &L::Data> {
        let n_blocks = (self.len + n).div_ceil(self.block_size());
        self.blocks.iter().take(n_blocks).map(|block| &block.data)
    }

    /// Mutable KV blocks for the next `n` positions, for which [`KvCache::reserve`] has allocated
    /// space. The first block may already be partly filled.
    pub(super) fn next_blocks_mut(
        &mut self,
        n: usize,
    ) -> impl Iterator<Item = Result<&mut L::Data>> {
        let block_size = self.block_size();
        let wanted = self.len / block_size..(self.len + n).div_ceil(block_size);
        let blocks = self.blocks.get_mut(wanted).unwrap_or_default();
        blocks.iter_mut().map(|block| match Arc::get_mut(block) {
            Some(block) => Ok(&mut block.data),
            None => bail!("KV cache: a shared block, expected a copy of its own"),
        })
    }

    /// Adds to the length the `n` positions that every layer has written.
    pub(super) fn advance(&mut self, n: usize) {
        self.len += n;
    }
}

impl<L: KvLayout> SharedKvBlock<L> {
    /// Whether it has another holder.
    pub(in crate::lm) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Identity of the block, unique among all existing blocks.
    #[cfg(test)]
    pub(in crate::lm) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl<L: KvLayout> Clone for SharedKvBlock<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
