//! The KV cache: a value that is passed in, forked for nothing and never changed behind a fork's
//! back.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, bail};

use super::config::Config;
use super::run::{Layout, Place, Run, RunLayer};
use idiolect_kernels::attention::{KvPrecision, KvShape};

/// Keys and values of a sequence, layer by layer.
///
/// Positions are kept in runs of [`Cache::run_len`]. A fork shares all runs; whoever writes into a
/// shared run gets a copy of it first, so at most one run is ever copied and full ones never are.
#[derive(Debug, Clone)]
pub struct Cache {
    layout: Arc<Layout>,
    runs: Vec<Arc<Run>>,
    len: usize,
}

/// A run that several caches may hold.
#[derive(Debug, Clone)]
pub(in crate::lm) struct SharedRun(Arc<Run>);

/// What attention sees of a cache: one layer, up to and with the positions just written.
pub(super) struct View<'a> {
    cache: &'a Cache,
    layer: usize,
    pub(super) len: usize,
}

impl Cache {
    /// An empty cache; caches made from one by [`Cache::empty`] are counted together.
    pub(super) fn new(config: &Config, shape: KvShape, place: Place) -> Self {
        let layout = Arc::new(Layout::new(config.n_layers, shape, place));
        Self { layout, runs: Vec::new(), len: 0 }
    }

    pub(super) fn on_device(config: &Config, device: &Device) -> Self {
        let shape = config.kv_shape(KvPrecision::default());
        Self::new(config, shape, Place::Device(device.clone()))
    }

    /// An empty cache of the same kind.
    #[must_use]
    pub fn empty(&self) -> Self {
        Self { layout: Arc::clone(&self.layout), runs: Vec::new(), len: 0 }
    }

    /// Positions it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A second cache with the same content. What is appended to one is not seen by the other.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.clone()
    }

    /// Forgets all positions from `len` on; does nothing if there are none.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.runs.truncate(len.div_ceil(self.run_len()));
        }
    }

    /// Positions of a run.
    #[must_use]
    pub fn run_len(&self) -> usize {
        self.layout.positions()
    }

    /// Bytes of a run, all layers.
    #[must_use]
    pub fn run_bytes(&self) -> usize {
        self.layout.bytes()
    }

    /// Bytes of its runs, those shared with forks counted in full.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.runs.len() * self.run_bytes()
    }

    /// Bytes of the runs of all caches made from the same decoder, each run counted once.
    #[must_use]
    pub fn living_bytes(&self) -> usize {
        self.layout.living_bytes()
    }

    /// Number of its runs.
    pub(in crate::lm) fn n_runs(&self) -> usize {
        self.runs.len()
    }

    /// Whether the last run is not full and somebody else holds it too, so that writing copies it.
    pub(in crate::lm) fn is_tail_shared(&self) -> bool {
        !self.len.is_multiple_of(self.run_len())
            && self.runs.last().is_some_and(|run| Arc::strong_count(run) > 1)
    }

    /// What tells its runs from all others that live.
    pub(in crate::lm) fn run_identities(&self) -> impl Iterator<Item = usize> {
        self.runs.iter().map(|run| Arc::as_ptr(run).addr())
    }

    /// Its runs in order.
    pub(in crate::lm) fn shared_runs(&self) -> impl ExactSizeIterator<Item = SharedRun> {
        self.runs.iter().map(|run| SharedRun(Arc::clone(run)))
    }

    /// Appends `n` positions of a run made at this place of a sequence by the same tokens. What the
    /// cache holds must be whole runs.
    pub(in crate::lm) fn append_shared(&mut self, run: SharedRun, n: usize) {
        debug_assert!(self.len.is_multiple_of(self.run_len()) && n <= self.run_len());
        self.runs.truncate(self.len / self.run_len());
        self.runs.push(run.0);
        self.len += n;
    }

    /// Makes room for `n` more positions that nobody else sees.
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

    /// The kernels' runs of one layer that hold the `n` positions behind those that count, in order;
    /// the first of them begins at or before the first of these positions.
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

    /// The kernels' runs of one layer, up to the `n` positions behind those that count.
    pub(super) fn packed_runs(&self, layer: usize, n: usize) -> Result<Vec<&[u16]>> {
        self.runs
            .iter()
            .take((self.len + n).div_ceil(self.run_len()))
            .map(|run| run.packed(layer, self.layout.shape))
            .collect()
    }

    /// Writes one layer's keys and values, `[n_kv_heads, n, head_dim]`, behind the positions it
    /// holds. [`Cache::reserve`] must have made room; [`Cache::advance`] makes them count.
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

    /// One layer, with the `n` positions written last.
    pub(super) fn layer(&self, layer: usize, n: usize) -> View<'_> {
        View { cache: self, layer, len: self.len + n }
    }

    /// Counts the `n` positions that every layer has written.
    pub(super) fn advance(&mut self, n: usize) {
        self.len += n;
    }
}

impl SharedRun {
    /// Whether somebody else holds it too.
    pub(in crate::lm) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// What tells it from all other runs that live.
    #[cfg(test)]
    pub(in crate::lm) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl View<'_> {
    /// The runs in order, each with the number of its positions that count.
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
