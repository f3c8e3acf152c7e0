//! One transformer layer on our own kernels: attention and feed-forward, each with a norm before it
//! and a residual connection.

use candle_core::{Error, Result};

use super::kv::{CpuKv, layer_blocks, next_layer_blocks};
use super::weights::{CpuForm, project};
use crate::lm::decoder::interface::Segment;
use crate::lm::decoder::rope::RopeTables;
use crate::lm::decoder::weights::LayerWeights;
use idiolect_kernels::attention::{AttentionSequence, KV_BLOCK_SIZE, KvShape, attend};
use idiolect_kernels::elementwise::{rope, silu_times};
use idiolect_kernels::{Isa, Pool};

/// A forward step: what all its layers use.
pub(super) struct CpuStep<'a> {
    pub(super) n_heads: usize,
    pub(super) shape: KvShape,
    pub(super) rope: &'a RopeTables,
    pub(super) isa: Isa,
    pub(super) pool: &'a Pool,
    pub(super) segments: Vec<Segment<'a, CpuKv>>,
    pub(super) buffers: &'a mut Buffers,
}

/// Intermediate results of a layer, one row per token.
#[derive(Default)]
pub(super) struct Buffers {
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

/// New rows of one sequence that belong to one KV block.
struct BlockRows<'a> {
    /// Position of the first row in the sequence.
    position: usize,
    query: &'a mut [f32],
    key: &'a mut [f32],
    value: &'a [f32],
    kv_block: &'a mut [u16],
    outcome: idiolect_kernels::Result<()>,
}

impl CpuStep<'_> {
    /// Runs layer number `index` in place. `x`: `[n_rows, n_embd]`, the rows of all segments in
    /// order. Writes their keys and values to the segments' caches.
    pub(super) fn run_layer(
        &mut self,
        index: usize,
        layer: &LayerWeights<CpuForm>,
        x: &mut [f32],
    ) -> Result<()> {
        self.attention(index, layer, x)?;
        self.feed_forward(layer, x)
    }

    fn attention(
        &mut self,
        index: usize,
        layer: &LayerWeights<CpuForm>,
        x: &mut [f32],
    ) -> Result<()> {
        let Self { n_heads, shape, isa, pool, .. } = *self;
        let Buffers { normed, query, key, value, .. } = &mut *self.buffers;
        let n_rows = x.len() / layer.attention_norm.weight.len();
        normed.resize(x.len(), 0.0);
        layer.attention_norm.forward(x, normed, isa, pool)?;
        let mut outputs =
            [(&layer.query, &mut *query), (&layer.key, &mut *key), (&layer.value, &mut *value)];
        project(&mut outputs, normed, n_rows, pool)?;

        self.rotate_and_write(index, layer)?;
        let Buffers { query, attended, .. } = &mut *self.buffers;
        attended.resize(query.len(), 0.0);
        let segments = &self.segments;
        let kv_blocks: Vec<Vec<&[u16]>> = segments
            .iter()
            .map(|segment| layer_blocks(segment.cache, index, segment.n_rows))
            .collect();
        let sequences: Vec<AttentionSequence<'_>> = segments
            .iter()
            .zip(&kv_blocks)
            .map(|(segment, kv_blocks)| AttentionSequence {
                kv_blocks,
                first_row: segment.first_row,
                n_rows: segment.n_rows,
                start: segment.start,
            })
            .collect();
        attend(shape, n_heads, query, &sequences, attended, isa, pool).map_err(Error::wrap)?;
        layer.output.add_to(x, attended, n_rows, pool)
    }

    /// Normalizes the heads of queries and keys if the layer has such norms, rotates them (RoPE),
    /// and writes keys and values to the caches.
    fn rotate_and_write(&mut self, index: usize, layer: &LayerWeights<CpuForm>) -> Result<()> {
        let rotation = Rotation { n_heads: self.n_heads, shape: self.shape, rope: self.rope };
        let key_width = self.shape.n_kv_heads * self.shape.head_dim;
        let query_width = self.n_heads * self.shape.head_dim;
        let Buffers { query, key, value, .. } = &mut *self.buffers;
        let (mut query, mut key, mut value) = (&mut query[..], &mut key[..], &value[..]);
        let mut parts = Vec::new();
        for segment in &mut self.segments {
            let (mut position, end) = (segment.start, segment.start + segment.n_rows);
            for kv_block in next_layer_blocks(segment.cache, index, segment.n_rows) {
                let count = (KV_BLOCK_SIZE - position % KV_BLOCK_SIZE).min(end - position);
                parts.push(BlockRows {
                    position,
                    query: take(&mut query, count * query_width),
                    key: take(&mut key, count * key_width),
                    value: &value[..count * key_width],
                    kv_block: kv_block?,
                    outcome: Ok(()),
                });
                value = &value[count * key_width..];
                position += count;
            }
        }
        let isa = self.isa;
        self.pool.for_each(&mut parts, |_, rows| rows.outcome = rotation.apply(layer, rows, isa));
        parts.into_iter().try_for_each(|rows| rows.outcome).map_err(Error::wrap)
    }

    fn feed_forward(&mut self, layer: &LayerWeights<CpuForm>, x: &mut [f32]) -> Result<()> {
        let (isa, pool) = (self.isa, self.pool);
        let Buffers { normed, gate, up, .. } = &mut *self.buffers;
        let n_rows = x.len() / layer.feed_forward_norm.weight.len();
        layer.feed_forward_norm.forward(x, normed, isa, pool)?;
        let mut outputs = [(&layer.gate, &mut *gate), (&layer.up, &mut *up)];
        project(&mut outputs, normed, n_rows, pool)?;
        silu_times(gate, up, isa, pool).map_err(Error::wrap)?;
        layer.down.add_to(x, gate, n_rows, pool)
    }
}

/// Rotation of queries and keys by their positions.
struct Rotation<'a> {
    n_heads: usize,
    shape: KvShape,
    rope: &'a RopeTables,
}

impl Rotation<'_> {
    /// Normalizes and rotates queries and keys, and writes keys and values to the KV block.
    fn apply(
        &self,
        layer: &LayerWeights<CpuForm>,
        rows: &mut BlockRows<'_>,
        isa: Isa,
    ) -> idiolect_kernels::Result<()> {
        let RopeTables { pairs, half, cos, sin } = self.rope;
        let key_width = self.shape.n_kv_heads * self.shape.head_dim;
        if let Some(norm) = &layer.query_norm {
            norm.in_place(rows.query, isa)?;
        }
        if let Some(norm) = &layer.key_norm {
            norm.in_place(rows.key, isa)?;
        }
        let queries = rows.query.chunks_exact_mut(self.n_heads * self.shape.head_dim);
        let keys = rows.key.chunks_exact_mut(key_width);
        let values = rows.value.chunks_exact(key_width);
        for (index, ((query, key), value)) in queries.zip(keys).zip(values).enumerate() {
            let position = rows.position + index;
            let angles = position * half..(position + 1) * half;
            let (cos, sin) = (&cos[angles.clone()], &sin[angles]);
            rope(query, *pairs, cos, sin, isa)?;
            rope(key, *pairs, cos, sin, isa)?;
            self.shape.write(rows.kv_block, position % KV_BLOCK_SIZE, key, value)?;
        }
        Ok(())
    }
}

/// Splits off and returns the first `n` elements.
fn take<'a>(rest: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    let (first, others) = std::mem::take(rest).split_at_mut(n);
    *rest = others;
    first
}
