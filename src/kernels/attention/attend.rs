//! Distribution of attention over threads.

#![allow(unsafe_code)]

use super::layout::{KV_BLOCK_SIZE, KvShape};
use super::plan::{AttentionPlan, AttentionSequence, BlockSpan, RowBlock, cut, plan};
use super::softmax_state::{merge_states, state_len};
use super::tile::{AttentionUnit, attend_blocks};
use crate::error::check_length;
use crate::shared::Shared;
use crate::{Error, Isa, Pool, Result};

/// Tasks per thread; with fewer row blocks than this, the KV blocks of a row block are distributed
/// too.
const TASKS_A_THREAD: usize = 4;

/// Properties of the attention of one layer, besides the shape of its keys and values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionSettings {
    /// Number of query heads, a multiple of the key heads.
    pub n_heads: usize,
    /// Factor of the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// Number of positions that a row sees, its own included (sliding window, arXiv 2004.05150,
    /// section 3.1); at least 1, `None` for all.
    pub window: Option<usize>,
    /// Soft cap of the scaled scores: `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
}

/// Attention of the rows of some sequences. `queries` and `out` are `[n_rows, n_heads, head_dim]`,
/// the rows of all sequences one after another. Query head `h` uses key head
/// `h / (n_heads / n_kv_heads)`.
///
/// # Errors
/// A length does not match its shape, the query heads are not a multiple of the key heads, the
/// window is 0, or a sequence has too few KV blocks for the positions of its rows.
pub fn attend(
    shape: KvShape,
    settings: &AttentionSettings,
    queries: &[f32],
    sequences: &[AttentionSequence<'_>],
    out: &mut [f32],
    isa: Isa,
    pool: &Pool,
) -> Result<()> {
    check(shape, settings, queries, sequences, out)?;
    let AttentionSettings { n_heads, scale, soft_cap, .. } = *settings;
    let window = settings.window.unwrap_or(usize::MAX);
    let width = n_heads * shape.head_dim;
    let blocks = cut(shape, window, sequences);
    let group = n_heads / shape.n_kv_heads;
    let dim = shape.padded_dim();
    let out = Shared::new(out);
    let wanted = pool.threads() * TASKS_A_THREAD;

    // The members of a unit share a key head and the KV blocks that are processed.
    let unit_of = |members: &[&RowBlock<'_>], work: &mut dyn FnMut(&AttentionUnit<'_>)| {
        let (queries, positions) = gather(shape, (n_heads, scale), queries, members);
        let [first, ..] = members else { return };
        work(&AttentionUnit {
            queries: &queries,
            n_rows: positions.len(),
            dim,
            positions: &positions,
            kv_blocks: first.sequence.kv_blocks,
            keys_at: first.kv_head * shape.head_len(),
            values_at: (shape.n_kv_heads + first.kv_head) * shape.head_len(),
            window,
            soft_cap,
        });
    };
    let scatter = |block: &RowBlock<'_>, mixed: &[f32]| {
        let mut rows = mixed.chunks_exact(dim);
        for index in 0..block.count {
            let row = block.sequence.first_row + block.first + index - block.sequence.start;
            let at = row * width + block.kv_head * group * shape.head_dim;
            // SAFETY: each row block has its own rows and heads.
            let out = unsafe { out.part(at..at + group * shape.head_dim) };
            for (out, row) in out.chunks_exact_mut(shape.head_dim).zip(&mut rows) {
                out.copy_from_slice(&row[..shape.head_dim]);
            }
        }
    };
    let end = |block: &RowBlock<'_>, states: &mut [f32]| {
        let n_rows = block.count * group;
        let mut mixed = vec![0.0; n_rows * dim];
        // SAFETY: the states cover whole KV blocks with `n_rows` rows each.
        unsafe { merge_states(isa, states, n_rows, dim, &mut mixed) };
        scatter(block, &mixed);
    };

    let AttentionPlan { whole, spans, merged } = plan(&blocks, group, wanted);
    // States of the row blocks whose KV blocks are processed in spans, `[block][row]`.
    let mut states: Vec<Vec<f32>> = blocks.iter().map(|_| Vec::new()).collect();
    for &index in &merged {
        let block = &blocks[index];
        states[index] = vec![0.0; block.n_kv_blocks() * block.count * group * state_len(dim)];
    }
    {
        let states: Vec<_> = states.iter_mut().map(|states| Shared::new(states)).collect();
        let one_span = |span: &BlockSpan| {
            let members: Vec<&RowBlock<'_>> = span.blocks.iter().map(|i| &blocks[*i]).collect();
            let n_rows: usize = members.iter().map(|block| block.count * group).sum();
            let mut found = vec![0.0; span.n_kv_blocks * n_rows * state_len(dim)];
            unit_of(&members, &mut |unit| {
                // SAFETY: one state per KV block and row; `check` has verified that the KV blocks
                // exist.
                unsafe {
                    attend_blocks(
                        isa,
                        shape.precision,
                        unit,
                        span.first_kv_block,
                        span.n_kv_blocks,
                        &mut found,
                    )
                };
            });
            for (kv_block, mut found) in found.chunks_exact(n_rows * state_len(dim)).enumerate() {
                for (index, block) in span.blocks.iter().zip(&members) {
                    let len = block.count * group * state_len(dim);
                    let at = (span.first_kv_block + kv_block - block.first_kv_block) * len;
                    // SAFETY: spans do not overlap.
                    unsafe { states[*index].part(at..at + len) }.copy_from_slice(&found[..len]);
                    found = &found[len..];
                }
            }
        };
        // Later row blocks see more positions, so they come first.
        pool.run(whole.len() + spans.len(), |task| {
            let Some(task) = task.checked_sub(spans.len()) else {
                return one_span(&spans[task]);
            };
            let block = &blocks[whole[whole.len() - 1 - task]];
            let mut states = vec![0.0; block.count * group * state_len(dim)];
            unit_of(&[block], &mut |unit| {
                // SAFETY: one state per row; `check` has verified that the KV blocks exist and are
                // complete.
                unsafe {
                    attend_blocks(
                        isa,
                        shape.precision,
                        unit,
                        block.first_kv_block,
                        block.n_kv_blocks(),
                        &mut states,
                    )
                };
            });
            end(block, &mut states);
        });
    }
    let states = Shared::new(&mut states);
    pool.run(merged.len(), |task| {
        let index = merged[task];
        // SAFETY: each task takes only the states of its own row block.
        let states = unsafe { states.part(index..index + 1) };
        end(&blocks[index], &mut states[0]);
    });
    Ok(())
}

