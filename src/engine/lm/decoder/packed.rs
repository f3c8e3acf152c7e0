//! The decoder's forward step on the CPU: whole layers on our own kernels, without tensors between
//! them.
//!
//! Each row's result depends on its own sequence only, bit for bit: not on the other rows of the
//! batch, on how a prompt was split into chunks, on the number of threads or on the instruction
//! set.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Error, Result, Tensor};

use super::config::Config;
use super::layer::{Layer, Norm, Segment};
use super::projection::{Kernels, Linear, Projection};
use super::rope::Rope;
use super::weights::DecoderWeights;
use idiolect_kernels::attention::{self, KvShape, Sequence, attend};
use idiolect_kernels::elementwise::{self, rms_norm, rms_norm_in_place, rope, silu_times};
use idiolect_kernels::linear::forward_many;
use idiolect_kernels::{PackedLinear, Pool, Tier};

/// A decoder's weights in the kernels' layout.
pub(super) struct Packed {
    layers: Vec<PackedLayer>,
    norm: PackedNorm,
    head: Arc<PackedLinear>,
    rotation: Rotation,
    shape: KvShape,
    n_heads: usize,
    tier: Tier,
    pool: Arc<Pool>,
    /// Kept between forward steps, since a fresh allocation costs more than the work done in it.
    buffers: Mutex<Buffers>,
}

struct PackedLayer {
    attention_norm: PackedNorm,
    query: PackedProjection,
    key: PackedProjection,
    value: PackedProjection,
    query_norm: Option<PackedNorm>,
    key_norm: Option<PackedNorm>,
    output: PackedProjection,
    feed_forward_norm: PackedNorm,
    gate: PackedProjection,
    up: PackedProjection,
    down: PackedProjection,
}

struct PackedProjection {
    linear: Arc<PackedLinear>,
    bias: Option<Vec<f32>>,
}

struct PackedNorm {
    weight: Vec<f32>,
    eps: f32,
}

struct Rotation {
    pairs: elementwise::Pairs,
    /// Cosines; like the sines `[context][half]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

/// Intermediate results of a layer, one row per token.
#[derive(Default)]
struct Buffers {
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

impl Packed {
    /// Converts the weights; `None` if the format of a matrix has no kernel.
    pub(super) fn new(
        weights: &DecoderWeights,
        config: &Config,
        rope: &Rope,
        kernels: &Kernels,
    ) -> Result<Option<Self>> {
        let layers = weights.layers.iter().map(PackedLayer::new).collect::<Result<Option<_>>>()?;
        let (Some(layers), Projection::Packed(head)) = (layers, &weights.head) else {
            return Ok(None);
        };
        let [head] = head.linears() else { return Ok(None) };
        Ok(Some(Self {
            layers,
            norm: PackedNorm::new(&weights.norm)?,
            head: Arc::clone(head),
            rotation: Rotation::new(rope, config)?,
            shape: config.kv_shape(kernels.kv_precision),
            n_heads: config.n_heads,
            tier: kernels.tier,
            pool: Arc::clone(&kernels.pool),
            buffers: Mutex::default(),
        }))
    }

