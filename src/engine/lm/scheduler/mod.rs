//! Continuous batching: every forward step computes the next rows of all running requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::batch::{BatchSlice, select_rows};
use super::decoder::{Decoder, KvCache};
use super::draft::{DraftPolicy, Drafts};
use super::prefix_cache::{PartialBlock, PrefixCache};
use super::sequence::{SequenceGroup, Status};
use super::stats::Counters;
use super::{Error, Result};
use crate::model::tokenizer::Tokenizer;
use idiolect_kernels::Isa;

mod admission;
mod drafts;
mod forward_step;

pub(super) struct Scheduler<D: Decoder> {
    decoder: D,
    tokenizer: Arc<Tokenizer>,
    isa: Isa,
    limits: Limits,
    /// Requests that are not admitted yet; they have no caches.
    waiting: VecDeque<SequenceGroup>,
    running: Vec<RunningGroup<D>>,
    prefixes: PrefixCache<D::Layout>,
    counters: Arc<Counters>,
    policy: DraftPolicy,
    /// Number of forward steps so far.
    n_steps: usize,
    /// Buffer kept between forward steps, since a fresh allocation is expensive.
    logits: Vec<f32>,
}

/// Memory limit of the KV caches, and whether requests share them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Maximum bytes of all KV blocks, those of running requests and those in the prefix cache.
    pub(super) kv_budget: usize,
    pub(super) share_prefixes: bool,
    pub(super) drafts: Drafts,
}

/// An admitted request.
type RunningGroup<D> = SequenceGroup<KvCache<<D as Decoder>::Layout>>;

impl<D: Decoder> Scheduler<D> {
    pub(super) fn new(
        decoder: D,
        tokenizer: Arc<Tokenizer>,
        isa: Isa,
        limits: Limits,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            decoder,
            tokenizer,
            isa,
            limits,
            waiting: VecDeque::new(),
            running: Vec::new(),
            prefixes: PrefixCache::new(),
            counters,
            policy: DraftPolicy::new(limits.drafts),
            n_steps: 0,
            logits: Vec::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    pub(super) fn add(&mut self, group: SequenceGroup) {
        self.waiting.push_back(group);
    }

    /// Empties the prefix cache.
    pub(super) fn drop_prefixes(&mut self) {
        self.prefixes = PrefixCache::new();
    }

    /// The bytes of the full KV blocks of the longest prefix of `tokens` in the prefix cache; `None` if the
    /// decoder's have no such form.
    pub(super) fn save_prefix(&mut self, tokens: &[u32]) -> Option<Vec<Vec<u8>>> {
        self.prefixes.block_bytes(tokens, self.decoder.empty_cache())
    }

    /// Adds KV blocks of a prefix to the prefix cache, as many as the budget has room for.
    pub(super) fn load_prefix(&mut self, tokens: &[u32], blocks: &[Vec<u8>]) {
        if !self.limits.share_prefixes {
            return;
        }
        let mut cache = self.decoder.empty_cache();
        for block in blocks {
            let pool = self.decoder.kv_pool();
            let is_full = pool.bytes() + pool.block_bytes() > self.limits.kv_budget;
            if is_full || !cache.append_bytes(block) {
                break;
            }
        }
        self.prefixes.insert(None, tokens, &cache, PartialBlock::Open);
    }

    /// Runs one forward step over the next rows of the running requests.
    pub(super) fn step(&mut self) {
        self.waiting.retain(|group| !group.is_cancelled());
        self.running.retain(|group| !group.is_cancelled());
        self.admit();
        self.count_state();
        if self.limits.share_prefixes {
            self.attach_prefixes();
        }
        let block_size = self.decoder.kv_pool().block_size();
        let separates_prompts = self.decoder.separates_prompts();
        let all_write = self.all_write();
        if all_write && self.limits.drafts != Drafts::Off && self.decoder.is_exact() {
            self.propose_drafts();
        }
        let slices = select_rows(&self.running, self.n_steps, block_size, separates_prompts);
        self.n_steps = self.n_steps.wrapping_add(1);
        if slices.is_empty() {
            return;
        }
        let start = Instant::now();
        let outcomes = self.forward_step(&slices);
        if all_write {
            let n_rows = slices.iter().map(|slice| slice.rows.len()).sum();
            self.policy.learn_time(n_rows, start.elapsed());
        }
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let error = error.to_string();
                let fail = |slice: &BatchSlice| {
                    (slice.group, Err(Error::Engine(format!("failed: {error}"))))
                };
                let mut outcomes: Vec<_> = slices.iter().map(fail).collect();
                outcomes.dedup_by_key(|(group, _)| *group);
                outcomes
            }
        };
        self.retire(outcomes);
        self.count_state();
    }

    /// Publishes the current numbers of requests and of bytes.
    fn count_state(&self) {
        self.counters.set_kv_bytes(self.decoder.kv_pool().bytes());
        self.counters.set_requests(self.running.len(), self.waiting.len());
    }

    /// Removes and answers the requests that are finished or failed.
    fn retire(&mut self, mut outcomes: Vec<(usize, Result<Status>)>) {
        // From the last to the first, so that the indices of the others stay valid.
        outcomes.sort_by_key(|(group, _)| *group);
        for (index, outcome) in outcomes.into_iter().rev() {
            let error = match outcome {
                Ok(Status::Running) => continue,
                Ok(Status::Finished) => None,
                Err(error) => Some(error),
            };
            let group = self.running.remove(index);
            if self.limits.share_prefixes {
                for sequence in &group.sequences {
                    let reusable = sequence.reusable(self.decoder.separates_prompts());
                    let key = sequence.adapter_key();
                    self.prefixes.insert(key, reusable, &sequence.cache, PartialBlock::Sealed);
                }
            }
            group.answer(error);
        }
    }
}

#[cfg(test)]
mod tests;
