//! Consumer of a completion's logits: samples a token, emits its text, and decides when to stop.

use futures::channel::oneshot;

use super::constraint::Constrained;
use super::sampler::Sampler;
use super::stop::{Released, StopStream};
use super::{Completion, CopyGuard, Error, Finish, Result};
use crate::model::tokenizer::{Tokenizer, Utf8Stream};

/// Callback that receives each new piece of text.
pub(super) type TextSink = Box<dyn FnMut(&str) + Send>;

/// State of one generated text.
pub(super) struct Completing {
    sampler: Sampler,
    constraint: Option<Constrained>,
    guard: Option<CopyGuard>,
    /// Text generated so far, kept for the guard.
    written: String,
    stop: StopStream,
    utf8: Utf8Stream,
    on_text: TextSink,
    max_tokens: usize,
    completion: Completion,
    reply: oneshot::Sender<Result<Completion>>,
}

/// Result of a row of logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextToken {
    /// The text continues with this token.
    Token(u32),
    Done,
}

impl Completing {
    pub(super) fn new(
        sampler: Sampler,
        constraint: Option<Constrained>,
        stop: StopStream,
        on_text: TextSink,
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
        let (guard, written) = (None, String::new());
        Self {
            sampler,
            constraint,
            guard,
            written,
            stop,
            utf8,
            on_text,
            max_tokens,
            completion,
            reply,
        }
    }

    /// Adds a blocklist of texts that the completion must not copy.
    pub(super) fn guarded(self, guard: Option<CopyGuard>) -> Self {
        Self { guard, ..self }
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
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
    ) -> Result<NextToken> {
        if let Some(constraint) = &mut self.constraint {
            constraint.mask(logits)?;
        }
        if let Some(guard) = &self.guard {
            guard.mask(logits, &self.written, tokenizer);
        }
        let mut id = self.sampler.choose(logits, before)?;
        if let Some(constraint) = &mut self.constraint {
            id = constraint.take(id)?;
        }
        if tokenizer.is_end(id) {
            self.end(Finish::End);
            return Ok(NextToken::Done);
        }
        self.completion.completion_tokens += 1;
        let text = self.utf8.push(tokenizer.bytes(id));
        if self.guard.is_some() {
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
        if let Some(finish) = self.constraint.as_ref().and_then(Constrained::finish) {
            self.end(finish);
            return Ok(NextToken::Done);
        }
        if self.completion.completion_tokens == self.max_tokens {
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
            (self.on_text)(text);
        }
    }
}
