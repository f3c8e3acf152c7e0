//! One request in the engine: its sequences with their caches, and the consumer of their logits.

use std::ops::Range;

use super::decoder::Cache;
use super::generation::{Generation, NextToken};
use super::sampler::check_logits;
use super::scoring::Scoring;
use super::{CombineLogits, Distributions, Error, Result};
use crate::model::tokenizer::Tokenizer;
use idiolect_kernels::Tier;
use idiolect_kernels::softmax::log_softmax_in_place;

/// A `Job`: one request, with one sequence or several whose distributions are combined.
pub(super) struct Job {
    pub(super) lanes: Vec<Lane>,
    /// At least one. Each makes a distribution from those of the sequences; `None` takes the first
    /// sequence's as it is. Only scoring uses more than one.
    pub(super) combine: Vec<Option<Box<dyn CombineLogits>>>,
    pub(super) work: Work,
}

/// A `Lane`: one sequence of a request, a prompt and the text after it. The text is the same in all
/// sequences of a request.
pub(super) struct Lane {
    /// Tokens of the prompt and of the known text.
    pub(super) tokens: Vec<u32>,
    /// Number of prompt tokens, at least one.
    pub(super) n_prompt: usize,
    /// Maximum number of tokens that the sequence may reach.
    pub(super) longest: usize,
    pub(super) cache: Cache,
    /// Whether its cached prefix has been attached, so that it can run.
    pub(super) begun: bool,
}

pub(super) enum Work {
    Generate(Box<Generation>),
    Score(Scoring),
}

/// A `Turn`: whether a request needs more rows (`Goes`) or is finished (`Done`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Goes,
    Done,
}

impl Lane {
    /// Creates a sequence; `cache` is empty.
    pub(super) fn new(tokens: Vec<u32>, n_prompt: usize, longest: usize, cache: Cache) -> Self {
        Self { tokens, n_prompt, longest, cache, begun: false }
    }

    /// First position whose logits are needed: the last one of the prompt.
    pub(super) fn first_wanted(&self) -> usize {
        self.n_prompt - 1
    }

    /// Whether the prompt has rows left that need no logits.
    pub(super) fn is_in_prompt(&self) -> bool {
        self.cache.len() < self.first_wanted()
    }

    /// Maximum number of KV blocks that it may still allocate, including a copy of a shared partial
    /// block.
    pub(super) fn missing_runs(&self) -> usize {
        let run_len = self.cache.run_len();
        let has = self.cache.n_runs() - usize::from(self.cache.is_tail_shared());
        self.longest.div_ceil(run_len).saturating_sub(has)
    }

    /// Number of new KV blocks needed for the rows up to `end`, including a copy of a shared
    /// partial block.
    pub(super) fn new_runs(&self, end: usize) -> usize {
        let has = self.cache.n_runs() - usize::from(self.cache.is_tail_shared());
        end.div_ceil(self.cache.run_len()).saturating_sub(has)
    }

    /// The part of `rows` whose logits are needed.
    pub(super) fn wanted(&self, rows: &Range<usize>) -> Range<usize> {
        self.first_wanted().clamp(rows.start, rows.end)..rows.end
    }
}

impl Job {
    /// Whether the caller has dropped the request.
    pub(super) fn is_cancelled(&self) -> bool {
        match &self.work {
            Work::Generate(generation) => generation.is_cancelled(),
            Work::Score(scoring) => scoring.is_cancelled(),
        }
    }

    /// Whether there is nothing to compute.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.work, Work::Generate(generation) if generation.max_tokens() == 0)
    }

    /// Consumes the logits of the text's next position, one row per sequence, `[n_lanes][n_vocab]`.
    pub(super) fn take(
        &mut self,
        logits: &mut [&mut [f32]],
        tokenizer: &Tokenizer,
        tier: Tier,
    ) -> Result<Turn> {
        let position = match &self.work {
            Work::Generate(generation) => generation.n_written(),
            Work::Score(scoring) => scoring.n_taken(),
        };
        let Some((first, _)) = logits.split_first_mut() else {
            return Err(Error::Engine("was given no logits".to_owned()));
        };
        if let [None] = self.combine.as_slice() {
            return self.take_one(0, first, tokenizer, tier);
        }
        let mut as_it_is = first.to_vec();
        for row in logits.iter_mut() {
            check_logits(row)?;
            log_softmax_in_place(row, tier);
        }
        let Some(lane) = self.lanes.first() else {
            return Err(Error::Engine("was given no prompt".to_owned()));
        };
        let written = lane.tokens[lane.n_prompt..lane.n_prompt + position].to_vec();
        let rows: Vec<&[f32]> = logits.iter().map(|row| &**row).collect();
        let mut combined = vec![0.0; as_it_is.len()];
        let mut turn = Turn::Goes;
        for index in 0..self.combine.len() {
            turn = match &mut self.combine[index] {
                Some(combine) => {
                    combine.combine(&Distributions::new(&written, &rows).on(tier), &mut combined);
                    self.take_one(index, &mut combined, tokenizer, tier)?
                }
                None => self.take_one(index, &mut as_it_is, tokenizer, tier)?,
            };
        }
        Ok(turn)
    }

    /// Consumes the text's next distribution from the combination `index`.
    fn take_one(
        &mut self,
        index: usize,
        logits: &mut [f32],
        tokenizer: &Tokenizer,
        tier: Tier,
    ) -> Result<Turn> {
        match &mut self.work {
            Work::Score(scoring) => {
                let is_last = scoring.take(index, logits, tier)?;
                Ok(if is_last { Turn::Done } else { Turn::Goes })
            }
            Work::Generate(generation) => {
                match generation.take(logits, &self.lanes[0].tokens, tokenizer)? {
                    NextToken::Done => Ok(Turn::Done),
                    NextToken::Token(id) => {
                        self.lanes.iter_mut().for_each(|lane| lane.tokens.push(id));
                        Ok(Turn::Goes)
                    }
                }
            }
        }
    }

    /// Sends the answer, or the error if there is one.
    pub(super) fn answer(self, error: Option<Error>) {
        match self.work {
            Work::Generate(generation) => generation.answer(error),
            Work::Score(scoring) => scoring.answer(error),
        }
    }
}
