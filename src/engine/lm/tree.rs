//! Prefix cache: a tree of the KV blocks of finished and running sequences, looked up by their
//! tokens.
//!
//! A node is one KV block: the tokens of its positions, and their keys and values. A sequence is a
//! path from the root. Nodes with children hold full blocks; only a leaf may be partly filled.
//! Blocks are reference-counted: a sequence that took a block keeps it after the tree evicts it.

use super::decoder::{Cache, SharedRun};

/// A `PrefixTree`: the prefix cache.
#[derive(Default)]
pub(super) struct PrefixTree {
    roots: Vec<Node>,
    n_nodes: usize,
    /// Number of uses so far; a node stores it at each use, and the smallest is the least recently
    /// used.
    clock: u64,
}

struct Node {
    tokens: Vec<u32>,
    run: SharedRun,
    used: u64,
    children: Vec<Node>,
}

impl PrefixTree {
    /// Number of KV blocks it holds.
    #[cfg(test)]
    pub(super) fn n_runs(&self) -> usize {
        self.n_nodes
    }

    /// Identities of its KV blocks, unique among all existing blocks.
    #[cfg(test)]
    pub(super) fn run_identities(&self) -> impl Iterator<Item = usize> {
        let mut nodes: Vec<&Node> = self.roots.iter().collect();
        let mut identities = Vec::new();
        while let Some(node) = nodes.pop() {
            identities.push(node.run.identity());
            nodes.extend(&node.children);
        }
        identities.into_iter()
    }

    /// Length of the longest prefix of `tokens` that it holds.
    pub(super) fn longest(&self, tokens: &[u32]) -> usize {
        let mut length = 0;
        let mut nodes = &self.roots;
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
    pub(super) fn take(&mut self, tokens: &[u32], cache: &mut Cache) {
        self.clock += 1;
        let mut rest = tokens;
        let mut nodes = &mut self.roots;
        while let Some((best, n)) = closest(nodes, rest) {
            let node = &mut nodes[best];
            node.used = self.clock;
            cache.append_shared(node.run.clone(), n);
            if n < node.tokens.len() {
                return;
            }
            rest = &rest[n..];
            nodes = &mut node.children;
        }
    }

    /// Adds the full KV blocks of a sequence, and with `Tail::Kept` also the last, partly filled
    /// one. The sequence must not continue to write to that one.
    pub(super) fn insert(&mut self, tokens: &[u32], cache: &Cache, tail: Tail) {
        self.clock += 1;
        let (run_len, clock) = (cache.run_len(), self.clock);
        let mut nodes = &mut self.roots;
        for (tokens, run) in tokens[..cache.len()].chunks(run_len).zip(cache.shared_runs()) {
            if tokens.len() < run_len && tail == Tail::Left {
                return;
            }
            let index = match closest(nodes, tokens) {
                Some((index, n)) if n == tokens.len() => index,
                // A partly filled leaf whose tokens are a prefix of these is replaced.
                Some((index, n)) if n == nodes[index].tokens.len() => {
                    nodes[index] = Node::new(tokens, run);
                    index
                }
                _ => {
                    nodes.push(Node::new(tokens, run));
                    self.n_nodes += 1;
                    nodes.len() - 1
                }
            };
            nodes[index].used = clock;
            if nodes[index].tokens.len() < run_len {
                return;
            }
            nodes = &mut nodes[index].children;
        }
    }

    /// Evicts the least recently used leaf among those that no sequence holds; returns whether
    /// there was one.
    pub(super) fn evict(&mut self) -> bool {
        let Some(oldest) = self.roots.iter().filter_map(Node::oldest).min() else { return false };
        let found = remove(&mut self.roots, oldest);
        self.n_nodes -= usize::from(found);
        found
    }
}

/// Treatment of a sequence's last KV block if it is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// The sequence continues to write to it, so the tree does not take it.
    Left,
    /// The tree takes it.
    Kept,
}

impl Node {
    fn new(tokens: &[u32], run: SharedRun) -> Self {
        Self { tokens: tokens.to_vec(), run, used: 0, children: Vec::new() }
    }

    /// Last use of the least recently used leaf at or below this node that only the tree holds.
    fn oldest(&self) -> Option<u64> {
        if self.children.is_empty() {
            return (!self.run.is_shared()).then_some(self.used);
        }
        self.children.iter().filter_map(Self::oldest).min()
    }
}

/// The node with the longest common prefix with `tokens`, of at least one token, and its length.
fn closest(nodes: &[Node], tokens: &[u32]) -> Option<(usize, usize)> {
    nodes
        .iter()
        .enumerate()
        .map(|(index, node)| (index, common(&node.tokens, tokens)))
        .max_by_key(|(_, n)| *n)
        .filter(|(_, n)| *n > 0)
}

/// Removes the leaf that only the tree holds and that was last used at `oldest`.
fn remove(nodes: &mut Vec<Node>, oldest: u64) -> bool {
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
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
