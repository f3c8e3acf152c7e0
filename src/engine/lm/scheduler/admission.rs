//! Who runs: letting requests in as far as memory goes, and giving them what is known of their
//! beginnings.

use std::collections::HashSet;

use super::Scheduler;
use crate::lm::job::Lane;
use crate::lm::tree::common;

/// Requests that run at once; further ones wait.
const MOST_JOBS: usize = 64;
/// Tokens that waiting for another prompt's beginning must save.
const WORTH_WAITING: usize = 32;

impl Scheduler {
    /// Lets waiting requests in, in their order, as far as memory goes.
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

    /// Runs that the running requests hold or may come to need.
    fn committed_runs(&self) -> usize {
        let lanes = || self.jobs.iter().flat_map(|job| &job.lanes);
        let held: HashSet<usize> = lanes().flat_map(|lane| lane.cache.run_identities()).collect();
        held.len() + lanes().map(Lane::missing_runs).sum::<usize>()
    }

    /// Gives lanes that have computed nothing yet the longest beginning that is known, from the tree
    /// or from a lane that runs. A lane waits where one before it is about to compute more of its
    /// beginning.
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

    /// What of a beginning can be taken over: on our kernels every token, elsewhere whole runs, which
    /// were computed by the same operations.
    fn whole(&self, n: usize) -> usize {
        match self.decoder.is_exact() {
            true => n,
            false => n / self.decoder.cache().run_len() * self.decoder.cache().run_len(),
        }
    }

    /// Begins a lane with `n` tokens of its beginning, from the tree or another lane.
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
            // No room for the run and a copy of it.
            let the_lane = &mut self.jobs[job].lanes[lane];
            the_lane.cache.truncate(n / the_lane.cache.run_len() * the_lane.cache.run_len());
        }
        let reused = self.jobs[job].lanes[lane].cache.len();
        self.counters.add_reused(reused);
    }
}
