//! One transformer layer on our own kernels: attention and feed-forward, each with its norms and a
//! residual connection.

use candle_core::{Error, Result};

use super::feed_forward::{ExpertBuffers, GatedKernels};
use super::kv::{CpuKv, layer_blocks, next_layer_blocks};
use super::weights::{CpuForm, CpuLinear, CpuNorm, project};
use crate::lm::decoder::config::{DecoderConfig, QueryGrowth};
use crate::lm::decoder::interface::Segment;
use crate::lm::decoder::rope::{LayerRopes, RopeTables};
use crate::lm::decoder::weights::{FeedForward, LayerWeights};
use idiolect_kernels::attention::{AttentionSequence, KV_BLOCK_SIZE, KvShape, attend};
use idiolect_kernels::elementwise::{add_scaled, rope};
use idiolect_kernels::linear::ProductRows;
use idiolect_kernels::{Isa, Pool};

/// A forward step: what all its layers use.
pub(super) struct CpuStep<'a> {
    pub(super) config: &'a DecoderConfig,
    pub(super) shape: KvShape,
    pub(super) ropes: &'a LayerRopes<RopeTables>,
    pub(super) isa: Isa,
    pub(super) pool: &'a Pool,
    /// Rows of all segments, those of prompts first.
    pub(super) rows: ProductRows,
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
    /// Output of a part of the layer, before it is added to the residual stream.
    part: Vec<f32>,
    experts: ExpertBuffers,
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
        let Self { shape, isa, pool, rows, .. } = *self;
        let Buffers { normed, query, key, value, .. } = &mut *self.buffers;
        let input = normed_or_same(layer.attention_norm.as_ref(), x, normed, isa, pool)?;
        let mut outputs =
            [(&layer.query, &mut *query), (&layer.key, &mut *key), (&layer.value, &mut *value)];
        project(&mut outputs, input, rows, pool)?;
        let width = self.config.n_embd;
        for segment in &self.segments {
            let Some(added) = segment.adapter.and_then(|adapter| adapter.layer(index)) else {
                continue;
            };
            let input = &input[segment.first_row * width..][..segment.n_rows * width];
            for (product, output) in [(&added.query, &mut *query), (&added.value, &mut *value)] {
                let Some(product) = product else { continue };
                let n_out = product.n_out();
                let output = &mut output[segment.first_row * n_out..][..segment.n_rows * n_out];
                product.add_to(output, input, pool).map_err(Error::wrap)?;
            }
        }

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
        let settings = self.config.attention(index);
        attend(shape, &settings, query, &sequences, attended, isa, pool).map_err(Error::wrap)?;
        let output = PartOutput {
            norm: layer.attention_post_norm.as_ref(),
            factor: self.config.residual_factor,
            rows,
            isa,
            pool,
        };
        let Buffers { normed, attended, part, .. } = &mut *self.buffers;
        output.project(&layer.output, attended, x, part, normed)
    }

    /// Normalizes the heads of queries and keys if the layer has such norms, rotates them (RoPE),
    /// and writes keys and values to the caches.
    fn rotate_and_write(&mut self, index: usize, layer: &LayerWeights<CpuForm>) -> Result<()> {
        let rotation = Rotation {
            n_heads: self.config.n_heads,
            shape: self.shape,
            rope: self.ropes.of(self.config.layers[index].rotation),
            growth: self.config.query_growth,
        };
        let key_width = self.shape.n_kv_heads * self.shape.head_dim;
        let query_width = self.config.n_heads * self.shape.head_dim;
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
        let (isa, pool, rows) = (self.isa, self.pool, self.rows);
        let Buffers { normed, gate, up, part, experts, .. } = &mut *self.buffers;
        let input = normed_or_same(layer.feed_forward_norm.as_ref(), x, normed, isa, pool)?;
        let kernels = GatedKernels { activation: self.config.family.gate_activation(), isa, pool };
        let output = PartOutput {
            norm: layer.feed_forward_post_norm.as_ref(),
            factor: self.config.residual_factor,
            rows,
            isa,
            pool,
        };
        match (&layer.feed_forward, self.config.experts) {
            (FeedForward::Experts(weights), Some(counts)) => {
                part.resize(x.len(), 0.0);
                kernels.mix(weights, counts, (input, rows), part, experts)?;
                output.add(x, part, normed)
            }
            (FeedForward::Dense(weights), _) => {
                kernels.gate(weights, input, rows, gate, up)?;
                output.project(&weights.down, gate, x, part, normed)
            }
            (FeedForward::Experts(_), None) => {
                candle_core::bail!("a mixture of experts without their number")
            }
        }
    }
}