    pub(super) fn kv_shape(&self) -> KvShape {
        self.shape
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs the rows `x`, `[n_rows, n_embd]`, through all layers in place and writes their keys and
    /// values to the segments' caches.
    pub(super) fn forward(&self, x: &mut [f32], segments: &mut [Segment<'_>]) -> Result<()> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, layer) in self.layers.iter().enumerate() {
            self.attention(index, layer, x, segments, &mut buffers)?;
            self.feed_forward(layer, x, &mut buffers)?;
        }
        Ok(())
    }

    /// Writes the logits of the given rows of the hidden states `[n, n_embd]` to `logits`,
    /// `[rows.len()][n_vocab]`.
    pub(super) fn logits(&self, hidden: &[f32], rows: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        let width = self.norm.weight.len();
        let mut normed = vec![0.0; rows.len() * width];
        for (row, normed) in rows.iter().zip(normed.chunks_exact_mut(width)) {
            let hidden = &hidden[*row as usize * width..][..width];
            self.norm.forward(hidden, normed, self.tier, &self.pool)?;
        }
        logits.resize(rows.len() * self.head.rows(), 0.0);
        self.head.forward(&normed, rows.len(), logits, &self.pool).map_err(Error::wrap)
    }

    fn attention(
        &self,
        index: usize,
        layer: &PackedLayer,
        x: &mut [f32],
        segments: &mut [Segment<'_>],
        buffers: &mut Buffers,
    ) -> Result<()> {
        let Buffers { normed, query, key, value, attended, .. } = buffers;
        let n_rows = x.len() / layer.attention_norm.weight.len();
        normed.resize(x.len(), 0.0);
        layer.attention_norm.forward(x, normed, self.tier, &self.pool)?;
        let mut outputs = [(&layer.query, query), (&layer.key, key), (&layer.value, value)];
        project(&mut outputs, normed, n_rows, &self.pool)?;
        let [(_, query), (_, key), (_, value)] = outputs;

        self.rotate_and_write(index, layer, query, key, value, segments)?;
        attended.resize(query.len(), 0.0);
        let runs: Vec<Vec<&[u16]>> = segments
            .iter()
            .map(|segment| segment.cache.packed_runs(index, segment.n_rows))
            .collect::<Result<_>>()?;
        let sequences: Vec<Sequence<'_>> = segments
            .iter()
            .zip(&runs)
            .map(|(segment, runs)| Sequence {
                runs,
                first_row: segment.first_row,
                n_rows: segment.n_rows,
                start: segment.start,
            })
            .collect();
        attend(self.shape, self.n_heads, query, &sequences, attended, self.tier, &self.pool)
            .map_err(Error::wrap)?;
        layer.output.add_to(x, attended, n_rows, &self.pool)
    }

    /// Normalizes the heads of queries and keys if the layer has such norms, rotates them (RoPE),
    /// and writes keys and values to the caches.
    fn rotate_and_write(
        &self,
        index: usize,
        layer: &PackedLayer,
        query: &mut [f32],
        key: &mut [f32],
        value: &[f32],
        segments: &mut [Segment<'_>],
    ) -> Result<()> {
        let key_width = self.shape.n_kv_heads * self.shape.head_dim;
        let query_width = self.n_heads * self.shape.head_dim;
        let (mut query, mut key, mut value) = (query, key, value);
        let mut parts = Vec::new();
        for segment in segments {
            let (mut position, end) = (segment.start, segment.start + segment.n_rows);
            for run in segment.cache.packed_tail(index, segment.n_rows)? {
                let count = (attention::RUN - position % attention::RUN).min(end - position);
                parts.push(LayerPart {
                    position,
                    query: take(&mut query, count * query_width),
                    key: take(&mut key, count * key_width),
                    value: &value[..count * key_width],
                    run,
                    outcome: Ok(()),
                });
                value = &value[count * key_width..];
                position += count;
            }
        }
        self.pool.for_each(&mut parts, |_, part| {
            part.outcome = self.rotate_and_write_part(layer, part);
        });
        parts.into_iter().try_for_each(|part| part.outcome).map_err(Error::wrap)
    }

    fn rotate_and_write_part(
        &self,
        layer: &PackedLayer,
        part: &mut LayerPart<'_>,
    ) -> idiolect_kernels::Result<()> {
        let Rotation { pairs, cos, sin, half } = &self.rotation;
        let (tier, key_width) = (self.tier, self.shape.n_kv_heads * self.shape.head_dim);
        if let Some(norm) = &layer.query_norm {
            rms_norm_in_place(part.query, &norm.weight, norm.eps, tier)?;
        }
        if let Some(norm) = &layer.key_norm {
            rms_norm_in_place(part.key, &norm.weight, norm.eps, tier)?;
        }
        let rows = part.query.chunks_exact_mut(self.n_heads * self.shape.head_dim);
        let keys = part.key.chunks_exact_mut(key_width);
        let values = part.value.chunks_exact(key_width);
        for (index, ((query, key), value)) in rows.zip(keys).zip(values).enumerate() {
            let position = part.position + index;
            let angles = position * half..(position + 1) * half;
            let (cos, sin) = (&cos[angles.clone()], &sin[angles]);
            rope(query, *pairs, cos, sin, tier)?;
            rope(key, *pairs, cos, sin, tier)?;
            self.shape.write(part.run, position % attention::RUN, key, value)?;
        }
        Ok(())
    }

    fn feed_forward(
        &self,
        layer: &PackedLayer,
        x: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<()> {
        let Buffers { normed, gate, up, .. } = buffers;
        let n_rows = x.len() / layer.feed_forward_norm.weight.len();
        layer.feed_forward_norm.forward(x, normed, self.tier, &self.pool)?;
        let mut outputs = [(&layer.gate, gate), (&layer.up, up)];
        project(&mut outputs, normed, n_rows, &self.pool)?;
        let [(_, gate), (_, up)] = outputs;
        silu_times(gate, up, self.tier, &self.pool).map_err(Error::wrap)?;
        layer.down.add_to(x, gate, n_rows, &self.pool)
    }
}

/// New rows of one sequence that belong to one KV block.
struct LayerPart<'a> {
    /// Position of the first row in the sequence.
    position: usize,
    query: &'a mut [f32],
    key: &'a mut [f32],
    value: &'a [f32],
    run: &'a mut [u16],
    outcome: idiolect_kernels::Result<()>,
}

/// Splits off and returns the first `n` elements.
fn take<'a>(rest: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    let (first, others) = std::mem::take(rest).split_at_mut(n);
    *rest = others;
    first
}

/// Products of `x` with several matrices at once, each plus its bias.
fn project<const N: usize>(
    outputs: &mut [(&PackedProjection, &mut Vec<f32>); N],
    x: &[f32],
    n_rows: usize,
    pool: &Pool,
) -> Result<()> {
    let linears: Vec<&PackedLinear> =
        outputs.iter().map(|(projection, _)| &*projection.linear).collect();
    let mut ys: Vec<&mut [f32]> = outputs
        .iter_mut()
        .map(|(projection, y)| {
            y.resize(n_rows * projection.linear.rows(), 0.0);
            y.as_mut_slice()
        })
        .collect();
    forward_many(&linears, x, n_rows, &mut ys, pool).map_err(Error::wrap)?;
    outputs.iter_mut().for_each(|(projection, y)| projection.add_bias(y));
    Ok(())
}

impl PackedLayer {
    fn new(layer: &Layer) -> Result<Option<Self>> {
        let Layer { attention_norm, attention, feed_forward_norm, feed_forward } = layer;
        let norm = |norm: &Option<Norm>| norm.as_ref().map(PackedNorm::new).transpose();
        let projections = [
            &attention.query,
            &attention.key,
            &attention.value,
            &attention.output,
            &feed_forward.gate,
            &feed_forward.up,
            &feed_forward.down,
        ];
        let projections = projections
            .into_iter()
            .map(PackedProjection::new)
            .collect::<Result<Option<Vec<_>>>>()?;
        let Some(projections) = projections else { return Ok(None) };
        let Ok([query, key, value, output, gate, up, down]) = <[_; 7]>::try_from(projections)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            attention_norm: PackedNorm::new(attention_norm)?,
            query,
            key,
            value,
            query_norm: norm(&attention.query_norm)?,
            key_norm: norm(&attention.key_norm)?,
            output,
            feed_forward_norm: PackedNorm::new(feed_forward_norm)?,
            gate,
            up,
            down,
        }))
    }
}

impl PackedProjection {
    fn new(linear: &Linear) -> Result<Option<Self>> {
        let Projection::Packed(operation) = &linear.projection else { return Ok(None) };
        let [packed] = operation.linears() else { return Ok(None) };
        let bias = linear.bias.as_ref().map(Tensor::to_vec1).transpose()?;
        Ok(Some(Self { linear: Arc::clone(packed), bias }))
    }

