//! One request in the engine: its sequences with their caches, and the consumer of their logits.

use std::ops::Range;
use std::sync::Arc;

use super::decoder::{KvCache, KvLayout};
use super::draft::TokenDraft;
use super::generation::{Generation, NextToken};
use super::sampler::check_logits;
use super::scoring::Scoring;
use super::{
    Adapter, AdapterKey, CombineLogits, Distributions, Error, ObserveLogits, Result, ReusedTokens,
};
use crate::model::tokenizer::Tokenizer;
use idiolect_kernels::Isa;
use idiolect_kernels::softmax::log_softmax_in_place;

/// One request, with one sequence or several whose distributions are combined. `C` is the KV cache
/// of each sequence; a request that the scheduler has not admitted has none, `()`.
pub(super) struct SequenceGroup<C = ()> {
    pub(super) sequences: Vec<Sequence<C>>,
    /// At least one. Each makes a distribution from those of the sequences; `None` takes the first
    /// sequence's as it is. Only scoring uses more than one.
    pub(super) combine: Vec<Option<Box<dyn CombineLogits>>>,
    pub(super) observed: Option<ObservedSequences>,
    pub(super) work: Work,
    /// Tokens that the next positions are expected to hold.
    pub(super) draft: TokenDraft,
    /// Counts the prompt tokens that are reused, for the caller.
    pub(super) reused: ReusedTokens,
}

/// The last sequences of a request, which have no part in the choice of tokens, and the receiver of
/// the distributions of all.
pub(super) struct ObservedSequences {
    pub(super) n: usize,
    pub(super) receiver: Box<dyn ObserveLogits>,
}

/// One sequence of a request: a prompt and the text after it. The text is the same in all sequences
/// of a request.
pub(super) struct Sequence<C = ()> {
    /// Tokens of the prompt and of the known text.
    pub(super) tokens: Vec<u32>,
    /// Number of prompt tokens, at least one.
    pub(super) n_prompt: usize,
    /// Maximum number of tokens that the sequence may reach.
    pub(super) max_len: usize,
    pub(super) cache: C,
    /// Whether its cached prefix has been attached, so that it can run.
    pub(super) prefix_attached: bool,
    /// Changes of the model for this sequence.
    pub(super) adapter: Option<Arc<Adapter>>,
}

/// The consumer of a request's logits.
pub(super) enum Work {
    Generate(Box<Generation>),
    Score(Scoring),
}

/// Whether a request needs more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Finished,
}

impl Sequence {
    /// Creates a sequence without a cache.
    pub(super) fn new(tokens: Vec<u32>, n_prompt: usize, max_len: usize) -> Self {
        Self { tokens, n_prompt, max_len, cache: (), prefix_attached: false, adapter: None }
    }

    /// Returns the same sequence with an adapter.
    pub(super) fn with_adapter(self, adapter: Option<Arc<Adapter>>) -> Self {
        Self { adapter, ..self }
    }
}

impl<C> Sequence<C> {
    /// Key of its adapter, if it has one.
    pub(super) fn adapter_key(&self) -> Option<AdapterKey> {
        self.adapter.as_ref().map(|adapter| adapter.key())
    }

    /// First position whose logits are needed: the last one of the prompt.
    pub(super) fn first_logits(&self) -> usize {
        self.n_prompt - 1
    }

    /// The part of `rows` whose logits are needed.
    pub(super) fn logits_rows(&self, rows: &Range<usize>) -> Range<usize> {
        self.first_logits().clamp(rows.start, rows.end)..rows.end
    }
}

impl<L: KvLayout> Sequence<KvCache<L>> {
    /// Whether the prompt has rows left that need no logits.
    pub(super) fn is_in_prompt(&self) -> bool {
        self.cache.len() < self.first_logits()
    }

    /// Its first tokens, those whose cached keys and values may serve other prompts: the prompt's if
    /// the decoder computes prompts otherwise than texts.
    pub(super) fn reusable(&self, separates_prompts: bool) -> &[u32] {
        let n = self.cache.len();
        &self.tokens[..if separates_prompts { n.min(self.first_logits()) } else { n }]
    }

    /// Maximum number of KV blocks that it may still allocate, including a copy of a shared partial
    /// block.
    pub(super) fn missing_blocks(&self) -> usize {
        self.new_blocks(self.max_len)
    }

    /// Number of new KV blocks needed for the rows up to `end`, including a copy of a shared
    /// partial block.
    pub(super) fn new_blocks(&self, end: usize) -> usize {
        let has = self.cache.n_blocks() - usize::from(self.cache.shares_partial_block());
        end.div_ceil(self.cache.block_size()).saturating_sub(has)
    }
}

