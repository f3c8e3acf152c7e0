//! Admission: starts waiting requests as far as the KV budget allows, and attaches the cached
//! prefixes of their prompts.

use std::collections::HashSet;

use super::Scheduler;
use crate::lm::job::Lane;
use crate::lm::tree::common;

/// Maximum number of running requests; further ones wait.
const MOST_JOBS: usize = 64;
/// Minimum number of tokens that waiting for another sequence's prefix must save.
const WORTH_WAITING: usize = 32;

impl Scheduler {
    /// Starts waiting requests in their order, as far as the KV budget allows.
    pub(super) fn admit(&mut self) {
        let run_bytes = self.decoder.cache().run_bytes();
        while self.jobs.len() < MOST_JOBS
            && let Some(job) = self.waiting.front()
        {
            let needed: usize = job.lanes.iter().map(Lane::missing_runs).sum();
            let needed = (self.committed_runs() + needed).saturating_mul(run_bytes);
            if !self.jobs.is_empty() && needed > self.limits.kv_budget {
                return;
            }
            let Some(mut job) = self.waiting.pop_front() else { return };
            if job.is_empty() {
                job.answer(None);
                continue;
            }
            if !self.limits.share_prefixes {
                job.lanes.iter_mut().for_each(|lane| lane.begun = true);
            }
            self.jobs.push(job);
        }
    }

    /// Number of KV blocks that the running requests hold or may still need.
    fn committed_runs(&self) -> usize {
        let lanes = || self.jobs.iter().flat_map(|job| &job.lanes);
        let held: HashSet<usize> = lanes().flat_map(|lane| lane.cache.run_identities()).collect();
        held.len() + lanes().map(Lane::missing_runs).sum::<usize>()
    }

    /// Attaches to each sequence that has computed nothing yet its longest available prefix, from
    /// the prefix cache or from a running sequence. A sequence waits if another one is about to
    /// compute more of its prefix.
    pub(super) fn begin_lanes(&mut self) {
        let places: Vec<(usize, usize)> = self
            .jobs
            .iter()
            .enumerate()
            .flat_map(|(index, job)| (0..job.lanes.len()).map(move |lane| (index, lane)))
            .collect();
        for (at, &(job, lane)) in places.iter().enumerate() {
            if self.jobs[job].lanes[lane].begun {
                continue;
            }
            let fresh = &self.jobs[job].lanes[lane];
            let beginning = &fresh.tokens[..fresh.first_wanted()];
            let in_tree = self.whole(self.tree.longest(beginning));
            let (mut best, mut source) = (in_tree, None);
            let mut coming = 0;
            for (other_at, &(other_job, other_lane)) in places.iter().enumerate() {
                let other = &self.jobs[other_job].lanes[other_lane];
                if !other.begun || other_at == at {
                    continue;
                }
                let shared = common(beginning, &other.tokens);
                let there = self.whole(shared.min(other.cache.len()));
                if there > best {
                    (best, source) = (there, Some((other_job, other_lane)));
                }
                if other.is_in_prompt() {
                    coming = coming.max(self.whole(shared.min(other.first_wanted())));
                }
            }
            if coming < best + WORTH_WAITING {
                self.begin(job, lane, best, source);
            }
        }
    }

    /// Number of tokens of a prefix of `n` that can be reused: all of them if the decoder is exact;
    /// otherwise whole KV blocks only, which were computed by the same operations.
    fn whole(&self, n: usize) -> usize {
        match self.decoder.is_exact() {
            true => n,
            false => n / self.decoder.cache().run_len() * self.decoder.cache().run_len(),
        }
    }

    /// Starts a sequence with the first `n` tokens of its prompt from another sequence (`source`)
    /// or, if `None`, from the prefix cache.
    fn begin(&mut self, job: usize, lane: usize, n: usize, source: Option<(usize, usize)>) {
        let mut cache = match source {
            Some((job, lane)) => self.jobs[job].lanes[lane].cache.fork(),
            None => {
                let mut cache = self.decoder.cache();
                self.tree.take(&self.jobs[job].lanes[lane].tokens[..n], &mut cache);
                cache
            }
        };
        cache.truncate(n);
        self.jobs[job].lanes[lane].cache = cache;
        self.jobs[job].lanes[lane].begun = true;
        let budget = self.limits.kv_budget / self.decoder.cache().run_bytes().max(1);
        if self.jobs[job].lanes[lane].cache.is_tail_shared() && self.committed_runs() > budget {
            // The budget does not cover the shared block and a copy of it.
            let the_lane = &mut self.jobs[job].lanes[lane];
            the_lane.cache.truncate(n / the_lane.cache.run_len() * the_lane.cache.run_len());
        }
        let reused = self.jobs[job].lanes[lane].cache.len();
        self.counters.add_reused(reused);
    }
}
