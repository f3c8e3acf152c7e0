//! One request on the engine: its tokens, its cache, and what is done with its logits.

use std::ops::Range;

use futures::channel::oneshot;

use super::constraint::Constrained;
use super::decoder::{Cache, RUN};
use super::sampler::{Sampler, check_logits};
use super::stop::{Released, StopStream};
use super::{Completion, Error, Finish, Result, Score};
use crate::model::tokenizer::{Tokenizer, Utf8Stream};

/// Whether a sequence needs another unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Goes,
    Done,
}

/// A request that waits for its turn.
pub(super) struct Ticket {
    pub(super) tokens: Vec<u32>,
    pub(super) job: Job,
}

/// A request that runs.
pub(super) struct Sequence {
    tokens: Vec<u32>,
    /// Tokens that were there from the start; they are run in chunks.
    n_given: usize,
    cache: Cache,
    job: Job,
}

pub(super) enum Job {
    Complete(Box<Completing>),
    Score(Scoring),
}

/// Receiver of text as it comes.
pub(super) type OnText = Box<dyn FnMut(&str) + Send>;

pub(super) struct Completing {
    sampler: Sampler,
    constraint: Option<Constrained>,
    stop: StopStream,
    utf8: Utf8Stream,
    on_text: OnText,
    max_tokens: usize,
    completion: Completion,
    reply: oneshot::Sender<Result<Completion>>,
}

pub(super) struct Scoring {
    n_prompt: usize,
    score: Score,
    reply: oneshot::Sender<Result<Score>>,
}

impl Job {
    /// Whoever asked has gone.
    pub(super) fn is_cancelled(&self) -> bool {
        match self {
            Self::Complete(completing) => completing.reply.is_canceled(),
            Self::Score(scoring) => scoring.reply.is_canceled(),
        }
    }

    /// First position whose logits are wanted, given this many tokens.
    fn first_wanted(&self, n_given: usize) -> usize {
        match self {
            Self::Complete(_) => n_given - 1,
            Self::Score(scoring) => scoring.n_prompt - 1,
        }
    }

    fn fail(self, error: Error) {
        // Nobody may be waiting any more; that is no error.
        match self {
            Self::Complete(completing) => drop(completing.reply.send(Err(error))),
            Self::Score(scoring) => drop(scoring.reply.send(Err(error))),
        }
    }
}

impl Ticket {
    /// First position whose logits are wanted.
    pub(super) fn first_wanted(&self) -> usize {
        self.job.first_wanted(self.tokens.len())
    }

    /// Most tokens it can come to hold.
    pub(super) fn longest(&self) -> usize {
        match &self.job {
            Job::Complete(completing) => self.tokens.len() + completing.max_tokens,
            Job::Score(_) => self.tokens.len(),
        }
    }
}

impl Sequence {
    /// `cache` holds the first of the ticket's tokens, in whole chunks, or nothing.
    pub(super) fn new(ticket: Ticket, cache: Cache) -> Self {
        Self { n_given: ticket.tokens.len(), tokens: ticket.tokens, cache, job: ticket.job }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.job.is_cancelled()
    }

    /// Whether nothing has to be computed at all.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.job, Job::Complete(completing) if completing.max_tokens == 0)
    }

    /// Most tokens it can come to hold.
    pub(super) fn longest(&self) -> usize {
        match &self.job {
            Job::Complete(completing) => self.n_given + completing.max_tokens,
            Job::Score(_) => self.n_given,
        }
    }

    /// Tokens to run next, up to the end of their chunk; which of these rows' logits are wanted; and
    /// the cache they go to.
    pub(super) fn next_unit(&mut self) -> (&[u32], Range<usize>, &mut Cache) {
        let start = self.cache.len();
        let end = ((start / RUN + 1) * RUN).min(self.tokens.len());
        let wanted = self.job.first_wanted(self.n_given).clamp(start, end) - start..end - start;
        (&self.tokens[start..end], wanted, &mut self.cache)
    }

    /// The given tokens and their cache, once when all of them have been run.
    pub(super) fn prefilled(&self) -> Option<(&[u32], &Cache)> {
        (self.cache.len() == self.n_given).then_some((&self.tokens[..self.n_given], &self.cache))
    }

    /// Takes the logits after the next row that wanted them.
    pub(super) fn take(&mut self, logits: &mut [f32], tokenizer: &Tokenizer) -> Result<Turn> {
        match &mut self.job {
            Job::Complete(completing) => completing.take(logits, &mut self.tokens, tokenizer),
            Job::Score(scoring) => scoring.take(logits),
        }
    }

    /// Sends the answer.
    pub(super) fn finish(self) {
        match self.job {
            Job::Complete(completing) => {
                drop(completing.reply.send(Ok(completing.completion)));
            }
            Job::Score(scoring) => drop(scoring.reply.send(Ok(scoring.score))),
        }
    }

    /// Sends an error instead.
    pub(super) fn fail(self, error: Error) {
        self.job.fail(error);
    }
}

