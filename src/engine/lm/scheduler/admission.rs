//! Admission: starts waiting requests as far as the KV budget allows, and attaches the cached
//! prefixes of their prompts.

use std::collections::HashSet;

use super::Scheduler;
use crate::lm::decoder::{Decoder, KvCache};
use crate::lm::prefix_cache::common_prefix;
use crate::lm::sequence::Sequence;

/// Maximum number of running requests; further ones wait.
const MAX_RUNNING: usize = 64;
/// Minimum number of tokens that waiting for another sequence's prefix must save.
const MIN_SAVED: usize = 32;

/// Index of a running request, and of a sequence in it.
type SequenceIndex = (usize, usize);

type RunningSequence<D> = Sequence<KvCache<<D as Decoder>::Layout>>;

impl<D: Decoder> Scheduler<D> {
    /// Starts waiting requests in their order, as far as the KV budget allows.
    pub(super) fn admit(&mut self) {
        let kv_pool = self.decoder.kv_pool();
        let (block_size, block_bytes) = (kv_pool.block_size(), kv_pool.block_bytes());
        while self.running.len() < MAX_RUNNING
            && let Some(group) = self.waiting.front()
        {
            let needed = self.committed_blocks() + group.max_blocks(block_size);
            let needed = needed.saturating_mul(block_bytes);
            if !self.running.is_empty() && needed > self.limits.kv_budget {
                return;
            }
            let Some(group) = self.waiting.pop_front() else { return };
            if group.is_empty() {
                group.answer(None);
                continue;
            }
            let mut group = group.with_caches(|| self.decoder.empty_cache());
            if !self.limits.share_prefixes {
                group.sequences.iter_mut().for_each(|sequence| sequence.prefix_attached = true);
            }
            self.running.push(group);
        }
    }

    /// Number of KV blocks that the running requests hold or may still need.
    fn committed_blocks(&self) -> usize {
        let sequences = || self.running.iter().flat_map(|group| &group.sequences);
        let held: HashSet<usize> =
            sequences().flat_map(|sequence| sequence.cache.block_identities()).collect();
        held.len() + sequences().map(Sequence::missing_blocks).sum::<usize>()
    }

    /// Attaches to each sequence that has computed nothing yet its longest available prefix, from
    /// the prefix cache or from a running sequence. A sequence waits if another one is about to
    /// compute more of its prefix.
    pub(super) fn attach_prefixes(&mut self) {
        let all: Vec<SequenceIndex> = self
            .running
            .iter()
            .enumerate()
            .flat_map(|(index, group)| (0..group.sequences.len()).map(move |i| (index, i)))
            .collect();
        for &index in &all {
            let fresh = self.sequence(index);
            if fresh.prefix_attached {
                continue;
            }
            let prompt = &fresh.tokens[..fresh.first_logits()];
            let key = fresh.adapter_key();
            let in_cache = self.reusable(self.prefixes.longest_prefix(key, prompt));
            let (mut best, mut source) = (in_cache, None);
            let mut coming = 0;
            for &other_index in &all {
                let other = self.sequence(other_index);
                if !other.prefix_attached || other_index == index || other.adapter_key() != key {
                    continue;
                }
                let shared = common_prefix(prompt, &other.tokens);
                let held = other.reusable(self.decoder.separates_prompts()).len();
                let computed = self.reusable(shared.min(held));
                if computed > best {
                    (best, source) = (computed, Some(other_index));
                }
                if other.is_in_prompt() {
                    coming = coming.max(self.reusable(shared.min(other.first_logits())));
                }
            }
            if coming < best + MIN_SAVED {
                self.attach_prefix(index, best, source);
            }
        }
    }

    fn sequence(&self, (group, sequence): SequenceIndex) -> &RunningSequence<D> {
        &self.running[group].sequences[sequence]
    }

    /// Number of tokens of a prefix of `n` that can be reused: all of them if the decoder is exact;
    /// otherwise whole KV blocks only, which were computed by the same operations.
    fn reusable(&self, n: usize) -> usize {
        match self.decoder.is_exact() {
            true => n,
            false => n / self.decoder.kv_pool().block_size() * self.decoder.kv_pool().block_size(),
        }
    }

    /// Attaches the first `n` tokens of a sequence's prompt, from another sequence (`source`) or, if
    /// `None`, from the prefix cache.
    fn attach_prefix(&mut self, index: SequenceIndex, n: usize, source: Option<SequenceIndex>) {
        let mut cache = match source {
            Some(source) => self.sequence(source).cache.fork(),
            None => {
                let mut cache = self.decoder.empty_cache();
                let (group, sequence) = index;
                let sequence = &self.running[group].sequences[sequence];
                self.prefixes.attach(sequence.adapter_key(), &sequence.tokens[..n], &mut cache);
                cache
            }
        };
        cache.truncate(n);
        let shares_partial_block = cache.shares_partial_block();
        let sequence = &mut self.running[index.0].sequences[index.1];
        sequence.cache = cache;
        sequence.prefix_attached = true;
        let (block_size, block_bytes) =
            (self.decoder.kv_pool().block_size(), self.decoder.kv_pool().block_bytes());
        let budget = self.limits.kv_budget / block_bytes.max(1);
        if shares_partial_block && self.committed_blocks() > budget {
            // The budget does not cover the shared block and a copy of it.
            let sequence = &mut self.running[index.0].sequences[index.1];
            sequence.cache.truncate(n / block_size * block_size);
        }
        let n_reused = self.sequence(index).cache.len();
        self.running[index.0].reused.add(n_reused);
        self.counters.add_reused(n_reused);
    }
}
