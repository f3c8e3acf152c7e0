//! The KV cache: a value that is passed in, forked for nothing and never changed behind a fork's
//! back.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};
use half::f16;
use half::slice::HalfBitsSliceExt;

use super::config::Config;
use crate::kernels::attention::{self, KvShape};

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
    place: Place,
    runs: Vec<Arc<Run>>,
    len: usize,
}

/// Where runs lie.
#[derive(Debug, Clone)]
enum Place {
    /// In tensors, f32.
    Device(Device),
    /// In the kernels' layout, f16.
    Packed(KvShape),
}

/// Keys and values of up to [`RUN`] positions.
#[derive(Debug)]
enum Run {
    Tensors(Vec<RunLayer>),
    /// Bits of f16: `[layer][RUN / 64]` runs of the kernels.
    Packed(Vec<u16>),
}

/// The kernels' runs within one of ours.
const PARTS: usize = RUN / attention::RUN;

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
            place: Place::Device(device.clone()),
            runs: Vec::new(),
            len: 0,
        }
    }

    /// An empty cache in the kernels' layout.
    pub(super) fn packed(config: &Config) -> Self {
        let shape = KvShape { n_kv_heads: config.n_kv_heads, head_dim: config.head_dim };
        Self { place: Place::Packed(shape), ..Self::new(config, &Device::Cpu) }
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
        self.runs.len() * RUN * self.bytes_per_position()
    }

    /// Bytes of one position, all layers.
    #[must_use]
    pub fn bytes_per_position(&self) -> usize {
        let per_layer = match &self.place {
            Place::Device(_) => 2 * self.n_kv_heads * self.head_dim * size_of::<f32>(),
            Place::Packed(shape) => shape.run_len() / attention::RUN * size_of::<f16>(),
        };
        self.n_layers * per_layer
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
            self.runs.push(Arc::new(self.blank_run()?));
        }
        Ok(())
    }

    fn blank_run(&self) -> Result<Run> {
        let device = match &self.place {
            Place::Device(device) => device,
            Place::Packed(shape) => {
                return Ok(Run::Packed(vec![0; self.n_layers * PARTS * shape.run_len()]));
            }
        };
        let shape = (self.n_kv_heads, RUN, self.head_dim);
        let zeros = || Tensor::zeros(shape, DType::F32, device);
        (0..self.n_layers)
            .map(|_| Ok(RunLayer { keys: zeros()?, values: zeros()? }))
            .collect::<Result<_>>()
            .map(Run::Tensors)
    }

    /// The kernels' runs of one layer that hold the `n` positions behind those that count, in order;
    /// the first of them begins at or before the first of these positions.
    pub(super) fn packed_tail(&mut self, layer: usize, n: usize) -> Result<Vec<&mut [f16]>> {
        let Place::Packed(shape) = self.place else {
            bail!("cache: in tensors, expected f16 runs")
        };
        let wanted = self.len / attention::RUN..(self.len + n).div_ceil(attention::RUN);
        let first_run = self.len / RUN;
        let mut tail = Vec::with_capacity(wanted.len());
        for (index, run) in self.runs.iter_mut().enumerate().skip(first_run) {
            let Some(Run::Packed(bits)) = Arc::get_mut(run) else {
                bail!("cache: run {index} is shared, expected a copy of its own")
            };
            let layer = &mut bits[layer * PARTS * shape.run_len()..][..PARTS * shape.run_len()];
            for (part, bits) in layer.chunks_exact_mut(shape.run_len()).enumerate() {
                if wanted.contains(&(index * PARTS + part)) {
                    tail.push(bits.reinterpret_cast_mut());
                }
            }
        }
        Ok(tail)
    }

    /// The kernels' runs of one layer, up to the `n` positions behind those that count.
    pub(super) fn packed_runs(&self, layer: usize, n: usize) -> Vec<&[f16]> {
        let Place::Packed(shape) = self.place else { return Vec::new() };
        self.runs
            .iter()
            .flat_map(|run| run.packed(layer, shape).chunks_exact(shape.run_len()))
            .map(|bits| bits.reinterpret_cast())
            .take((self.len + n).div_ceil(attention::RUN))
            .collect()
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
            let run = self.runs[position / RUN].tensors(layer)?;
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
        let layers = match self {
            Self::Packed(bits) => return Ok(Self::Packed(bits.clone())),
            Self::Tensors(layers) => layers,
        };
        layers
            .iter()
            .map(|layer| Ok(RunLayer { keys: layer.keys.copy()?, values: layer.values.copy()? }))
            .collect::<Result<_>>()
            .map(Self::Tensors)
    }

    /// One layer's bits; nothing where the run lies in tensors.
    fn packed(&self, layer: usize, shape: KvShape) -> &[u16] {
        let Self::Packed(bits) = self else { return &[] };
        bits.chunks_exact(PARTS * shape.run_len()).nth(layer).unwrap_or_default()
    }

    fn tensors(&self, layer: usize) -> Result<&RunLayer> {
        match self {
            Self::Tensors(layers) => Ok(&layers[layer]),
            Self::Packed(_) => bail!("cache: in f16 runs, expected tensors"),
        }
    }
}

impl View<'_> {
    /// The runs in order, each with the number of its positions that count.
    pub(super) fn runs(&self) -> impl Iterator<Item = (&RunLayer, usize)> {
        self.runs
            .iter()
            .enumerate()
            .filter_map(|(index, run)| {
                let used = self.len.saturating_sub(index * RUN).min(RUN);
                run.tensors(self.layer).ok().map(|tensors| (tensors, used))
            })
            .take_while(|(_, used)| *used > 0)
    }
}
