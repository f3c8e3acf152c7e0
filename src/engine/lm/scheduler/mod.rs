//! Continuous batching: every forward step computes the next rows of all running requests.

use std::collections::VecDeque;
use std::sync::Arc;

use super::decoder::Decoder;
use super::job::{Job, Turn};
use super::plan::{BatchSlice, plan};
use super::stats::Counters;
use super::tree::{PrefixTree, Tail};
use super::{Error, Result};
use crate::model::tokenizer::Tokenizer;
use idiolect_kernels::Tier;

mod admission;
mod pass;

pub(super) struct Scheduler {
    decoder: Decoder,
    tokenizer: Arc<Tokenizer>,
    tier: Tier,
    limits: Limits,
    waiting: VecDeque<Job>,
    jobs: Vec<Job>,
    tree: PrefixTree,
    counters: Arc<Counters>,
    turn: usize,
    /// Buffer kept between forward steps, since a fresh allocation is expensive.
    logits: Vec<f32>,
}

/// Memory limit of the KV caches, and whether requests share them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Maximum bytes of all KV blocks, those of running requests and those in the prefix cache.
    pub(super) kv_budget: usize,
    pub(super) share_prefixes: bool,
}

impl Scheduler {
    pub(super) fn new(
        decoder: Decoder,
        tokenizer: Arc<Tokenizer>,
        tier: Tier,
        limits: Limits,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            decoder,
            tokenizer,
            tier,
            limits,
            waiting: VecDeque::new(),
            jobs: Vec::new(),
            tree: PrefixTree::default(),
            counters,
            turn: 0,
            logits: Vec::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.jobs.is_empty()
    }

    pub(super) fn add(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// Runs one forward step over the next rows of the running requests.
    pub(super) fn step(&mut self) {
        self.waiting.retain(|job| !job.is_cancelled());
        self.jobs.retain(|job| !job.is_cancelled());
        self.admit();
        if self.limits.share_prefixes {
            self.begin_lanes();
        }
        let multiple = self.decoder.cache().run_len();
        let units = plan(&self.jobs, self.turn, multiple);
        self.turn = self.turn.wrapping_add(1);
        if units.is_empty() {
            return;
        }
        let outcomes = match self.run(&units) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let error = error.to_string();
                let fail =
                    |unit: &BatchSlice| (unit.job, Err(Error::Engine(format!("failed: {error}"))));
                let mut outcomes: Vec<_> = units.iter().map(fail).collect();
                outcomes.dedup_by_key(|(job, _)| *job);
                outcomes
            }
        };
        self.settle(outcomes);
        self.counters.set_kv_bytes(self.decoder.cache_bytes());
    }

    /// Removes and answers the requests that are finished or failed.
    fn settle(&mut self, mut outcomes: Vec<(usize, Result<Turn>)>) {
        // From the last to the first, so that the indices of the others stay valid.
        outcomes.sort_by_key(|(job, _)| *job);
        for (index, outcome) in outcomes.into_iter().rev() {
            let error = match outcome {
                Ok(Turn::Goes) => continue,
                Ok(Turn::Done) => None,
                Err(error) => Some(error),
            };
            let job = self.jobs.remove(index);
            if self.limits.share_prefixes {
                for lane in &job.lanes {
                    self.tree.insert(&lane.tokens, &lane.cache, Tail::Kept);
                }
            }
            job.answer(error);
        }
    }
}

#[cfg(test)]
mod tests;
