//! The interface of a decoder, its options, and the rows of a batch.

use std::sync::Arc;

use candle_core::Device;

use super::cache::{KvCache, KvLayout, KvPool};
use super::config::DecoderConfig;
use crate::lm::{Adapter, AdapterShape, Error, Result};
use idiolect_kernels::attention::KvPrecision;
use idiolect_kernels::{Isa, Pool};

/// A loaded model. It holds no state of a sequence; that is in the [`KvCache`].
pub trait Decoder: Send + Sync + 'static {
    /// Layout of the KV blocks of its caches.
    type Layout: KvLayout;
    /// Output of the last layer, `[n_rows, n_embd]`.
    type Hidden;

    /// Shapes and constants of the model.
    fn config(&self) -> &DecoderConfig;

    /// Layout and memory of the KV blocks of all its caches.
    fn kv_pool(&self) -> &Arc<KvPool<Self::Layout>>;

    /// Runs new tokens of any number of sequences through all layers and appends them to their
    /// caches. Returns the last layer's output, the rows of all sequences in order;
    /// [`Decoder::logits`] computes the logits of selected rows.
    ///
    /// Sequences with rows of prompts come first. On an error the caches keep their content.
    ///
    /// # Errors
    /// The batch or a sequence is empty, rows of a prompt follow others, a sequence exceeds the context window, a token id is
    /// outside of the vocabulary, or a tensor operation fails.
    fn forward(&self, batch: &mut [BatchRows<'_, Self::Layout>]) -> Result<Self::Hidden>;

    /// Replaces the content of `logits` with the logits of the token after each of the given rows
    /// of `hidden`: `[rows.len()][n_vocab]`.
    ///
    /// # Errors
    /// A tensor operation fails.
    fn logits(&self, hidden: &Self::Hidden, rows: &[u32], logits: &mut Vec<f32>) -> Result<()>;

    /// Replaces the content of `states` with the given rows of `hidden` behind the final norm, which the
    /// output head reads: `[rows.len()][n_embd]`.
    ///
    /// # Errors
    /// A tensor operation fails.
    fn states(&self, hidden: &Self::Hidden, rows: &[u32], states: &mut Vec<f32>) -> Result<()>;

    /// Whether a row's result depends on its own sequence (and the kinds of its rows) only, bit for
    /// bit, regardless of the rest of the batch and of how the sequence was split into chunks.
    fn is_exact(&self) -> bool;

    /// Whether the bits of keys and values depend on the kind of their rows. Those of a text must
    /// then not be reused for a prompt.
    fn separates_prompts(&self) -> bool {
        false
    }

    /// Worker threads of the kernels on the CPU; `None` if they are not used.
    fn pool(&self) -> Option<&Pool>;

    /// Creates an empty cache for this model.
    fn empty_cache(&self) -> KvCache<Self::Layout> {
        KvCache::new(Arc::clone(self.kv_pool()))
    }
}

/// Purpose of the rows of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// Only their keys and values are needed. A decoder that
    /// [separates prompts](Decoder::separates_prompts) computes them by faster operations, which
    /// give other bits.
    Prompt,
    /// Logits may be computed from them.
    Text,
}

/// Tokens of one sequence to run, and the cache of the tokens before them.
pub struct BatchRows<'a, L: KvLayout> {
    /// New tokens, in order; at least one.
    pub tokens: &'a [u32],
    /// Purpose of all these rows.
    pub kind: RowKind,
    /// The sequence's cache; the new tokens are appended.
    pub cache: &'a mut KvCache<L>,
    /// Changes of the model for this sequence, the same for all of its rows. Soft token `i` of the adapter has
    /// the id `n_vocab + i`.
    pub adapter: Option<&'a Adapter>,
}

/// Form in which weights are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightPrecision {
    /// At the precision of the file, in the layout of our own kernels; activations are quantized
    /// for the product. On devices other than the CPU this equals `Stored`.
    #[default]
    Packed,
    /// As stored in the file, multiplied by candle.
    Stored,
    /// Dequantized to f32: slow, large, and the reference for the other two.
    Dequantized,
}

