//! One forward step: runs the selected rows and passes the logits to the requests.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::Tensor;

use super::Scheduler;
use crate::lm::decoder::Rows;
use crate::lm::job::{Job, Lane, Turn};
use crate::lm::plan::BatchSlice;
use crate::lm::tree::Tail;
use crate::lm::{Error, Result};

/// Number of rows whose logits are computed at once (rounded up to whole positions of a request).
/// With a vocabulary of 150,000 tokens these take 20 MB in f32.
const HEAD_ROWS: usize = 32;

/// Index of a request and the result of its rows.
pub(super) type StepOutcome = (usize, Result<Turn>);

/// Rows of this forward step that need logits, per sequence. All sequences of a request cover the
/// same positions of the text.
struct Wish {
    job: usize,
    lanes: Vec<Range<usize>>,
}

/// A request and its logits, `[n_positions][n_lanes][n_vocab]`.
struct LogitsSlice<'a> {
    index: usize,
    job: &'a mut Job,
    logits: &'a mut [f32],
    outcome: Result<Turn>,
}

impl Scheduler {
    /// Runs the units and passes the logits to their requests. Returns the outcome of each request
    /// that received logits.
    pub(super) fn run(&mut self, units: &[BatchSlice]) -> Result<Vec<StepOutcome>> {
        self.make_room(units);
        let mut lanes: Vec<&mut Lane> = Vec::with_capacity(units.len());
        let mut wanted = units.iter().peekable();
        for (job_index, job) in self.jobs.iter_mut().enumerate() {
            for (lane_index, lane) in job.lanes.iter_mut().enumerate() {
                if wanted.next_if(|u| (u.job, u.lane) == (job_index, lane_index)).is_some() {
                    lanes.push(lane);
                }
            }
        }
        let mut batch: Vec<Rows<'_>> = lanes
            .iter_mut()
            .zip(units)
            .map(|(lane, unit)| Rows {
                tokens: &lane.tokens[unit.rows.clone()],
                cache: &mut lane.cache,
            })
            .collect();
        let hidden = self.decoder.forward(&mut batch)?;
        drop(batch);

        let mut first_row = 0;
        let mut wishes: Vec<Wish> = Vec::new();
        for (lane, unit) in lanes.iter().zip(units) {
            let before_text = lane.first_wanted().saturating_sub(unit.rows.start);
            self.counters.add_prompt_rows(before_text.min(unit.rows.len()));
            let wanted = lane.wanted(&unit.rows);
            let rows = first_row + wanted.start - unit.rows.start..first_row + unit.rows.len();
            first_row += unit.rows.len();
            match wishes.last_mut() {
                Some(wish) if wish.job == unit.job => wish.lanes.push(rows),
                _ => wishes.push(Wish { job: unit.job, lanes: vec![rows] }),
            }
            let run_len = lane.cache.run_len();
            if self.limits.share_prefixes && unit.rows.start / run_len != unit.rows.end / run_len {
                self.tree.insert(&lane.tokens, &lane.cache, Tail::Left);
            }
        }
        wishes.retain(|wish| wish.lanes.iter().all(|rows| !rows.is_empty()));
        self.hand_out(&wishes, &hidden)
    }

    /// Computes the requested logits and passes them to their requests.
    fn hand_out(&mut self, wishes: &[Wish], hidden: &Tensor) -> Result<Vec<StepOutcome>> {
        let mut outcomes: Vec<StepOutcome> = Vec::new();
        // Position by position, since a long text needs more rows than are computed at once.
        let mut pieces = wishes
            .iter()
            .flat_map(|wish| (0..wish.lanes[0].len()).map(move |position| (wish, position)))
            .peekable();
        self.counters.add_pass(wishes.iter().map(|wish| wish.lanes[0].len()).sum());
        while pieces.peek().is_some() {
            let mut rows: Vec<u32> = Vec::new();
            let mut counts: Vec<(usize, usize)> = Vec::new();
            while rows.len() < HEAD_ROWS
                && let Some((wish, position)) = pieces.next()
            {
                rows.extend(wish.lanes.iter().map(|lane| (lane.start + position) as u32));
                match counts.last_mut() {
                    Some((job, n)) if *job == wish.job => *n += wish.lanes.len(),
                    _ => counts.push((wish.job, wish.lanes.len())),
                }
            }
            let mut logits = std::mem::take(&mut self.logits);
            self.decoder.logits_of(hidden, &rows, &mut logits)?;
            self.share_out(&mut logits, &counts, &mut outcomes);
            self.logits = logits;
        }
        Ok(outcomes)
    }

    /// Passes to each request its rows of `logits`; `counts` gives their number per request.
    fn share_out(
        &mut self,
        logits: &mut [f32],
        counts: &[(usize, usize)],
        outcomes: &mut Vec<StepOutcome>,
    ) {
        let width = self.decoder.config().n_vocab;
        let mut rest = logits;
        let mut counts = counts.iter().peekable();
        let mut shares: Vec<LogitsSlice<'_>> = Vec::new();
        for (index, job) in self.jobs.iter_mut().enumerate() {
            let Some((_, n_rows)) = counts.next_if(|(job, _)| *job == index) else { continue };
            let (own, others) = std::mem::take(&mut rest).split_at_mut(n_rows * width);
            rest = others;
            let ended = outcomes
                .last()
                .is_some_and(|(job, outcome)| *job == index && !matches!(outcome, Ok(Turn::Goes)));
            if !ended {
                shares.push(LogitsSlice { index, job, logits: own, outcome: Ok(Turn::Goes) });
            }
        }
        let (tokenizer, tier) = (&self.tokenizer, self.tier);
        let take = |share: &mut LogitsSlice<'_>| {
            let n_lanes = share.job.lanes.len();
            for logits in share.logits.chunks_exact_mut(n_lanes * width) {
                // The decoder's rows beyond the tokenizer's vocabulary are padding, no tokens.
                let mut lanes: Vec<&mut [f32]> = logits
                    .chunks_exact_mut(width)
                    .map(|row| &mut row[..tokenizer.n_vocab()])
                    .collect();
                // A panic, for example in a caller's `on_text`, must not end the other requests.
                let turn = AssertUnwindSafe(|| share.job.take(&mut lanes, tokenizer, tier));
                share.outcome = catch_unwind(turn).unwrap_or_else(|panic| {
                    Err(Error::Engine(format!("panicked: {}", message(panic.as_ref()))))
                });
                if !matches!(share.outcome, Ok(Turn::Goes)) {
                    return;
                }
            }
        };
        match self.decoder.pool() {
            Some(pool) => pool.for_each(&mut shares, |_, share| take(share)),
            None => shares.iter_mut().for_each(take),
        }
        for LogitsSlice { index, outcome, .. } in shares {
            match outcomes.last_mut() {
                Some((job, last)) if *job == index => *last = outcome,
                _ => outcomes.push((index, outcome)),
            }
        }
    }

    /// Evicts KV blocks from the prefix cache until the new blocks of this step fit the budget.
    fn make_room(&mut self, units: &[BatchSlice]) {
        let new_runs: usize = units
            .iter()
            .map(|unit| self.jobs[unit.job].lanes[unit.lane].new_runs(unit.rows.end))
            .sum();
        let new_bytes = new_runs * self.decoder.cache().run_bytes();
        while self.decoder.cache_bytes() + new_bytes > self.limits.kv_budget && self.tree.evict() {}
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
