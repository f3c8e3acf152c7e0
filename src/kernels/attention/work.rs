//! How attention is shared out among threads.

#![allow(unsafe_code)]

use half::f16;

use super::tile::{Unit, attend_runs, finish, state_len};
use super::{KvShape, RUN};
use crate::kernels::error::check_length;
use crate::kernels::shared::Shared;
use crate::kernels::{Error, Pool, Result, Tier};

/// Tasks a thread below which the runs of a row are shared out as well.
const TASKS_A_THREAD: usize = 4;

/// New rows of one sequence, and what they see.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    /// The sequence's runs from its beginning, the new rows' own keys and values among them.
    pub runs: &'a [&'a [f16]],
    /// The first of its rows in the batch.
    pub first_row: usize,
    /// Its rows in the batch.
    pub n_rows: usize,
    /// Position of the first of its rows in the sequence; it sees all positions up to its own.
    pub start: usize,
}

/// One key head of the rows of one sequence that lie in one run.
#[derive(Clone, Copy)]
struct Block<'a> {
    sequence: Sequence<'a>,
    kv_head: usize,
    /// First position and number of positions.
    first: usize,
    count: usize,
}

impl Block<'_> {
    fn n_runs(&self) -> usize {
        self.first / RUN + 1
    }
}

/// Attention of the rows of some sequences: `queries` and `out` are
/// `[n_rows, n_heads, head_dim]`, the rows of all sequences one after another. Scores are scaled
/// by `1 / sqrt(head_dim)`; query head `h` uses key head `h / (n_heads / n_kv_heads)`.
///
/// # Errors
/// A length does not fit the shape, `n_heads` is not a multiple of the key heads, or a sequence
/// has fewer runs than its rows' positions.
pub fn attend(
    shape: KvShape,
    n_heads: usize,
    queries: &[f32],
    sequences: &[Sequence<'_>],
    out: &mut [f32],
    tier: Tier,
    pool: &Pool,
) -> Result<()> {
    let width = n_heads * shape.head_dim;
    check(shape, n_heads, queries, sequences, out)?;
    let blocks = cut(shape, sequences);
    let group = n_heads / shape.n_kv_heads;
    let dim = shape.padded_dim();
    let out = Shared::new(out);
    let wanted = pool.threads() * TASKS_A_THREAD;

    let unit_of = |block: &Block<'_>, work: &mut dyn FnMut(&Unit<'_>)| {
        let (queries, positions) = gather(shape, n_heads, queries, block);
        work(&Unit {
            queries: &queries,
            n_rows: positions.len(),
            dim,
            positions: &positions,
            runs: block.sequence.runs,
            keys_at: block.kv_head * shape.head_len(),
            values_at: (shape.n_kv_heads + block.kv_head) * shape.head_len(),
        });
    };
    let scatter = |block: &Block<'_>, mixed: &[f32]| {
        let mut rows = mixed.chunks_exact(dim);
        for index in 0..block.count {
            let row = block.sequence.first_row + block.first + index - block.sequence.start;
            let at = row * width + block.kv_head * group * shape.head_dim;
            // SAFETY: a block has its own rows and heads.
            let out = unsafe { out.part(at..at + group * shape.head_dim) };
            for (out, row) in out.chunks_exact_mut(shape.head_dim).zip(&mut rows) {
                out.copy_from_slice(&row[..shape.head_dim]);
            }
        }
    };
    let end = |block: &Block<'_>, states: &mut [f32]| {
        let n_rows = block.count * group;
        let mut mixed = vec![0.0; n_rows * dim];
        // SAFETY: states of whole runs of `n_rows` rows.
        unsafe { finish(tier, states, n_rows, dim, &mut mixed) };
        scatter(block, &mixed);
    };

    let n_runs: usize = blocks.iter().map(Block::n_runs).sum();
    if blocks.len() >= wanted || n_runs <= blocks.len() {
        // Later blocks see more and come first.
        pool.run(blocks.len(), |task| {
            let block = &blocks[blocks.len() - 1 - task];
            let mut states = vec![0.0; block.count * group * state_len(dim)];
            unit_of(block, &mut |unit| {
                // SAFETY: one state a row; `check` has seen that the runs are there and whole.
                unsafe { attend_runs(tier, unit, 0, block.n_runs(), &mut states) };
            });
            end(block, &mut states);
        });
        return Ok(());
    }

    // Few blocks: their runs are shared out too, and joined afterwards.
    let each = n_runs.div_ceil(wanted);
    let mut states: Vec<Vec<f32>> = blocks
        .iter()
        .map(|block| vec![0.0; block.n_runs() * block.count * group * state_len(dim)])
        .collect();
    let pieces: Vec<(usize, usize)> = blocks
        .iter()
        .enumerate()
        .flat_map(|(index, block)| (0..block.n_runs()).step_by(each).map(move |run| (index, run)))
        .collect();
    {
        let states: Vec<_> = states.iter_mut().map(|states| Shared::new(states)).collect();
        pool.run(pieces.len(), |task| {
            let (index, first) = pieces[task];
            let block = &blocks[index];
            let n_runs = each.min(block.n_runs() - first);
            let run_len = block.count * group * state_len(dim);
            // SAFETY: pieces do not overlap.
            let states = unsafe { states[index].part(first * run_len..(first + n_runs) * run_len) };
            // SAFETY: a state for each run and row; `check` has seen that the runs are there.
            unit_of(block, &mut |unit| unsafe {
                attend_runs(tier, unit, first, n_runs, states);
            });
        });
    }
    let states = Shared::new(&mut states);
    pool.run(blocks.len(), |index| {
        // SAFETY: each task has its own block's.
        let states = unsafe { states.part(index..index + 1) };
        end(&blocks[index], &mut states[0]);
    });
    Ok(())
}

fn check(
    shape: KvShape,
    n_heads: usize,
    queries: &[f32],
    sequences: &[Sequence<'_>],
    out: &[f32],
) -> Result<()> {
    let error = |what, got, expected| Error::Shape { operation: "attention", what, got, expected };
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
        if sequence.runs.len() * RUN < sequence.start + sequence.n_rows {
            return Err(error("the number of runs", sequence.runs.len(), "one for 64 positions"));
        }
        for run in sequence.runs {
            check_length("attention", "a run", run.len(), shape.run_len())?;
        }
    }
    Ok(())
}

/// Cuts rows where runs end, one block for each key head.
fn cut<'a>(shape: KvShape, sequences: &[Sequence<'a>]) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    for &sequence in sequences {
        let mut first = sequence.start;
        let end = sequence.start + sequence.n_rows;
        while first < end {
            let count = (RUN - first % RUN).min(end - first);
            blocks.extend((0..shape.n_kv_heads).map(|kv_head| Block {
                sequence,
                kv_head,
                first,
                count,
            }));
            first += count;
        }
    }
    blocks
}

/// Queries of a block, scaled and padded, `[position][head of the group][dim]`, and the position
/// of each row.
fn gather(
    shape: KvShape,
    n_heads: usize,
    queries: &[f32],
    block: &Block<'_>,
) -> (Vec<f32>, Vec<usize>) {
    let (group, dim) = (n_heads / shape.n_kv_heads, shape.padded_dim());
    let scale = 1.0 / (shape.head_dim as f32).sqrt();
    let mut rows = vec![0.0; block.count * group * dim];
    let mut positions = Vec::with_capacity(block.count * group);
    let mut places = rows.chunks_exact_mut(dim);
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
    (rows, positions)
}
