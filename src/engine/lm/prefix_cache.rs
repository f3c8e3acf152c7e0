//! Prefix cache: a tree of the KV blocks of finished and running sequences, looked up by their
//! tokens.
//!
//! A node is one KV block: the tokens of its positions, and their keys and values. A sequence is a
//! path from the root; sequences with different adapters are in different trees. Nodes with children hold full blocks; only a leaf may be partly filled.
//! Blocks are reference-counted: a sequence that took a block keeps it after the cache evicts it.

use std::collections::BTreeMap;

use super::AdapterKey;
use super::decoder::{KvCache, KvLayout, SharedKvBlock};

/// The prefix cache.
pub(super) struct PrefixCache<L: KvLayout> {
    /// Roots by adapter; `None` is the model without one.
    trees: BTreeMap<Option<AdapterKey>, Vec<Node<L>>>,
    n_nodes: usize,
    /// Number of uses so far; a node stores it at each use, and the smallest is the least recently
    /// used.
    clock: u64,
}

struct Node<L: KvLayout> {
    tokens: Vec<u32>,
    block: SharedKvBlock<L>,
    used: u64,
    children: Vec<Node<L>>,
}

impl<L: KvLayout> PrefixCache<L> {
    pub(super) fn new() -> Self {
        Self { trees: BTreeMap::new(), n_nodes: 0, clock: 0 }
    }

    /// Number of KV blocks it holds.
    #[cfg(test)]
    pub(super) fn n_blocks(&self) -> usize {
        self.n_nodes
    }

    /// Identities of its KV blocks, unique among all existing blocks.
    #[cfg(test)]
    pub(super) fn block_identities(&self) -> impl Iterator<Item = usize> {
        let mut nodes: Vec<&Node<L>> = self.trees.values().flatten().collect();
        let mut identities = Vec::new();
        while let Some(node) = nodes.pop() {
            identities.push(node.block.identity());
            nodes.extend(&node.children);
        }
        identities.into_iter()
    }

    /// Length of the longest prefix of `tokens` that it holds for an adapter.
    pub(super) fn longest_prefix(&self, adapter: Option<AdapterKey>, tokens: &[u32]) -> usize {
        let mut length = 0;
        let Some(mut nodes) = self.trees.get(&adapter) else { return 0 };
        loop {
            let rest = &tokens[length..];
            let Some((best, n)) = closest(nodes, rest) else { return length };
            length += n;
            if n < nodes[best].tokens.len() {
                return length;
            }
            nodes = &nodes[best].children;
        }
    }

    /// Appends the KV blocks of the longest prefix of `tokens` that it holds to `cache`, which must
    /// be empty.
    pub(super) fn attach(
        &mut self,
        adapter: Option<AdapterKey>,
        tokens: &[u32],
        cache: &mut KvCache<L>,
    ) {
        self.clock += 1;
        let mut rest = tokens;
        let Some(mut nodes) = self.trees.get_mut(&adapter) else { return };
        while let Some((best, n)) = closest(nodes, rest) {
            let node = &mut nodes[best];
            node.used = self.clock;
            cache.append_shared(node.block.clone(), n);
            if n < node.tokens.len() {
                return;
            }
            rest = &rest[n..];
            nodes = &mut node.children;
        }
    }

    /// Adds the full KV blocks of a sequence's first `tokens`, which its cache holds, and with
    /// `PartialBlock::Sealed` also the last, partly filled one. The sequence must not continue to
    /// write to that one.
    pub(super) fn insert(
        &mut self,
        adapter: Option<AdapterKey>,
        tokens: &[u32],
        cache: &KvCache<L>,
        partial: PartialBlock,
    ) {
        self.clock += 1;
        let (block_size, clock) = (cache.block_size(), self.clock);
        let mut nodes = self.trees.entry(adapter).or_default();
        let tokens = &tokens[..tokens.len().min(cache.len())];
        for (tokens, block) in tokens.chunks(block_size).zip(cache.shared_blocks()) {
            if tokens.len() < block_size && partial == PartialBlock::Open {
                return;
            }
            let index = match closest(nodes, tokens) {
                Some((index, n)) if n == tokens.len() => index,
                // A partly filled leaf whose tokens are a prefix of these is replaced.
                Some((index, n)) if n == nodes[index].tokens.len() => {
                    nodes[index] = Node::new(tokens, block);
                    index
                }
                _ => {
                    nodes.push(Node::new(tokens, block));
                    self.n_nodes += 1;
                    nodes.len() - 1
                }
            };
            nodes[index].used = clock;
            if nodes[index].tokens.len() < block_size {
                return;
            }
            nodes = &mut nodes[index].children;
        }
    }

    /// The bytes of the full KV blocks of the longest prefix of `tokens` that it holds without an adapter;
    /// `None` if the layout has no such form. `empty`: a cache without positions.
    pub(super) fn block_bytes(
        &mut self,
        tokens: &[u32],
        mut empty: KvCache<L>,
    ) -> Option<Vec<Vec<u8>>> {
        self.attach(None, tokens, &mut empty);
        empty.full_block_bytes()
    }

    /// Evicts the least recently used leaf among those that no sequence holds; returns whether
    /// there was one.
    pub(super) fn evict(&mut self) -> bool {
        let of_tree = |nodes: &Vec<Node<L>>| nodes.iter().filter_map(Node::oldest).min();
        let oldest =
            self.trees.iter().filter_map(|(key, nodes)| Some((of_tree(nodes)?, *key))).min();
        let Some((oldest, key)) = oldest else { return false };
        let Some(nodes) = self.trees.get_mut(&key) else { return false };
        let found = remove(nodes, oldest);
        self.n_nodes -= usize::from(found);
        if nodes.is_empty() {
            self.trees.remove(&key);
        }
        found
    }
}

/// Treatment of a sequence's last KV block if it is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartialBlock {
    /// The sequence continues to write to it, so the cache does not take it.
    Open,
    /// The sequence no longer writes to it, so the cache takes it.
    Sealed,
}

impl<L: KvLayout> Node<L> {
    fn new(tokens: &[u32], block: SharedKvBlock<L>) -> Self {
        Self { tokens: tokens.to_vec(), block, used: 0, children: Vec::new() }
    }

    /// Last use of the least recently used leaf at or below this node that only the prefix cache holds.
    fn oldest(&self) -> Option<u64> {
        if self.children.is_empty() {
            return (!self.block.is_shared()).then_some(self.used);
        }
        self.children.iter().filter_map(Self::oldest).min()
    }
}

/// The node with the longest common prefix with `tokens`, of at least one token, and its length.
fn closest<L: KvLayout>(nodes: &[Node<L>], tokens: &[u32]) -> Option<(usize, usize)> {
    nodes
        .iter()
        .enumerate()
        .map(|(index, node)| (index, common_prefix(&node.tokens, tokens)))
        .max_by_key(|(_, n)| *n)
        .filter(|(_, n)| *n > 0)
}

/// Removes the leaf that only the prefix cache holds and that was last used at `oldest`.
fn remove<L: KvLayout>(nodes: &mut Vec<Node<L>>, oldest: u64) -> bool {
    let Some(index) = nodes.iter().position(|node| node.oldest() == Some(oldest)) else {
        return false;
    };
    if nodes[index].children.is_empty() {
        nodes.swap_remove(index);
        return true;
    }
    remove(&mut nodes[index].children, oldest)
}

/// Length of the common prefix.
pub(super) fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
#[path = "prefix_cache_tests.rs"]
mod tests;
