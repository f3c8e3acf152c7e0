//! One forward step: runs the selected rows and passes the logits to the requests.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Scheduler;
use crate::lm::batch::BatchSlice;
use crate::lm::decoder::{BatchRows, Decoder, KvCache, RowKind};
use crate::lm::prefix_cache::PartialBlock;
use crate::lm::sequence::{Sequence, SequenceGroup, Status};
use crate::lm::{Error, Result};

/// Number of rows whose logits are computed at once (rounded up to whole positions of a request).
/// With a vocabulary of 150,000 tokens these take 20 MB in f32.
const HEAD_ROWS: usize = 32;

/// Index of a request and the result of its rows.
pub(super) type StepOutcome = (usize, Result<Status>);

/// Rows of this forward step that need logits, per sequence. All sequences of a request cover the
/// same positions of the text.
struct LogitsRequest {
    group: usize,
    sequences: Vec<Range<usize>>,
}

/// A request and its logits, `[n_positions][n_sequences][n_vocab]`.
struct LogitsSlice<'a, C> {
    index: usize,
    group: &'a mut SequenceGroup<C>,
    logits: &'a mut [f32],
    /// `[n_positions][n_sequences][n_embd]`; empty if no request reads them.
    states: &'a [f32],
    outcome: Result<Status>,
}

impl<D: Decoder> Scheduler<D> {
    /// Runs the slices and passes the logits to their requests. Returns the outcome of each request
    /// that received logits.
    pub(super) fn forward_step(&mut self, slices: &[BatchSlice]) -> Result<Vec<StepOutcome>> {
        self.make_room(slices);
        let is_drafted: Vec<bool> =
            slices.iter().map(|slice| !self.running[slice.group].draft.is_empty()).collect();
        let mut sequences: Vec<&mut Sequence<KvCache<D::Layout>>> =
            Vec::with_capacity(slices.len());
        let mut wanted = slices.iter().peekable();
        for (group_index, group) in self.running.iter_mut().enumerate() {
            for (sequence_index, sequence) in group.sequences.iter_mut().enumerate() {
                if wanted
                    .next_if(|slice| (slice.group, slice.sequence) == (group_index, sequence_index))
                    .is_some()
                {
                    sequences.push(sequence);
                }
            }
        }
        let mut batch: Vec<BatchRows<'_, D::Layout>> = sequences
            .iter_mut()
            .zip(slices)
            .map(|(sequence, slice)| BatchRows {
                kind: match slice.rows.end <= sequence.first_logits() {
                    true => RowKind::Prompt,
                    false => RowKind::Text,
                },
                tokens: &sequence.tokens[slice.rows.clone()],
                cache: &mut sequence.cache,
                adapter: sequence.adapter.as_deref(),
            })
            .collect();
        // The first row of each slice in the batch, in which the rows of prompts come first.
        let mut first_rows = vec![0; slices.len()];
        let mut n_rows = 0;
        for kind in [RowKind::Prompt, RowKind::Text] {
            for (first_row, rows) in first_rows.iter_mut().zip(&batch) {
                if rows.kind == kind {
                    *first_row = n_rows;
                    n_rows += rows.tokens.len();
                }
            }
        }
        batch.sort_by_key(|rows| rows.kind == RowKind::Text);
        let hidden = self.decoder.forward(&mut batch)?;
        drop(batch);

        let separates_prompts = self.decoder.separates_prompts();
        let mut requests: Vec<LogitsRequest> = Vec::new();
        let of_slices = sequences.iter().zip(slices).zip(first_rows).zip(is_drafted);
        for (((sequence, slice), first_row), is_drafted) in of_slices {
            let before_text = sequence.first_logits().saturating_sub(slice.rows.start);
            self.counters.add_prompt_rows(before_text.min(slice.rows.len()));
            let wanted = sequence.logits_rows(&slice.rows);
            let rows = first_row + wanted.start - slice.rows.start..first_row + slice.rows.len();
            match requests.last_mut() {
                Some(request) if request.group == slice.group => request.sequences.push(rows),
                _ => requests.push(LogitsRequest { group: slice.group, sequences: vec![rows] }),
            }
            let block_size = sequence.cache.block_size();
            // The rows of a draft may be void.
            if self.limits.share_prefixes
                && !is_drafted
                && slice.rows.start / block_size != slice.rows.end / block_size
            {
                let reusable = sequence.reusable(separates_prompts);
                let key = sequence.adapter_key();
                self.prefixes.insert(key, reusable, &sequence.cache, PartialBlock::Open);
            }
        }
        requests.retain(|request| request.sequences.iter().all(|rows| !rows.is_empty()));
        self.take_back_drafts();
        let outcomes = self.compute_logits(&requests, &hidden);
        self.settle_drafts();
        outcomes
    }