/// Returns the rows of `x`, normalized into `normed` if there is a norm.
fn normed_or_same<'a>(
    norm: Option<&CpuNorm>,
    x: &'a [f32],
    normed: &'a mut Vec<f32>,
    isa: Isa,
    pool: &Pool,
) -> Result<&'a [f32]> {
    let Some(norm) = norm else { return Ok(x) };
    normed.resize(x.len(), 0.0);
    norm.forward(x, normed, isa, pool)?;
    Ok(normed)
}

/// Addition of the output of attention or feed-forward to the residual stream.
struct PartOutput<'a> {
    norm: Option<&'a CpuNorm>,
    factor: f32,
    rows: ProductRows,
    isa: Isa,
    pool: &'a Pool,
}

impl PartOutput<'_> {
    /// `x += factor * norm(linear(input))`. `part` and `normed` are overwritten.
    fn project(
        &self,
        linear: &CpuLinear,
        input: &[f32],
        x: &mut [f32],
        part: &mut Vec<f32>,
        normed: &mut Vec<f32>,
    ) -> Result<()> {
        if self.norm.is_none() && self.factor == 1.0 {
            return linear.add_to(x, input, self.rows, self.pool);
        }
        project(&mut [(linear, &mut *part)], input, self.rows, self.pool)?;
        self.add(x, part, normed)
    }

    /// `x += factor * norm(part)`. `normed` is overwritten.
    fn add(&self, x: &mut [f32], part: &[f32], normed: &mut Vec<f32>) -> Result<()> {
        let part = normed_or_same(self.norm, part, normed, self.isa, self.pool)?;
        add_scaled(x, part, self.factor).map_err(Error::wrap)
    }
}

/// Rotation of queries and keys by their positions.
struct Rotation<'a> {
    n_heads: usize,
    shape: KvShape,
    /// `None` if the layer does not rotate.
    rope: Option<&'a RopeTables>,
    growth: Option<QueryGrowth>,
}

impl Rotation<'_> {
    /// Normalizes and rotates queries and keys, and writes keys and values to the KV block.
    fn apply(
        &self,
        layer: &LayerWeights<CpuForm>,
        rows: &mut BlockRows<'_>,
        isa: Isa,
    ) -> idiolect_kernels::Result<()> {
        let head_dim = self.shape.head_dim;
        let key_width = self.shape.n_kv_heads * head_dim;
        if let Some(norm) = &layer.query_norm {
            norm.in_place(rows.query, isa)?;
        }
        if let Some(norm) = &layer.key_norm {
            norm.in_place(rows.key, isa)?;
        }
        let queries = rows.query.chunks_exact_mut(self.n_heads * head_dim);
        let keys = rows.key.chunks_exact_mut(key_width);
        let values = rows.value.chunks_exact(key_width);
        for (index, ((query, key), value)) in queries.zip(keys).zip(values).enumerate() {
            let position = rows.position + index;
            if let Some(tables) = self.rope {
                let (cos, sin) = tables.at(position);
                rope(query, head_dim, tables.pairs, cos, sin, isa)?;
                rope(key, head_dim, tables.pairs, cos, sin, isa)?;
            }
            if let Some(growth) = self.growth {
                let factor = growth.factor(position);
                query.iter_mut().for_each(|x| *x *= factor);
            }
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
