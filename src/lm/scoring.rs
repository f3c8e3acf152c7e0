//! What a score does with the logits it is given: look up the tokens it was asked about.

use futures::channel::oneshot;

use super::sampler::check_logits;
use super::{Error, Result, Score};
use crate::kernels::Tier;
use crate::kernels::softmax::log_sum_exp;

pub(super) struct Scoring {
    score: Score,
    reply: oneshot::Sender<Result<Score>>,
}

impl Scoring {
    pub(super) fn new(continuation: Vec<u32>, reply: oneshot::Sender<Result<Score>>) -> Self {
        let logprobs = Vec::with_capacity(continuation.len());
        Self { score: Score { tokens: continuation, logprobs }, reply }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.reply.is_canceled()
    }

    /// Tokens looked up so far.
    pub(super) fn n_taken(&self) -> usize {
        self.score.logprobs.len()
    }

    /// Takes the logits of the next token's row; tells whether it was the last.
    pub(super) fn take(&mut self, logits: &[f32], tier: Tier) -> Result<bool> {
        check_logits(logits)?;
        let id = self.score.tokens[self.score.logprobs.len()];
        let logit = logits.get(id as usize).ok_or(Error::Token { id, n_vocab: logits.len() })?;
        self.score.logprobs.push(logit - log_sum_exp(logits, tier));
        Ok(self.score.logprobs.len() == self.score.tokens.len())
    }

    pub(super) fn answer(self, error: Option<Error>) {
        // Nobody may be waiting any more; that is no error.
        drop(self.reply.send(error.map_or(Ok(self.score), Err)));
    }
}
