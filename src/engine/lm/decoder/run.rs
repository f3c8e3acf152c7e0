//! KV blocks (runs) of a cache, and the count of their bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Result, Tensor, bail};

use idiolect_kernels::attention::{self, KvShape};

/// Storage of KV blocks.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In f32 tensors on a device.
    Device(Device),
    /// In the kernels' layout and precision, on the CPU.
    Packed,
}

/// Layout of the KV blocks of one model.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) n_layers: usize,
    pub(super) shape: KvShape,
    pub(super) place: Place,
    meter: Arc<Meter>,
}

/// Counts the bytes of all existing KV blocks.
#[derive(Debug, Default)]
struct Meter(AtomicUsize);

/// A `Run`: one KV block, keys and values of up to [`Layout::positions`] positions, all layers.
#[derive(Debug)]
pub(super) struct Run {
    content: Content,
    bytes: usize,
    meter: Arc<Meter>,
}

#[derive(Debug)]
enum Content {
    Tensors(Vec<RunLayer>),
    /// One kernel block per layer, in order.
    Packed(Vec<u16>),
}

/// One layer's part of a KV block. Both tensors are `[n_kv_heads, positions, head_dim]`, f32,
/// contiguous, and undefined past the written positions.
#[derive(Debug)]
pub(super) struct RunLayer {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

/// Positions of a KV block in tensors. Larger than the kernels' block, since each block costs a few
/// device operations.
const POSITIONS_IN_TENSORS: usize = 256;

impl Layout {
    pub(super) fn new(n_layers: usize, shape: KvShape, place: Place) -> Self {
        Self { n_layers, shape, place, meter: Arc::default() }
    }

    /// Number of positions of a KV block. In every sequence, blocks begin at multiples of it.
    pub(super) fn positions(&self) -> usize {
        match self.place {
            Place::Device(_) => POSITIONS_IN_TENSORS,
            Place::Packed => attention::RUN,
        }
    }

    /// Bytes of one KV block, all layers.
    pub(super) fn bytes(&self) -> usize {
        let per_layer = match self.place {
            Place::Packed => self.shape.run_len() * size_of::<u16>(),
            Place::Device(_) => {
                let width = self.shape.n_kv_heads * self.shape.head_dim;
                2 * width * POSITIONS_IN_TENSORS * size_of::<f32>()
            }
        };
        self.n_layers * per_layer
    }

    /// Bytes of all existing KV blocks; a block that several caches share is counted once.
    pub(super) fn living_bytes(&self) -> usize {
        self.meter.0.load(Ordering::Acquire)
    }

    pub(super) fn blank(&self) -> Result<Run> {
        let Place::Device(device) = &self.place else {
            let bits = vec![0; self.n_layers * self.shape.run_len()];
            return Ok(self.metered(Content::Packed(bits)));
        };
        let shape = (self.shape.n_kv_heads, POSITIONS_IN_TENSORS, self.shape.head_dim);
        let zeros = || Tensor::zeros(shape, DType::F32, device);
        let layers = (0..self.n_layers)
            .map(|_| Ok(RunLayer { keys: zeros()?, values: zeros()? }))
            .collect::<Result<_>>()?;
        Ok(self.metered(Content::Tensors(layers)))
    }

    pub(super) fn copy(&self, run: &Run) -> Result<Run> {
        let layers = match &run.content {
            Content::Packed(bits) => return Ok(self.metered(Content::Packed(bits.clone()))),
            Content::Tensors(layers) => layers,
        };
        let layers = layers
            .iter()
            .map(|layer| Ok(RunLayer { keys: layer.keys.copy()?, values: layer.values.copy()? }))
            .collect::<Result<_>>()?;
        Ok(self.metered(Content::Tensors(layers)))
    }

    fn metered(&self, content: Content) -> Run {
        let bytes = self.bytes();
        self.meter.0.fetch_add(bytes, Ordering::AcqRel);
        Run { content, bytes, meter: Arc::clone(&self.meter) }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.meter.0.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Run {
    /// One layer in the layout that the kernels read.
    pub(super) fn packed(&self, layer: usize, shape: KvShape) -> Result<&[u16]> {
        match &self.content {
            Content::Packed(bits) => Ok(&bits[layer * shape.run_len()..][..shape.run_len()]),
            Content::Tensors(_) => bail!("cache: a run in tensors, expected the kernels' bits"),
        }
    }

    /// One layer in the layout that the kernels write.
    pub(super) fn packed_mut(&mut self, layer: usize, shape: KvShape) -> Result<&mut [u16]> {
        match &mut self.content {
            Content::Packed(bits) => Ok(&mut bits[layer * shape.run_len()..][..shape.run_len()]),
            Content::Tensors(_) => bail!("cache: a run in tensors, expected the kernels' bits"),
        }
    }

    pub(super) fn tensors(&self, layer: usize) -> Result<&RunLayer> {
        match &self.content {
            Content::Tensors(layers) => Ok(&layers[layer]),
            Content::Packed(_) => bail!("cache: a run of the kernels' bits, expected tensors"),
        }
    }
}