/// Options for loading a decoder.
#[derive(Debug, Clone)]
pub struct DecoderOptions {
    /// Device that it runs on.
    pub device: Device,
    /// Form in which its weights are kept in memory.
    pub precision: WeightPrecision,
    /// Context window, tokens; `None` uses the model's own.
    pub context: Option<usize>,
    /// Number of worker threads of the kernels on the CPU; 0 means one per core.
    pub threads: usize,
    /// Instruction set of the kernels on the CPU.
    pub isa: Isa,
    /// Precision of keys and values in the kernels on the CPU; [`CandleDecoder`](super::CandleDecoder) keeps f32.
    pub kv_precision: KvPrecision,
}

/// One sequence's rows within a batch, and the cache that they read and extend.
pub(super) struct Segment<'a, L: KvLayout> {
    /// First row of this sequence in the batch.
    pub(super) first_row: usize,
    pub(super) n_rows: usize,
    /// Position of the first row in the sequence.
    pub(super) start: usize,
    pub(super) cache: &'a mut KvCache<L>,
    pub(super) adapter: Option<&'a Adapter>,
}

/// Input rows of a batch.
pub(super) struct InputRows<'a> {
    /// Token ids of all rows; that of a soft token is 0.
    pub(super) ids: Vec<u32>,
    /// Rows that are soft tokens, in order, and their values.
    pub(super) soft: Vec<(usize, &'a [f32])>,
}

/// Checks a batch and allocates cache space for its rows. Returns the input rows, and the segments in
/// order.
pub(super) fn segments<'a, L: KvLayout>(
    config: &DecoderConfig,
    batch: &'a mut [BatchRows<'_, L>],
) -> Result<(InputRows<'a>, Vec<Segment<'a, L>>)> {
    if batch.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    batch.iter().try_for_each(|rows| check(config, rows))?;
    if batch.windows(2).any(|two| (two[0].kind, two[1].kind) == (RowKind::Text, RowKind::Prompt)) {
        return Err(Error::Engine("was given rows of a prompt after others".to_owned()));
    }
    let (mut ids, mut soft) = (Vec::new(), Vec::new());
    let mut segments = Vec::with_capacity(batch.len());
    for rows in batch {
        let (first_row, n_rows) = (ids.len(), rows.tokens.len());
        rows.cache.reserve(n_rows)?;
        let start = rows.cache.len();
        let adapter = rows.adapter;
        segments.push(Segment { first_row, n_rows, start, cache: &mut *rows.cache, adapter });
        ids.extend_from_slice(rows.tokens);
        let Some(adapter) = adapter else { continue };
        for (row, id) in ids.iter_mut().enumerate().skip(first_row) {
            if let Some(number) = (*id as usize).checked_sub(config.n_vocab) {
                soft.push((row, adapter.soft_tokens()[number].as_slice()));
                *id = 0;
            }
        }
    }
    Ok((InputRows { ids, soft }, segments))
}

fn check<L: KvLayout>(config: &DecoderConfig, rows: &BatchRows<'_, L>) -> Result<()> {
    let len = rows.cache.len();
    if rows.tokens.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    if len + rows.tokens.len() > config.context {
        return Err(Error::TooLong {
            prompt: len,
            max_tokens: rows.tokens.len(),
            context: config.context,
        });
    }
    if let Some(adapter) = rows.adapter {
        adapter.check_shape(AdapterShape::of(config))?;
    }
    let n_soft = rows.adapter.map_or(0, |adapter| adapter.soft_tokens().len());
    match rows.tokens.iter().find(|id| **id as usize >= config.n_vocab + n_soft) {
        Some(id) => Err(Error::Token { id: *id, n_vocab: config.n_vocab }),
        None => Ok(()),
    }
}
