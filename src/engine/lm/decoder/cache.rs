//! The KV cache: a value that is passed to the decoder. Forking is cheap, and writes to one fork
//! never change another.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, bail};

use super::config::Config;
use super::run::{Layout, Place, Run, RunLayer};
use idiolect_kernels::attention::{KvPrecision, KvShape};

/// Keys and values of a sequence, layer by layer.
///
/// Positions are kept in KV blocks (runs) of [`Cache::run_len`] positions. A fork shares all
/// blocks. A cache that writes to a shared block copies it first (copy on write), so at most one
/// block per fork is copied, and a full one never is.
#[derive(Debug, Clone)]
pub struct Cache {
    layout: Arc<Layout>,
    runs: Vec<Arc<Run>>,
    len: usize,
}

/// A KV block that several caches may hold.
#[derive(Debug, Clone)]
pub(in crate::lm) struct SharedRun(Arc<Run>);

/// The part of a cache that attention reads: one layer, up to and including the positions just
/// written.
pub(super) struct KvView<'a> {
    cache: &'a Cache,
    layer: usize,
    pub(super) len: usize,
}

impl Cache {
    /// Creates an empty cache. Caches made from it by [`Cache::empty`] share one byte count.
    pub(super) fn new(config: &Config, shape: KvShape, place: Place) -> Self {
        let layout = Arc::new(Layout::new(config.n_layers, shape, place));
        Self { layout, runs: Vec::new(), len: 0 }
    }

    pub(super) fn on_device(config: &Config, device: &Device) -> Self {
        let shape = config.kv_shape(KvPrecision::default());
        Self::new(config, shape, Place::Device(device.clone()))
    }

    /// Creates an empty cache of the same kind.
    #[must_use]
    pub fn empty(&self) -> Self {
        Self { layout: Arc::clone(&self.layout), runs: Vec::new(), len: 0 }
    }

    /// Number of positions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no positions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns a second cache with the same content. Positions appended to one are not seen by the
    /// other.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.clone()
    }

    /// Removes all positions from `len` on; does nothing if there are none.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.runs.truncate(len.div_ceil(self.run_len()));
        }
    }

    /// Number of positions of a KV block.
    #[must_use]
    pub fn run_len(&self) -> usize {
        self.layout.positions()
    }

    /// Bytes of a KV block, all layers.
    #[must_use]
    pub fn run_bytes(&self) -> usize {
        self.layout.bytes()
    }

    /// Bytes of its KV blocks, including those shared with forks.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.runs.len() * self.run_bytes()
    }

    /// Bytes of the KV blocks of all caches made from the same decoder; each block is counted once.
    #[must_use]
    pub fn living_bytes(&self) -> usize {
        self.layout.living_bytes()
    }

    /// Number of its KV blocks.
    pub(in crate::lm) fn n_runs(&self) -> usize {
        self.runs.len()
    }

    /// Whether the last KV block is not full and has another holder, so that writing copies it.
    pub(in crate::lm) fn is_tail_shared(&self) -> bool {
        !self.len.is_multiple_of(self.run_len())
            && self.runs.last().is_some_and(|run| Arc::strong_count(run) > 1)
    }

    /// Identities of its KV blocks, unique among all existing blocks.
    pub(in crate::lm) fn run_identities(&self) -> impl Iterator<Item = usize> {
        self.runs.iter().map(|run| Arc::as_ptr(run).addr())
    }

    /// Its KV blocks in order.
    pub(in crate::lm) fn shared_runs(&self) -> impl ExactSizeIterator<Item = SharedRun> {
        self.runs.iter().map(|run| SharedRun(Arc::clone(run)))
    }

    /// Appends the first `n` positions of a KV block, computed at this position of a sequence from
    /// the same tokens. The cache must consist of full blocks.
    pub(in crate::lm) fn append_shared(&mut self, run: SharedRun, n: usize) {
        debug_assert!(self.len.is_multiple_of(self.run_len()) && n <= self.run_len());
        self.runs.truncate(self.len / self.run_len());
        self.runs.push(run.0);
        self.len += n;
    }

    /// Allocates space for `n` more positions in blocks that no other cache holds.
    pub(super) fn reserve(&mut self, n: usize) -> Result<()> {
        if n == 0 {
            return Ok(());
        }
        let run_len = self.run_len();
        if let Some(tail) = self.runs.get_mut(self.len / run_len)
            && Arc::get_mut(tail).is_none()
        {
            *tail = Arc::new(self.layout.copy(tail)?);
        }
        while self.runs.len() * run_len < self.len + n {
            self.runs.push(Arc::new(self.layout.blank()?));
        }
        Ok(())
    }

    /// Mutable KV blocks of `layer`, in the kernels' layout, for the next `n` positions. The first
    /// block may already be partly filled.
    pub(super) fn packed_tail(&mut self, layer: usize, n: usize) -> Result<Vec<&mut [u16]>> {
        let (run_len, shape) = (self.run_len(), self.layout.shape);
        let wanted = self.len / run_len..(self.len + n).div_ceil(run_len);
        let runs = self.runs.get_mut(wanted).unwrap_or_default();
        runs.iter_mut()
            .map(|run| match Arc::get_mut(run) {
                Some(run) => run.packed_mut(layer, shape),
                None => bail!("cache: a shared run, expected a copy of its own"),
            })
            .collect()
    }

    /// KV blocks of `layer` in the kernels' layout, from the first position up to the next `n`
    /// positions.
    pub(super) fn packed_runs(&self, layer: usize, n: usize) -> Result<Vec<&[u16]>> {
        self.runs
            .iter()
            .take((self.len + n).div_ceil(self.run_len()))
            .map(|run| run.packed(layer, self.layout.shape))
            .collect()
    }

    /// Writes the keys and values of one layer, `[n_kv_heads, n, head_dim]`, after the current
    /// positions. [`Cache::reserve`] must have allocated the space; [`Cache::advance`] then
    /// includes the positions in the length.
    pub(super) fn write(&self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<()> {
        let (n, run_len) = (keys.dim(1)?, self.run_len());
        let mut written = 0;
        while written < n {
            let position = self.len + written;
            let offset = position % run_len;
            let count = (run_len - offset).min(n - written);
            let run = self.runs[position / run_len].tensors(layer)?;
            run.keys.slice_set(&keys.narrow(1, written, count)?.contiguous()?, 1, offset)?;
            run.values.slice_set(&values.narrow(1, written, count)?.contiguous()?, 1, offset)?;
            written += count;
        }
        Ok(())
    }

    /// View of one layer that includes the `n` positions just written.
    pub(super) fn layer(&self, layer: usize, n: usize) -> KvView<'_> {
        KvView { cache: self, layer, len: self.len + n }
    }

    /// Adds to the length the `n` positions that every layer has written.
    pub(super) fn advance(&mut self, n: usize) {
        self.len += n;
    }
}

impl SharedRun {
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

impl KvView<'_> {
    /// The KV blocks in order, each with the number of its valid positions.
    pub(super) fn runs(&self) -> impl Iterator<Item = (&RunLayer, usize)> {
        let run_len = self.cache.run_len();
        self.cache
            .runs
            .iter()
            .enumerate()
            .filter_map(move |(index, run)| {
                let used = self.len.saturating_sub(index * run_len).min(run_len);
                run.tensors(self.layer).ok().map(|tensors| (tensors, used))
            })
            .take_while(|(_, used)| *used > 0)
    }
}
