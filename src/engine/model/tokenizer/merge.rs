//! Merge loop of BPE and SentencePiece: joins neighbours, best pair first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A range of bytes of the text that is being encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    /// First byte.
    pub(super) start: u32,
    /// Number of bytes; 0 after it was joined to its left neighbour.
    pub(super) len: u32,
    /// Its identifier in the vocabulary.
    pub(super) id: u32,
    previous: u32,
    next: u32,
}

/// Possible merge of two neighbours, according to the vocabulary.
#[derive(Debug, Clone, Copy)]
pub(super) struct MergeRule {
    /// Smaller priorities are joined first, equal ones from left to right.
    pub(super) priority: u32,
    /// Identifier of the result.
    pub(super) id: u32,
}

const NONE: u32 = u32::MAX;

/// Buffers that are reused from word to word.
#[derive(Debug, Default)]
pub(super) struct Merger {
    symbols: Vec<Symbol>,
    /// Memory for the heap; empty between words.
    candidates: Vec<Reverse<CandidateMerge>>,
}

/// Two neighbours that may be joined, ordered by priority, then from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CandidateMerge {
    priority: u32,
    left: u32,
    /// Bytes of both. If their current length differs, one of them has changed and this is
    /// outdated.
    len: u32,
    id: u32,
}

impl Merger {
    /// Removes all symbols.
    pub(super) fn clear(&mut self) {
        self.symbols.clear();
    }

    /// Appends a symbol of `len` bytes.
    pub(super) fn push(&mut self, len: u32, id: u32) {
        let index = self.symbols.len() as u32;
        let (start, previous) = match self.symbols.last_mut() {
            Some(last) => {
                last.next = index;
                (last.start + last.len, index - 1)
            }
            None => (0, NONE),
        };
        self.symbols.push(Symbol { start, len, id, previous, next: NONE });
    }

    /// Joins neighbours until no pair can be joined. O(n log n) in the number of symbols.
    pub(super) fn run(&mut self, join: impl Fn(&Symbol, &Symbol) -> Option<MergeRule>) {
        let mut first = std::mem::take(&mut self.candidates);
        first.extend((0..self.symbols.len() as u32).filter_map(|left| self.candidate(left, &join)));
        let mut heap = BinaryHeap::from(first);
        while let Some(Reverse(best)) = heap.pop() {
            let left = self.symbols[best.left as usize];
            if left.len == 0 || left.next == NONE {
                continue;
            }
            let right = self.symbols[left.next as usize];
            if left.len + right.len != best.len {
                continue;
            }
            self.symbols[left.next as usize].len = 0;
            let joined = &mut self.symbols[best.left as usize];
            (joined.len, joined.id, joined.next) = (best.len, best.id, right.next);
            if right.next != NONE {
                self.symbols[right.next as usize].previous = best.left;
                heap.extend(self.candidate(best.left, &join));
            }
            if left.previous != NONE {
                heap.extend(self.candidate(left.previous, &join));
            }
        }
        self.candidates = heap.into_vec();
    }

    /// Returns the remaining symbols, in order.
    pub(super) fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.iter().filter(|symbol| symbol.len > 0)
    }

    /// Returns the candidate of a symbol and its right neighbour, if they may be joined.
    fn candidate(
        &self,
        left: u32,
        join: &impl Fn(&Symbol, &Symbol) -> Option<MergeRule>,
    ) -> Option<Reverse<CandidateMerge>> {
        let first = &self.symbols[left as usize];
        let second = self.symbols.get(first.next as usize)?;
        let MergeRule { priority, id } = join(first, second)?;
        Some(Reverse(CandidateMerge { priority, left, len: first.len + second.len, id }))
    }
}