fn check(
    shape: KvShape,
    settings: &AttentionSettings,
    queries: &[f32],
    sequences: &[AttentionSequence<'_>],
    out: &[f32],
) -> Result<()> {
    let error = |what, got, expected| Error::Shape { operation: "attention", what, got, expected };
    let n_heads = settings.n_heads;
    if settings.window == Some(0) {
        return Err(error("the window", 0, "at least 1"));
    }
    if shape.n_kv_heads == 0 || !n_heads.is_multiple_of(shape.n_kv_heads) {
        return Err(error("the number of heads", n_heads, "a multiple of the key heads"));
    }
    let n_rows: usize = sequences.iter().map(|sequence| sequence.n_rows).sum();
    check_length("attention", "queries", queries.len(), n_rows * n_heads * shape.head_dim)?;
    check_length("attention", "the output", out.len(), queries.len())?;
    let mut row = 0;
    for sequence in sequences {
        if sequence.first_row != row {
            return Err(error(
                "a sequence's first row",
                sequence.first_row,
                "the one after the last",
            ));
        }
        row += sequence.n_rows;
        if sequence.kv_blocks.len() * KV_BLOCK_SIZE < sequence.start + sequence.n_rows {
            return Err(error(
                "the number of KV blocks",
                sequence.kv_blocks.len(),
                "one for 64 positions",
            ));
        }
        for kv_block in sequence.kv_blocks {
            check_length("attention", "a KV block", kv_block.len(), shape.block_len())?;
        }
    }
    Ok(())
}

/// Returns the queries of some row blocks, scaled and padded,
/// `[block][position][head of the group][dim]`, and the position of each row.
fn gather(
    shape: KvShape,
    (n_heads, scale): (usize, f32),
    queries: &[f32],
    blocks: &[&RowBlock<'_>],
) -> (Vec<f32>, Vec<usize>) {
    let (group, dim) = (n_heads / shape.n_kv_heads, shape.padded_dim());
    let n_rows: usize = blocks.iter().map(|block| block.count * group).sum();
    let mut rows = vec![0.0; n_rows * dim];
    let mut positions = Vec::with_capacity(n_rows);
    let mut places = rows.chunks_exact_mut(dim);
    for block in blocks {
        for position in block.first..block.first + block.count {
            let row = block.sequence.first_row + position - block.sequence.start;
            for head in block.kv_head * group..(block.kv_head + 1) * group {
                let query = &queries[(row * n_heads + head) * shape.head_dim..][..shape.head_dim];
                positions.push(position);
                if let Some(place) = places.next() {
                    place.iter_mut().zip(query).for_each(|(place, x)| *place = x * scale);
                }
            }
        }
    }
    (rows, positions)
}
