//! Encoder networks on this program's CPU kernels.
//!
//! The rows of some texts are concatenated without padding and go through a layer together; only
//! attention separates texts, and it never crosses from one to another. Texts are grouped by
//! length, so that the attention of the texts of a group takes similar time. If there are many
//! groups, they are distributed over the threads: each group passes through all layers on one
//! thread, with its activations in that core's cache. If there are few, all threads work on one
//! group at a time. The bits of a row do not depend on either.

use std::ops::Range;
use std::sync::Mutex;

use candle_core::DType;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_nn::VarBuilder;

use super::architecture::{Architecture, EncoderFamily};
use super::error::{Error, Result};
use super::options::EncoderPrecision;
use super::weights;
use crate::model::Pooling;
use idiolect_kernels::activation::{Activation, activate};
use idiolect_kernels::bidirectional::{ProjectedRows, QkvRows, attend};
use idiolect_kernels::layer_norm::LayerNorm;
use idiolect_kernels::linear::{ProductRows, forward_many};
use idiolect_kernels::{Isa, PackedLinear, Pool};

/// Maximum number of rows of a group, unless a single text is longer.
const ROWS: usize = 384;
/// Rows that go through the feed-forward layer at a time, so that the activations of a layer 1,536
/// wide stay in a core's own cache.
const ROWS_NEAR: usize = 128;
/// Groups per thread from which on each thread processes whole groups.
const GROUPS_A_THREAD: usize = 4;

/// A network with its weights packed.
pub(super) struct CpuEncoder {
    family: EncoderFamily,
    pad_token: u32,
    hidden_size: usize,
    intermediate_size: usize,
    n_heads: usize,
    activation: Activation,
    /// `[vocab_size, hidden_size]`.
    words: Vec<f32>,
    /// `[max_position_embeddings, hidden_size]`, with the embedding of token type 0 added.
    positions: Vec<f32>,
    norm: LayerNorm,
    layers: Vec<EncoderLayer>,
    isa: Isa,
    pool: Pool,
}

struct EncoderLayer {
    queries: EncoderLinear,
    keys: EncoderLinear,
    values: EncoderLinear,
    output: EncoderLinear,
    attention_norm: LayerNorm,
    up: EncoderLinear,
    down: EncoderLinear,
    norm: LayerNorm,
}

struct EncoderLinear {
    weight: PackedLinear,
    bias: Vec<f32>,
}

/// Buffers for the activations of a group; grown if a group needs more, and reused by the next.
#[derive(Default)]
struct Scratch {
    hidden: Vec<f32>,
    projected: [Vec<f32>; 3],
    mixed: Vec<f32>,
    wide: Vec<f32>,
}

/// Texts that go through the network together.
struct TextGroup {
    members: Vec<usize>,
    pooled: Result<Vec<Vec<f32>>>,
}

