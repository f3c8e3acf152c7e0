//! Consumer of a completion's logits: samples a token, emits its text, and decides when to stop.

use futures::channel::oneshot;

use super::constraint::Constrained;
use super::sampler::Sampler;
use super::stop::{Released, StopStream};
use super::{Completion, Error, Finish, MaskLogits, OnText, OnToken, Result, TokenLogprob};
use crate::model::tokenizer::{Tokenizer, Utf8Stream};
use idiolect_kernels::Isa;

/// State of one generated text.
pub(super) struct Generation {
    sampler: Sampler,
    limits: GenerationLimits,
    /// Text generated so far, kept for the mask.
    written: String,
    stop: StopStream,
    utf8: Utf8Stream,
    completion: Completion,
    reply: oneshot::Sender<Result<Completion>>,
}

/// Conditions of a generation besides its sampling.
pub(super) struct GenerationLimits {
    pub(super) constraint: Option<Constrained>,
    pub(super) mask: Option<Box<dyn MaskLogits>>,
    pub(super) stop: Vec<String>,
    pub(super) max_tokens: usize,
    pub(super) on_text: Option<OnText>,
    /// Number of likeliest tokens to tell beside each token; `None` tells no tokens.
    pub(super) logprobs: Option<usize>,
    pub(super) on_token: Option<OnToken>,
}

/// Result of a row of logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextToken {
    /// The text continues with this token.
    Token(u32),
    Done,
}

impl Generation {
    pub(super) fn new(
        sampler: Sampler,
        limits: GenerationLimits,
        prompt_tokens: usize,
        reply: oneshot::Sender<Result<Completion>>,
    ) -> Self {
        let completion = Completion {
            text: String::new(),
            prompt_tokens,
            completion_tokens: 0,
            finish: Finish::Length,
            tokens: Vec::new(),
        };
        let stop = StopStream::new(&limits.stop);
        let (written, utf8) = (String::new(), Utf8Stream::default());
        Self { sampler, limits, written, stop, utf8, completion, reply }
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.limits.max_tokens
    }

    /// Number of tokens generated so far.
    pub(super) fn n_written(&self) -> usize {
        self.completion.completion_tokens
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.reply.is_canceled()
    }

    /// Chooses the token after `before`, the tokens of the prompt and of the text so far.
    pub(super) fn take(
        &mut self,
        logits: &mut [f32],
        before: &[u32],
        tokenizer: &Tokenizer,
        isa: Isa,
    ) -> Result<NextToken> {
        // Constraint, mask and penalties change the logits.
        let own = self.limits.logprobs.map(|n_top| (n_top, logits.to_vec()));
        if let Some(constraint) = &mut self.limits.constraint {
            constraint.mask(logits)?;
        }
        if let Some(mask) = &mut self.limits.mask {
            mask.mask(&self.written, tokenizer, logits);
        }
        let mut id = self.sampler.choose(logits, before)?;
        if let Some(constraint) = &mut self.limits.constraint {
            id = constraint.take(id)?;
        }
        if tokenizer.is_end(id) {
            self.end(Finish::End);
            return Ok(NextToken::Done);
        }
        self.completion.completion_tokens += 1;
        if let Some((n_top, own)) = own {
            let token = TokenLogprob::new(&own, id, n_top, isa);
            if let Some(on_token) = &mut self.limits.on_token {
                on_token(&token);
            }
            self.completion.tokens.push(token);
        }
        let text = self.utf8.push(tokenizer.bytes(id));
        if self.limits.mask.is_some() {
            self.written.push_str(&text);
        }
        match self.stop.push(&text) {
            Released::Stopped(text) => {
                self.show(&text);
                self.completion.finish = Finish::Stop;
                return Ok(NextToken::Done);
            }
            Released::Text(text) => self.show(&text),
        }
        if let Some(finish) = self.limits.constraint.as_ref().and_then(Constrained::finish) {
            self.end(finish);
            return Ok(NextToken::Done);
        }
        if self.completion.completion_tokens == self.limits.max_tokens {
            self.end(Finish::Length);
            return Ok(NextToken::Done);
        }
        Ok(NextToken::Token(id))
    }

    pub(super) fn answer(self, error: Option<Error>) {
        let answer = error.map_or(Ok(self.completion), Err);
        // The caller may have dropped the request; that is no error.
        drop(self.reply.send(answer));
    }

    /// Emits the text held back. If the last token leaves a character unfinished, it becomes
    /// U+FFFD.
    fn end(&mut self, finish: Finish) {
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
    }

    fn show(&mut self, text: &str) {
        if !text.is_empty() {
            self.completion.text.push_str(text);
            if let Some(on_text) = &mut self.limits.on_text {
                on_text(text);
            }
        }
    }
}
