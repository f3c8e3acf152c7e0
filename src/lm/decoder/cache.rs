//! The KV cache: a value that is passed in, forked for nothing and never changed behind a fork's
//! back.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use super::config::Config;

/// Positions of one run. Runs begin at multiples of this in every sequence, and so do the chunks of
/// a prefill: the sums over a run are the same whoever shares it.
pub const RUN: usize = 256;

/// Keys and values of a sequence, layer by layer.
///
/// Positions are kept in runs of [`RUN`]. A fork shares all runs; whoever writes into a shared run
/// gets a copy of it first, so at most one run is ever copied and full ones never are.
#[derive(Debug, Clone)]
pub struct Cache {
    n_layers: usize,
    n_kv_heads: usize,
    head_dim: usize,
    device: Device,
    runs: Vec<Arc<Run>>,
    len: usize,
}

/// Keys and values of up to [`RUN`] positions.
#[derive(Debug)]
struct Run {
    layers: Vec<RunLayer>,
}

/// One layer's part of a run; both are `[n_kv_heads, RUN, head_dim]`, f32, contiguous, and undefined
/// past the positions that were written.
#[derive(Debug, Clone)]
pub(super) struct RunLayer {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

/// What attention sees of a cache: one layer, up to and with the positions just written.
pub(super) struct View<'a> {
    runs: &'a [Arc<Run>],
    layer: usize,
    pub(super) len: usize,
}

impl Cache {
    /// An empty cache for models of this shape.
    #[must_use]
    pub fn new(config: &Config, device: &Device) -> Self {
        Self {
            n_layers: config.n_layers,
            n_kv_heads: config.n_kv_heads,
            head_dim: config.head_dim,
            device: device.clone(),
            runs: Vec::new(),
            len: 0,
        }
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
            self.runs.truncate(len.div_ceil(RUN));
        }
    }

    /// Bytes of its runs, those shared with forks counted in full.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let run = 2 * self.n_layers * self.n_kv_heads * self.head_dim * RUN * size_of::<f32>();
        self.runs.len() * run
    }

    /// Makes room for `n` more positions that nobody else sees.
    pub(super) fn reserve(&mut self, n: usize) -> Result<()> {
        if n == 0 {
            return Ok(());
        }
        if let Some(tail) = self.runs.get_mut(self.len / RUN)
            && Arc::get_mut(tail).is_none()
        {
            *tail = Arc::new(tail.copy()?);
        }
        while self.runs.len() * RUN < self.len + n {
            let shape = (self.n_kv_heads, RUN, self.head_dim);
            let zeros = || Tensor::zeros(shape, DType::F32, &self.device);
            let layers = (0..self.n_layers)
                .map(|_| Ok(RunLayer { keys: zeros()?, values: zeros()? }))
                .collect::<Result<_>>()?;
            self.runs.push(Arc::new(Run { layers }));
        }
        Ok(())
    }

    /// Writes one layer's keys and values, `[n_kv_heads, n, head_dim]`, behind the positions it
    /// holds. [`Cache::reserve`] must have made room; [`Cache::advance`] makes them count.
    pub(super) fn write(&self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<()> {
        let n = keys.dim(1)?;
        let mut written = 0;
        while written < n {
            let position = self.len + written;
            let offset = position % RUN;
            let count = (RUN - offset).min(n - written);
            let run = &self.runs[position / RUN].layers[layer];
            run.keys.slice_set(&keys.narrow(1, written, count)?.contiguous()?, 1, offset)?;
            run.values.slice_set(&values.narrow(1, written, count)?.contiguous()?, 1, offset)?;
            written += count;
        }
        Ok(())
    }

    /// One layer, with the `n` positions written last.
    pub(super) fn layer(&self, layer: usize, n: usize) -> View<'_> {
        View { runs: &self.runs, layer, len: self.len + n }
    }

    /// Counts the `n` positions that every layer has written.
    pub(super) fn advance(&mut self, n: usize) {
        self.len += n;
    }
}

impl Run {
    fn copy(&self) -> Result<Self> {
        let layers = self
            .layers
            .iter()
            .map(|layer| Ok(RunLayer { keys: layer.keys.copy()?, values: layer.values.copy()? }))
            .collect::<Result<_>>()?;
        Ok(Self { layers })
    }
}

impl View<'_> {
    /// The runs in order, each with the number of its positions that count.
    pub(super) fn runs(&self) -> impl Iterator<Item = (&RunLayer, usize)> {
        self.runs
            .iter()
            .enumerate()
            .map(|(index, run)| {
                (&run.layers[self.layer], self.len.saturating_sub(index * RUN).min(RUN))
            })
            .take_while(|(_, used)| *used > 0)
    }
}