impl SequenceGroup {
    /// Number of KV blocks that its sequences may need.
    pub(super) fn max_blocks(&self, block_size: usize) -> usize {
        self.sequences.iter().map(|sequence| sequence.max_len.div_ceil(block_size)).sum()
    }

    /// Gives each sequence an empty cache.
    pub(super) fn with_caches<C>(self, empty_cache: impl Fn() -> C) -> SequenceGroup<C> {
        let Self { sequences, combine, observed, work, draft, reused } = self;
        let sequences = sequences.into_iter().map(|sequence| {
            let Sequence { tokens, n_prompt, max_len, prefix_attached, adapter, .. } = sequence;
            Sequence { tokens, n_prompt, max_len, cache: empty_cache(), prefix_attached, adapter }
        });
        SequenceGroup { sequences: sequences.collect(), combine, observed, work, draft, reused }
    }
}

impl<C> SequenceGroup<C> {
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

    /// Whether a combination reads the last hidden states.
    pub(super) fn reads_hidden(&self) -> bool {
        self.combine.iter().flatten().any(|combine| combine.reads_hidden())
    }

    /// Consumes the logits of the text's next position, one row per sequence, `[n_sequences][n_vocab]`.
    /// `hidden` has the last hidden states of the same rows, if a combination reads them.
    pub(super) fn take(
        &mut self,
        logits: &mut [&mut [f32]],
        hidden: &[&[f32]],
        tokenizer: &Tokenizer,
        isa: Isa,
    ) -> Result<Status> {
        let n_observed = self.observe(logits, isa)?;
        let (logits, _) = logits.split_at_mut(logits.len().saturating_sub(n_observed));
        let Some((first, _)) = logits.split_first_mut() else {
            return Err(Error::Engine("was given no logits".to_owned()));
        };
        if let [None] = self.combine.as_slice() {
            return self.take_one(0, first, tokenizer, isa);
        }
        let n_vocab = first.len();
        let mut as_it_is = match self.combine.iter().any(Option::is_none) {
            true => first.to_vec(),
            false => Vec::new(),
        };
        for row in logits.iter_mut() {
            check_logits(row, isa)?;
            log_softmax_in_place(row, isa);
        }
        let written = self.written()?;
        let rows: Vec<&[f32]> = logits.iter().map(|row| &**row).collect();
        let mut combined = vec![0.0; n_vocab];
        let mut status = Status::Running;
        for index in 0..self.combine.len() {
            status = match &mut self.combine[index] {
                Some(combine) => {
                    let step = Distributions::on(isa, &written, &rows).with_hidden(hidden);
                    combine.combine(&step, &mut combined);
                    self.take_one(index, &mut combined, tokenizer, isa)?
                }
                None => self.take_one(index, &mut as_it_is, tokenizer, isa)?,
            };
        }
        Ok(status)
    }

    /// Shows the distributions of all sequences if they are observed; returns the number of sequences
    /// that are only observed.
    fn observe(&mut self, logits: &[&mut [f32]], isa: Isa) -> Result<usize> {
        if self.observed.is_none() {
            return Ok(0);
        }
        let written = self.written()?;
        let Some(observed) = &mut self.observed else { return Ok(0) };
        // The logits themselves stay as they are, since penalties depend on more than differences.
        let mut rows: Vec<Vec<f32>> = logits.iter().map(|row| row.to_vec()).collect();
        for row in &mut rows {
            check_logits(row, isa)?;
            log_softmax_in_place(row, isa);
        }
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        observed.receiver.observe(&Distributions::on(isa, &written, &rows));
        Ok(observed.n)
    }

    /// Tokens of the text whose distributions were consumed.
    fn written(&self) -> Result<Vec<u32>> {
        let position = match &self.work {
            Work::Generate(generation) => generation.n_written(),
            Work::Score(scoring) => scoring.n_taken(),
        };
        let Some(sequence) = self.sequences.first() else {
            return Err(Error::Engine("was given no prompt".to_owned()));
        };
        Ok(sequence.tokens[sequence.n_prompt..sequence.n_prompt + position].to_vec())
    }

    /// Consumes the text's next distribution from the combination `index`.
    fn take_one(
        &mut self,
        index: usize,
        logits: &mut [f32],
        tokenizer: &Tokenizer,
        isa: Isa,
    ) -> Result<Status> {
        match &mut self.work {
            Work::Score(scoring) => {
                let is_last = scoring.take(index, logits, isa)?;
                Ok(if is_last { Status::Finished } else { Status::Running })
            }
            Work::Generate(generation) => {
                match generation.take(logits, &self.sequences[0].tokens, tokenizer, isa)? {
                    NextToken::Done => Ok(Status::Finished),
                    NextToken::Token(id) => {
                        self.sequences.iter_mut().for_each(|sequence| sequence.tokens.push(id));
                        self.draft.judge(id);
                        Ok(Status::Running)
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
