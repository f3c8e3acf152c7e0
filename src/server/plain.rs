//! Texts of the plain model.

use std::sync::{Arc, Mutex, PoisonError};

use idiolect_engine::lm::{OnText, OnToken, Prompt, Request, ReusedTokens, TokenLogprob};

use crate::ServedModels;
use crate::answer::{AnswerEvent, AnswerSink, AnswerText, TokenUsage};
use crate::app::App;
use crate::error::ApiError;
use crate::text_options::TextOptions;

/// One text to generate after a prompt.
#[derive(Debug, Clone)]
pub(crate) struct PlainText {
    /// Token ids of the prompt, at least one.
    pub(crate) prompt: Vec<u32>,
    pub(crate) options: TextOptions,
    pub(crate) max_tokens: usize,
    /// Number of likeliest tokens to tell beside each token; `None` tells no tokens.
    pub(crate) logprobs: Option<usize>,
}

/// Token ids of a prompt.
///
/// # Errors
/// 400 if the template refuses the conversation, or the prompt is empty.
pub(crate) fn prompt_ids(models: &ServedModels, prompt: &Prompt) -> Result<Vec<u32>, ApiError> {
    models.lm.prompt_tokens(prompt).map_err(|error| ApiError::of_lm(&error))
}

/// Number of tokens that an answer may have: those that the request gives, else `default`, as far as
/// the window has room.
pub(crate) fn limit(
    models: &ServedModels,
    n_prompt: usize,
    given: Option<usize>,
    default: usize,
) -> usize {
    // If the prompt fills the window, the engine refuses it with the sizes.
    given.unwrap_or_else(|| models.lm.context().saturating_sub(n_prompt).clamp(1, default.max(1)))
}

impl PlainText {
    /// `n` texts after the same prompt; the seeds of those after the first follow the first one's.
    pub(crate) fn times(self, n: usize) -> impl Iterator<Item = Self> {
        (0..n as u64).map(move |i| {
            let mut text = self.clone();
            text.options.sampling.seed = self.options.sampling.seed.wrapping_add(i);
            text
        })
    }

    /// Generates the text. Dropping the future frees its row in the engine.
    pub(crate) async fn run(
        self,
        app: &App,
        index: usize,
        sink: Option<AnswerSink>,
    ) -> Result<AnswerText, ApiError> {
        let lm = &app.models()?.lm;
        let Self { prompt, options, max_tokens, logprobs } = self;
        let pending: Arc<Mutex<Vec<TokenLogprob>>> = Arc::default();
        let mut times = app.metrics.text_times();
        let waiting = Arc::clone(&pending);
        let on_token: OnToken = Box::new(move |token| {
            waiting.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
        });
        let sends = sink.clone();
        let on_text: OnText = Box::new(move |piece| {
            times.piece();
            if let Some(sink) = &sends {
                let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
                let tokens = std::mem::take(&mut *pending);
                // Whoever listened may have hung up; the request is then cancelled.
                drop(sink.send(AnswerEvent::Piece { index, text: piece.to_owned(), tokens }));
            }
        });
        let reused = ReusedTokens::default();
        let request = Request {
            sampling: options.sampling,
            stop: options.stop,
            eos: options.eos,
            constraint: options.constraint,
            on_text: Some(on_text),
            logprobs,
            on_token: (logprobs.is_some() && sink.is_some()).then_some(on_token),
            reused: reused.clone(),
            ..Request::new(Prompt::Tokens(prompt), max_tokens)
        };
        let completion = lm.generate(request).await.map_err(|error| ApiError::of_lm(&error))?;
        let usage = TokenUsage {
            prompt: completion.prompt_tokens,
            cached: reused.get(),
            completion: completion.completion_tokens,
        };
        let (text, tokens, finish) = (completion.text, completion.tokens, completion.finish);
        let answer = AnswerText { text, tokens, finish, usage, n_past: None };
        if let Some(sink) = sink {
            drop(sink.send(AnswerEvent::Ended { index, answer: answer.clone() }));
        }
        Ok(answer)
    }
}
