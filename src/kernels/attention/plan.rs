//! Row blocks, and their distribution over tasks.
//!
//! Finds row blocks that see the same KV blocks, so that each KV block is read once for all of
//! them.
//!
//! In decoding, a sequence has only a few rows per key head, too few to fill a tile. The rows of
//! sequences that share KV blocks fill it together. A row's state for a KV block has the same bits
//! with any other rows in the tile, and states are combined in the order of the KV blocks, so
//! sharing affects only the speed.

use super::layout::{KV_BLOCK_SIZE, KvShape};
use super::softmax_state::MAX_ROWS;

/// New rows of one sequence, and the KV blocks they see.
#[derive(Debug, Clone, Copy)]
pub struct AttentionSequence<'a> {
    /// KV blocks of the sequence from its beginning, including the new rows' own keys and values.
    pub kv_blocks: &'a [&'a [u16]],
    /// Index of its first row in the batch.
    pub first_row: usize,
    /// Number of its rows in the batch.
    pub n_rows: usize,
    /// Position in the sequence of the first of its rows. A row sees all positions up to its own.
    pub start: usize,
}

/// Row block: the rows of one sequence whose positions lie in one KV block, for one key head.
#[derive(Clone, Copy)]
pub(super) struct RowBlock<'a> {
    pub(super) sequence: AttentionSequence<'a>,
    pub(super) kv_head: usize,
    /// First position and number of positions.
    pub(super) first: usize,
    pub(super) count: usize,
    /// First KV block that its rows see; above 0 only behind a window.
    pub(super) first_kv_block: usize,
}

impl RowBlock<'_> {
    /// Returns the number of KV blocks that its rows see.
    pub(super) fn n_kv_blocks(&self) -> usize {
        self.first / KV_BLOCK_SIZE + 1 - self.first_kv_block
    }
}

/// Distribution of row blocks over tasks.
pub(super) struct AttentionPlan {
    /// Row blocks that one task each processes completely.
    pub(super) whole: Vec<usize>,
    pub(super) spans: Vec<BlockSpan>,
    /// Row blocks whose KV blocks are processed in spans.
    pub(super) merged: Vec<usize>,
}

/// Consecutive KV blocks that some row blocks of one key head share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockSpan {
    pub(super) blocks: Vec<usize>,
    pub(super) first_kv_block: usize,
    pub(super) n_kv_blocks: usize,
}

/// Cuts rows at the ends of KV blocks and returns one row block for each key head. A row sees
/// `window` positions, its own included; `usize::MAX` means all.
pub(super) fn cut<'a>(
    shape: KvShape,
    window: usize,
    sequences: &[AttentionSequence<'a>],
) -> Vec<RowBlock<'a>> {
    let mut blocks = Vec::new();
    for &sequence in sequences {
        let mut first = sequence.start;
        let end = sequence.start + sequence.n_rows;
        while first < end {
            let count = (KV_BLOCK_SIZE - first % KV_BLOCK_SIZE).min(end - first);
            blocks.extend((0..shape.n_kv_heads).map(|kv_head| RowBlock {
                sequence,
                kv_head,
                first,
                count,
                first_kv_block: (first + 1).saturating_sub(window) / KV_BLOCK_SIZE,
            }));
            first += count;
        }
    }
    blocks
}

/// Plans the tasks. `group` is the number of query heads per key head, `wanted` the number of tasks
/// that keeps all threads busy.
pub(super) fn plan(blocks: &[RowBlock<'_>], group: usize, wanted: usize) -> AttentionPlan {
    let cut_up = blocks.len() < wanted;
    let mut plan = AttentionPlan { whole: Vec::new(), spans: Vec::new(), merged: Vec::new() };
    let n_kv_heads = blocks.iter().map(|block| block.kv_head + 1).max().unwrap_or(0);
    let mut sparse: Vec<Vec<usize>> = vec![Vec::new(); n_kv_heads];
    for (index, block) in blocks.iter().enumerate() {
        // Spans of several row blocks begin at the first KV block.
        if block.count * group < MAX_ROWS && block.first_kv_block == 0 {
            sparse[block.kv_head].push(index);
        } else {
            plan.alone(blocks, index, cut_up);
        }
    }
    for members in sparse {
        for sharing in by_kv_block(blocks, &members, 0) {
            match sharing[..] {
                [index] => plan.alone(blocks, index, cut_up),
                _ => {
                    plan.merged.extend(&sharing);
                    plan.together(blocks, sharing, 0);
                }
            }
        }
    }
    let n_kv_blocks: usize = plan.spans.iter().map(|span| span.n_kv_blocks).sum();
    let each = n_kv_blocks.div_ceil(wanted).max(1);
    plan.spans = plan.spans.iter().flat_map(|span| span.cut(each)).collect();
    plan
}

impl AttentionPlan {
    /// Adds a row block that shares no KV blocks.
    fn alone(&mut self, blocks: &[RowBlock<'_>], index: usize, cut_up: bool) {
        let n_kv_blocks = blocks[index].n_kv_blocks();
        if cut_up && n_kv_blocks > 1 {
            let first_kv_block = blocks[index].first_kv_block;
            self.spans.push(BlockSpan { blocks: vec![index], first_kv_block, n_kv_blocks });
            self.merged.push(index);
        } else {
            self.whole.push(index);
        }
    }

    /// Adds row blocks that share the KV blocks before `first_kv_block` and the one at `first_kv_block`, and
    /// splits them where their KV blocks diverge.
    fn together(&mut self, blocks: &[RowBlock<'_>], sharing: Vec<usize>, first_kv_block: usize) {
        let shortest = sharing.iter().map(|index| blocks[*index].n_kv_blocks()).min().unwrap_or(0);
        let share = |kv_block: &usize| {
            sharing.iter().all(|index| same(blocks, sharing[0], *index, *kv_block))
        };
        let n_kv_blocks = match sharing.len() {
            1 => shortest - first_kv_block,
            _ => (first_kv_block..shortest).take_while(share).count(),
        };
        let after = first_kv_block + n_kv_blocks;
        let rest: Vec<usize> =
            sharing.iter().copied().filter(|index| blocks[*index].n_kv_blocks() > after).collect();
        self.spans.push(BlockSpan { blocks: sharing, first_kv_block, n_kv_blocks });
        for sharing in by_kv_block(blocks, &rest, after) {
            self.together(blocks, sharing, after);
        }
    }
}

impl BlockSpan {
    fn cut(&self, each: usize) -> impl Iterator<Item = Self> {
        let end = self.first_kv_block + self.n_kv_blocks;
        (self.first_kv_block..end).step_by(each).map(move |first_kv_block| Self {
            blocks: self.blocks.clone(),
            first_kv_block,
            n_kv_blocks: each.min(end - first_kv_block),
        })
    }
}

/// Groups row blocks by the KV block at index `kv_block`.
fn by_kv_block(blocks: &[RowBlock<'_>], members: &[usize], kv_block: usize) -> Vec<Vec<usize>> {
    let mut sharers: Vec<Vec<usize>> = Vec::new();
    for &index in members {
        match sharers.iter_mut().find(|sharing| same(blocks, sharing[0], index, kv_block)) {
            Some(sharing) => sharing.push(index),
            None => sharers.push(vec![index]),
        }
    }
    sharers
}

fn same(blocks: &[RowBlock<'_>], a: usize, b: usize, kv_block: usize) -> bool {
    std::ptr::eq(blocks[a].sequence.kv_blocks[kv_block], blocks[b].sequence.kv_blocks[kv_block])
}