    fn add_bias(&self, y: &mut [f32]) {
        if let Some(bias) = &self.bias {
            for row in y.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
        }
    }

    /// `x += project(input)`.
    fn add_to(&self, x: &mut [f32], input: &[f32], n_rows: usize, pool: &Pool) -> Result<()> {
        self.linear.forward_add(input, n_rows, x, pool).map_err(Error::wrap)?;
        self.add_bias(x);
        Ok(())
    }
}

impl PackedNorm {
    fn new(norm: &Norm) -> Result<Self> {
        Ok(Self { weight: norm.weight.to_vec1()?, eps: norm.eps })
    }

    fn forward(&self, x: &[f32], out: &mut [f32], tier: Tier, pool: &Pool) -> Result<()> {
        rms_norm(x, &self.weight, self.eps, out, tier, pool).map_err(Error::wrap)
    }
}

impl Rotation {
    fn new(rope: &Rope, config: &Config) -> Result<Self> {
        let (cos, sin) = rope.tables()?;
        let pairs = match config.family.rope_kind() {
            super::rope::RopeKind::Interleaved => elementwise::Pairs::Neighbours,
            super::rope::RopeKind::Halves => elementwise::Pairs::Halves,
        };
        Ok(Self { pairs, cos, sin, half: config.head_dim / 2 })
    }
}
