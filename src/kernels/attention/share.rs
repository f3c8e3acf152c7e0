//! Finds row blocks that see the same KV blocks, so that each KV block is read once for all of
//! them.
//!
//! In decoding, a sequence has only a few rows per key head, too few to fill a tile. The rows of
//! sequences that share KV blocks fill it together. A row's state for a KV block has the same bits
//! with any other rows in the tile, and states are combined in the order of the KV blocks, so
//! sharing affects only the speed.

use super::tile::MOST_ROWS;
use super::work::AttentionBlock;

/// Distribution of row blocks over tasks.
pub(super) struct AttentionPlan {
    /// Row blocks that one task each processes completely.
    pub(super) whole: Vec<usize>,
    pub(super) pieces: Vec<Piece>,
    /// Row blocks whose KV blocks are processed in pieces.
    pub(super) joined: Vec<usize>,
}

/// Consecutive KV blocks that some row blocks of one key head share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) blocks: Vec<usize>,
    pub(super) first_run: usize,
    pub(super) n_runs: usize,
}

/// Plans the tasks. `group` is the number of query heads per key head, `wanted` the number of tasks
/// that keeps all threads busy.
pub(super) fn plan(blocks: &[AttentionBlock<'_>], group: usize, wanted: usize) -> AttentionPlan {
    let cut_up = blocks.len() < wanted;
    let mut plan = AttentionPlan { whole: Vec::new(), pieces: Vec::new(), joined: Vec::new() };
    let n_kv_heads = blocks.iter().map(|block| block.kv_head + 1).max().unwrap_or(0);
    let mut sparse: Vec<Vec<usize>> = vec![Vec::new(); n_kv_heads];
    for (index, block) in blocks.iter().enumerate() {
        if block.count * group < MOST_ROWS {
            sparse[block.kv_head].push(index);
        } else {
            plan.alone(blocks, index, cut_up);
        }
    }
    for members in sparse {
        for gang in by_run(blocks, &members, 0) {
            match gang[..] {
                [index] => plan.alone(blocks, index, cut_up),
                _ => {
                    plan.joined.extend(&gang);
                    plan.together(blocks, gang, 0);
                }
            }
        }
    }
    let n_runs: usize = plan.pieces.iter().map(|piece| piece.n_runs).sum();
    let each = n_runs.div_ceil(wanted).max(1);
    plan.pieces = plan.pieces.iter().flat_map(|piece| piece.cut(each)).collect();
    plan
}

impl AttentionPlan {
    /// Adds a row block that shares no KV blocks.
    fn alone(&mut self, blocks: &[AttentionBlock<'_>], index: usize, cut_up: bool) {
        let n_runs = blocks[index].n_runs();
        if cut_up && n_runs > 1 {
            self.pieces.push(Piece { blocks: vec![index], first_run: 0, n_runs });
            self.joined.push(index);
        } else {
            self.whole.push(index);
        }
    }

    /// Adds row blocks that share the KV blocks before `first_run` and the one at `first_run`, and
    /// splits them where their KV blocks diverge.
    fn together(&mut self, blocks: &[AttentionBlock<'_>], gang: Vec<usize>, first_run: usize) {
        let shortest = gang.iter().map(|index| blocks[*index].n_runs()).min().unwrap_or(0);
        let share = |run: &usize| gang.iter().all(|index| same(blocks, gang[0], *index, *run));
        let n_runs = match gang.len() {
            1 => shortest - first_run,
            _ => (first_run..shortest).take_while(share).count(),
        };
        let after = first_run + n_runs;
        let rest: Vec<usize> =
            gang.iter().copied().filter(|index| blocks[*index].n_runs() > after).collect();
        self.pieces.push(Piece { blocks: gang, first_run, n_runs });
        for gang in by_run(blocks, &rest, after) {
            self.together(blocks, gang, after);
        }
    }
}

impl Piece {
    fn cut(&self, each: usize) -> impl Iterator<Item = Self> {
        let end = self.first_run + self.n_runs;
        (self.first_run..end).step_by(each).map(move |first_run| Self {
            blocks: self.blocks.clone(),
            first_run,
            n_runs: each.min(end - first_run),
        })
    }
}

/// Groups row blocks by the KV block at index `run`.
fn by_run(blocks: &[AttentionBlock<'_>], members: &[usize], run: usize) -> Vec<Vec<usize>> {
    let mut gangs: Vec<Vec<usize>> = Vec::new();
    for &index in members {
        match gangs.iter_mut().find(|gang| same(blocks, gang[0], index, run)) {
            Some(gang) => gang.push(index),
            None => gangs.push(vec![index]),
        }
    }
    gangs
}

fn same(blocks: &[AttentionBlock<'_>], a: usize, b: usize, run: usize) -> bool {
    std::ptr::eq(blocks[a].sequence.runs[run], blocks[b].sequence.runs[run])
}