    /// Computes the requested logits and passes them to their requests.
    fn compute_logits(
        &mut self,
        requests: &[LogitsRequest],
        hidden: &D::Hidden,
    ) -> Result<Vec<StepOutcome>> {
        let mut outcomes: Vec<StepOutcome> = Vec::new();
        // Position by position, since a long text needs more rows than are computed at once.
        let mut pieces = requests
            .iter()
            .flat_map(|request| {
                (0..request.sequences[0].len()).map(move |position| (request, position))
            })
            .peekable();
        self.counters
            .add_forward_step(requests.iter().map(|request| request.sequences[0].len()).sum());
        while pieces.peek().is_some() {
            let mut rows: Vec<u32> = Vec::new();
            let mut counts: Vec<(usize, usize)> = Vec::new();
            while rows.len() < HEAD_ROWS
                && let Some((request, position)) = pieces.next()
            {
                rows.extend(
                    request.sequences.iter().map(|sequence| (sequence.start + position) as u32),
                );
                match counts.last_mut() {
                    Some((group, n)) if *group == request.group => *n += request.sequences.len(),
                    _ => counts.push((request.group, request.sequences.len())),
                }
            }
            let mut logits = std::mem::take(&mut self.logits);
            self.decoder.logits(hidden, &rows, &mut logits)?;
            let mut states = Vec::new();
            if counts.iter().any(|(group, _)| self.running[*group].reads_hidden()) {
                self.decoder.states(hidden, &rows, &mut states)?;
            }
            self.dispatch_logits(&mut logits, &states, &counts, &mut outcomes);
            self.logits = logits;
        }
        Ok(outcomes)
    }

    /// Passes to each request its rows of `logits` and of `states`, if there are any; `counts` gives
    /// their number per request.
    fn dispatch_logits(
        &mut self,
        logits: &mut [f32],
        states: &[f32],
        counts: &[(usize, usize)],
        outcomes: &mut Vec<StepOutcome>,
    ) {
        let (width, n_embd) = (self.decoder.config().n_vocab, self.decoder.config().n_embd);
        let mut rest_of_states = states;
        let mut rest = logits;
        let mut counts = counts.iter().peekable();
        let mut parts: Vec<LogitsSlice<'_, _>> = Vec::new();
        for (index, group) in self.running.iter_mut().enumerate() {
            let Some((_, n_rows)) = counts.next_if(|(group, _)| *group == index) else { continue };
            let (own, others) = std::mem::take(&mut rest).split_at_mut(n_rows * width);
            rest = others;
            let n_values = if states.is_empty() { 0 } else { n_rows * n_embd };
            let (states, other_states) = rest_of_states.split_at(n_values);
            rest_of_states = other_states;
            let ended = outcomes.last().is_some_and(|(group, outcome)| {
                *group == index && !matches!(outcome, Ok(Status::Running))
            });
            if !ended {
                let outcome = Ok(Status::Running);
                parts.push(LogitsSlice { index, group, logits: own, states, outcome });
            }
        }
        let (tokenizer, isa) = (&self.tokenizer, self.isa);
        let take = |part: &mut LogitsSlice<'_, _>| {
            let n_sequences = part.group.sequences.len();
            let states: Vec<&[f32]> = part.states.chunks_exact(n_embd).collect();
            let mut states = states.chunks(n_sequences);
            for logits in part.logits.chunks_exact_mut(n_sequences * width) {
                let hidden = states.next().unwrap_or_default();
                if part.group.draft.is_rejected() {
                    return;
                }
                // The decoder's rows beyond the tokenizer's vocabulary are padding, no tokens.
                let mut sequences: Vec<&mut [f32]> = logits
                    .chunks_exact_mut(width)
                    .map(|row| &mut row[..tokenizer.n_vocab()])
                    .collect();
                // A panic, for example in a caller's `on_text`, must not end the other requests.
                let consume =
                    AssertUnwindSafe(|| part.group.take(&mut sequences, hidden, tokenizer, isa));
                part.outcome = catch_unwind(consume).unwrap_or_else(|panic| {
                    Err(Error::Engine(format!("panicked: {}", message(panic.as_ref()))))
                });
                if !matches!(part.outcome, Ok(Status::Running)) {
                    return;
                }
            }
        };
        match self.decoder.pool() {
            Some(pool) => pool.for_each(&mut parts, |_, part| take(part)),
            None => parts.iter_mut().for_each(take),
        }
        for LogitsSlice { index, outcome, .. } in parts {
            match outcomes.last_mut() {
                Some((group, last)) if *group == index => *last = outcome,
                _ => outcomes.push((index, outcome)),
            }
        }
    }

    /// Evicts KV blocks from the prefix cache until the new blocks of this step fit the budget.
    fn make_room(&mut self, slices: &[BatchSlice]) {
        let new_blocks: usize = slices
            .iter()
            .map(|slice| {
                self.running[slice.group].sequences[slice.sequence].new_blocks(slice.rows.end)
            })
            .sum();
        let new_bytes = new_blocks * self.decoder.kv_pool().block_bytes();
        while self.decoder.kv_pool().bytes() + new_bytes > self.limits.kv_budget
            && self.prefixes.evict()
        {}
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