impl CpuEncoder {
    /// Packs the network from the bytes of a safetensors file.
    pub(super) fn load(
        architecture: &Architecture,
        safetensors: Vec<u8>,
        precision: EncoderPrecision,
        isa: Isa,
        pool: Pool,
    ) -> Result<Self> {
        let Architecture { hidden_size, intermediate_size, n_layers, .. } = *architecture;
        let device = candle_core::Device::Cpu;
        let tensors = VarBuilder::from_buffered_safetensors(safetensors, DType::F32, &device)?;
        let tensors = weights::network(tensors, architecture.family);
        let linear = |tensors: VarBuilder<'_>, rows, cols| -> Result<EncoderLinear> {
            let dtype = match precision {
                EncoderPrecision::F32 => GgmlDType::F32,
                EncoderPrecision::Int8 => GgmlDType::Q8_0,
            };
            let blocks = QTensor::quantize(&tensors.get((rows, cols), "weight")?, dtype)?;
            let weight = PackedLinear::from_blocks(&blocks.data()?, dtype, rows, cols, isa, &pool)?;
            Ok(EncoderLinear { weight, bias: tensors.get(rows, "bias")?.to_vec1()? })
        };
        let norm = |tensors: VarBuilder<'_>| -> Result<LayerNorm> {
            // Files converted from old checkpoints use the second names.
            let get = |names: [&'static str; 2]| {
                let name = names[usize::from(!tensors.contains_tensor(names[0]))];
                tensors.get(hidden_size, name)?.to_vec1::<f32>()
            };
            let eps = architecture.layer_norm_eps as f32;
            Ok(LayerNorm::new(get(["weight", "gamma"])?, get(["bias", "beta"])?, eps)?)
        };

        let embeddings = tensors.pp("embeddings");
        let table = |name: &str, rows: usize| -> Result<Vec<f32>> {
            let table = embeddings.pp(name).get((rows, hidden_size), "weight")?;
            Ok(table.flatten_all()?.to_vec1()?)
        };
        let words = table("word_embeddings", architecture.vocab_size)?;
        let mut positions = table("position_embeddings", architecture.max_position_embeddings)?;
        let types = table("token_type_embeddings", architecture.type_vocab_size)?;
        for position in positions.chunks_exact_mut(hidden_size) {
            position.iter_mut().zip(&types).for_each(|(x, of_type)| *x += of_type);
        }
        let layer = |index: usize| -> Result<EncoderLayer> {
            let tensors = tensors.pp(format!("encoder.layer.{index}"));
            let (attention, own) = (tensors.pp("attention"), tensors.pp("attention.self"));
            let square = |tensors| linear(tensors, hidden_size, hidden_size);
            Ok(EncoderLayer {
                queries: square(own.pp("query"))?,
                keys: square(own.pp("key"))?,
                values: square(own.pp("value"))?,
                output: square(attention.pp("output.dense"))?,
                attention_norm: norm(attention.pp("output.LayerNorm"))?,
                up: linear(tensors.pp("intermediate.dense"), intermediate_size, hidden_size)?,
                down: linear(tensors.pp("output.dense"), hidden_size, intermediate_size)?,
                norm: norm(tensors.pp("output.LayerNorm"))?,
            })
        };
        Ok(Self {
            family: architecture.family,
            pad_token: architecture.pad_token_id,
            hidden_size,
            intermediate_size,
            n_heads: architecture.n_heads,
            activation: architecture.activation,
            words,
            positions,
            norm: norm(embeddings.pp("LayerNorm"))?,
            layers: (0..n_layers).map(layer).collect::<Result<_>>()?,
            isa,
            pool,
        })
    }

    /// Returns the pooled last hidden states of texts of at least one token, in their order.
    pub(super) fn pooled(&self, texts: &[&[u32]], pooling: Pooling) -> Result<Vec<Vec<f32>>> {
        let mut groups = group(texts);
        let idle: Mutex<Vec<Scratch>> = Mutex::default();
        let work = |group: &mut TextGroup| {
            let texts: Vec<&[u32]> = group.members.iter().map(|&member| texts[member]).collect();
            let taken = idle.lock().map_or(None, |mut idle| idle.pop());
            let mut scratch = taken.unwrap_or_default();
            group.pooled = self.pooled_group(&texts, pooling, &mut scratch);
            if let Ok(mut idle) = idle.lock() {
                idle.push(scratch);
            }
        };
        if groups.len() >= GROUPS_A_THREAD * self.pool.threads() {
            self.pool.for_each(&mut groups, |_, group| work(group));
        } else {
            groups.iter_mut().for_each(work);
        }
        let mut pooled = vec![Vec::new(); texts.len()];
        for group in groups {
            for (member, vector) in group.members.into_iter().zip(group.pooled?) {
                pooled[member] = vector;
            }
        }
        Ok(pooled)
    }

    fn pooled_group(
        &self,
        texts: &[&[u32]],
        pooling: Pooling,
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<f32>>> {
        let mut end = 0;
        let ranges: Vec<Range<usize>> = texts
            .iter()
            .map(|text| {
                end += text.len();
                end - text.len()..end
            })
            .collect();
        let width = self.hidden_size;
        let Scratch { hidden, projected, mixed, wide } = scratch;
        hidden.resize(end * width, 0.0);
        for (text, range) in texts.iter().zip(&ranges) {
            self.look_up(text, &mut hidden[range.start * width..range.end * width])?;
        }
        self.norm.apply(hidden, self.isa, &self.pool)?;
        for layer in &self.layers {
            self.attention(layer, &ranges, hidden, projected, mixed)?;
            self.feed_forward(layer, hidden, &mut projected[0], wide)?;
        }
        let vector = |range: &Range<usize>| match pooling {
            Pooling::Mean => mean(&hidden[range.start * width..range.end * width], width),
            Pooling::Cls => hidden[range.start * width..][..width].to_vec(),
            Pooling::Last => hidden[(range.end - 1) * width..][..width].to_vec(),
        };
        Ok(ranges.iter().map(vector).collect())
    }

    /// Writes the sums of word, position and type embeddings to `rows`.
    fn look_up(&self, ids: &[u32], rows: &mut [f32]) -> Result<()> {
        let width = self.hidden_size;
        // Texts were truncated to `Architecture::n_positions`.
        let mut n_before = 0;
        for (&id, row) in ids.iter().zip(rows.chunks_exact_mut(width)) {
            let position = match self.family {
                EncoderFamily::Bert => n_before,
                // A padding token in a text has a position of its own and is not counted.
                EncoderFamily::Roberta if id == self.pad_token => self.pad_token as usize,
                EncoderFamily::Roberta => n_before + self.pad_token as usize + 1,
            };
            if self.family == EncoderFamily::Bert || id != self.pad_token {
                n_before += 1;
            }
            let word = self.words.get(id as usize * width..(id as usize + 1) * width);
            let place = self.positions.get(position * width..(position + 1) * width);
            let (Some(word), Some(place)) = (word, place) else {
                let n_words = self.words.len() / width;
                return Err(Error::NoEmbedding { id, position, n_words });
            };
            for ((x, word), place) in row.iter_mut().zip(word).zip(place) {
                *x = word + place;
            }
        }
        Ok(())
    }

    fn attention(
        &self,
        layer: &EncoderLayer,
        texts: &[Range<usize>],
        hidden: &mut [f32],
        projected: &mut [Vec<f32>; 3],
        mixed: &mut Vec<f32>,
    ) -> Result<()> {
        let (isa, pool) = (self.isa, &self.pool);
        let n_rows = hidden.len() / self.hidden_size;
        projected.iter_mut().for_each(|part| part.resize(hidden.len(), 0.0));
        mixed.resize(hidden.len(), 0.0);
        let EncoderLayer { queries, keys, values, output, .. } = layer;
        let weights = [queries, keys, values].map(|linear| &linear.weight);
        let mut parts = projected.each_mut().map(Vec::as_mut_slice);
        forward_many(&weights, hidden, ProductRows::exact(n_rows), &mut parts, pool)?;
        let [queries, keys, values] = [(queries, 0), (keys, 1), (values, 2)]
            .map(|(linear, i)| ProjectedRows { rows: &projected[i], bias: &linear.bias });
        let projections = QkvRows { n_heads: self.n_heads, queries, keys, values };
        attend(&projections, texts, mixed, isa, pool)?;
        output.weight.forward(mixed, n_rows, &mut projected[0], pool)?;
        layer.attention_norm.apply_to_sum(hidden, &projected[0], &output.bias, isa, pool)?;
        Ok(())
    }

    fn feed_forward(
        &self,
        layer: &EncoderLayer,
        hidden: &mut [f32],
        narrow: &mut [f32],
        wide: &mut Vec<f32>,
    ) -> Result<()> {
        let (isa, pool) = (self.isa, &self.pool);
        let part = ROWS_NEAR * self.hidden_size;
        for (hidden, narrow) in hidden.chunks_mut(part).zip(narrow.chunks_mut(part)) {
            let n_rows = hidden.len() / self.hidden_size;
            wide.resize(n_rows * self.intermediate_size, 0.0);
            layer.up.weight.forward(hidden, n_rows, wide, pool)?;
            activate(wide, &layer.up.bias, self.activation, isa, pool)?;
            layer.down.weight.forward(wide, n_rows, narrow, pool)?;
            layer.norm.apply_to_sum(hidden, narrow, &layer.down.bias, isa, pool)?;
        }
        Ok(())
    }
}

/// Groups texts by length, longest first, so that no thread starts a long text when the others are
/// already done.
fn group(texts: &[&[u32]]) -> Vec<TextGroup> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(texts[i].len()), i));
    let mut groups: Vec<TextGroup> = Vec::new();
    let mut rows = 0;
    for index in order {
        rows += texts[index].len();
        match groups.last_mut() {
            Some(group) if rows <= ROWS => group.members.push(index),
            _ => {
                rows = texts[index].len();
                groups.push(TextGroup { members: vec![index], pooled: Ok(Vec::new()) });
            }
        }
    }
    groups
}

fn mean(rows: &[f32], width: usize) -> Vec<f32> {
    let mut mean = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    let n = (rows.len() / width) as f32;
    mean.iter_mut().for_each(|sum| *sum /= n);
    mean
}