impl Completing {
    pub(super) fn new(
        sampler: Sampler,
        constraint: Option<Constrained>,
        stop: StopStream,
        on_text: OnText,
        max_tokens: usize,
        prompt_tokens: usize,
        reply: oneshot::Sender<Result<Completion>>,
    ) -> Self {
        let completion = Completion {
            text: String::new(),
            prompt_tokens,
            completion_tokens: 0,
            finish: Finish::Length,
        };
        let utf8 = Utf8Stream::default();
        Self { sampler, constraint, stop, utf8, on_text, max_tokens, completion, reply }
    }

    fn take(
        &mut self,
        logits: &mut [f32],
        tokens: &mut Vec<u32>,
        tokenizer: &Tokenizer,
    ) -> Result<Turn> {
        if let Some(constraint) = &mut self.constraint {
            constraint.mask(logits)?;
        }
        let mut id = self.sampler.choose(logits, tokens)?;
        if let Some(constraint) = &mut self.constraint {
            id = constraint.take(id)?;
        }
        if tokenizer.is_end(id) {
            return Ok(self.end(Finish::End));
        }
        tokens.push(id);
        self.completion.completion_tokens += 1;
        let text = self.utf8.push(tokenizer.bytes(id));
        match self.stop.push(&text) {
            Released::Stopped(text) => {
                self.show(&text);
                self.completion.finish = Finish::Stop;
                return Ok(Turn::Done);
            }
            Released::Text(text) => self.show(&text),
        }
        if let Some(finish) = self.constraint.as_ref().and_then(Constrained::finish) {
            return Ok(self.end(finish));
        }
        match self.completion.completion_tokens == self.max_tokens {
            true => Ok(self.end(Finish::Length)),
            false => Ok(Turn::Goes),
        }
    }

    /// Lets out what was held back. A character that the last token left unfinished is shown as
    /// U+FFFD.
    fn end(&mut self, finish: Finish) -> Turn {
        self.completion.finish = finish;
        let unfinished = self.utf8.finish();
        let held = match self.stop.push(&unfinished) {
            Released::Text(text) => text + &self.stop.finish(),
            Released::Stopped(text) => {
                self.completion.finish = Finish::Stop;
                text
            }
        };
        self.show(&held);
        Turn::Done
    }

    fn show(&mut self, text: &str) {
        if !text.is_empty() {
            self.completion.text.push_str(text);
            (self.on_text)(text);
        }
    }
}

impl Scoring {
    pub(super) fn new(
        n_prompt: usize,
        continuation: Vec<u32>,
        reply: oneshot::Sender<Result<Score>>,
    ) -> Self {
        let logprobs = Vec::with_capacity(continuation.len());
        Self { n_prompt, score: Score { tokens: continuation, logprobs }, reply }
    }

    fn take(&mut self, logits: &[f32]) -> Result<Turn> {
        check_logits(logits)?;
        let id = self.score.tokens[self.score.logprobs.len()];
        let logit = logits.get(id as usize).ok_or(Error::Token { id, n_vocab: logits.len() })?;
        self.score.logprobs.push((f64::from(*logit) - log_sum_exp(logits)) as f32);
        match self.score.logprobs.len() == self.score.tokens.len() {
            true => Ok(Turn::Done),
            false => Ok(Turn::Goes),
        }
    }
}

/// `ln Σ exp(xᵢ)`, stable for large and small logits alike.
fn log_sum_exp(x: &[f32]) -> f64 {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = x.iter().map(|x| f64::from((x - largest).exp())).sum();
    f64::from(largest) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_of_a_sum_is_stable() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[-1000.0, f32::NEG_INFINITY]) + 1000.0).abs() < 1e-9);
        let even = vec![0.5; 50_000];
        assert!((log_sum_exp(&even) - (0.5 + 50_000f64.ln())).abs() < 1e-6);
    }
}
