//! Consumer of a scored request's logits: computes the log-probabilities of the given tokens.

use futures::channel::oneshot;

use super::sampler::check_logits;
use super::{Error, Result, Score, TokenLogprob};
use idiolect_kernels::Isa;
use idiolect_kernels::softmax::log_sum_exp;

/// A scored text, under one or several distributions per token.
pub(super) struct Scoring {
    continuation: Vec<u32>,
    /// Log-probabilities by distribution, `[n_distributions][n_taken]`.
    logprobs: Vec<Vec<f32>>,
    /// Number of likeliest tokens to tell beside each token; `None` tells none and no ranks.
    top: Option<usize>,
    /// As `logprobs`, if `top` asks for it.
    details: Vec<Vec<TokenLogprob>>,
    reply: oneshot::Sender<Result<Vec<Score>>>,
}

impl Scoring {
    /// Creates the state; `continuation` has at least one token.
    pub(super) fn new(
        continuation: Vec<u32>,
        n_distributions: usize,
        reply: oneshot::Sender<Result<Vec<Score>>>,
    ) -> Self {
        let logprobs = vec![Vec::with_capacity(continuation.len()); n_distributions];
        let details = vec![Vec::new(); n_distributions];
        Self { continuation, logprobs, top: None, details, reply }
    }

    /// Also collects the rank of each token and the `top` likeliest ones, if it is given.
    pub(super) fn with_top(self, top: Option<usize>) -> Self {
        Self { top, ..self }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.reply.is_canceled()
    }

    /// Number of tokens scored so far under all distributions.
    pub(super) fn n_taken(&self) -> usize {
        self.logprobs.last().map_or(0, Vec::len)
    }

    /// Scores the next token under distribution `index`; returns whether this was the last token's
    /// last distribution. The distributions of one token come in their order.
    pub(super) fn take(&mut self, index: usize, logits: &[f32], isa: Isa) -> Result<bool> {
        check_logits(logits, isa)?;
        let logprobs = &mut self.logprobs[index];
        let id = self.continuation[logprobs.len()];
        let logit = logits.get(id as usize).ok_or(Error::Token { id, n_vocab: logits.len() })?;
        logprobs.push(logit - log_sum_exp(logits, isa));
        if let Some(n_top) = self.top {
            self.details[index].push(TokenLogprob::new(logits, id, n_top, isa));
        }
        Ok(self.n_taken() == self.continuation.len())
    }

    pub(super) fn answer(self, error: Option<Error>) {
        let Self { continuation, logprobs, details, reply, .. } = self;
        let score = |(logprobs, details)| Score { tokens: continuation.clone(), logprobs, details };
        let scores = logprobs.into_iter().zip(details).map(score).collect();
        // The caller may have dropped the request; that is no error.
        drop(reply.send(error.map_or(Ok(scores), Err)));
    }
}
