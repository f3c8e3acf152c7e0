//! Rows of a batch: new tokens of some sequences, each with the sequence's cache.

use super::cache::{KvCache, KvLayout};
use super::config::DecoderConfig;
use crate::lm::{Error, Result};

/// Tokens of one sequence to run, and the cache of the tokens before them.
pub struct BatchRows<'a, L: KvLayout> {
    /// New tokens, in order; at least one.
    pub tokens: &'a [u32],
    /// The sequence's cache; the new tokens are appended.
    pub cache: &'a mut KvCache<L>,
}

/// One sequence's rows within a batch, and the cache that they read and extend.
pub(super) struct Segment<'a, L: KvLayout> {
    /// First row of this sequence in the batch.
    pub(super) first_row: usize,
    pub(super) n_rows: usize,
    /// Position of the first row in the sequence.
    pub(super) start: usize,
    pub(super) cache: &'a mut KvCache<L>,
}

/// Checks a batch and allocates cache space for its rows. Returns the token ids of all rows, and
/// the segments in order.
pub(super) fn segments<'a, L: KvLayout>(
    config: &DecoderConfig,
    batch: &'a mut [BatchRows<'_, L>],
) -> Result<(Vec<u32>, Vec<Segment<'a, L>>)> {
    if batch.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    batch.iter().try_for_each(|rows| check(config, rows))?;
    let mut ids = Vec::new();
    let mut segments = Vec::with_capacity(batch.len());
    for rows in batch {
        let (first_row, n_rows) = (ids.len(), rows.tokens.len());
        rows.cache.reserve(n_rows)?;
        let start = rows.cache.len();
        segments.push(Segment { first_row, n_rows, start, cache: &mut *rows.cache });
        ids.extend_from_slice(rows.tokens);
    }
    Ok((ids, segments))
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
    match rows.tokens.iter().find(|id| **id as usize >= config.n_vocab) {
        Some(id) => Err(Error::Token { id: *id, n_vocab: config.n_vocab }),
        None => Ok(()),
    }
}
