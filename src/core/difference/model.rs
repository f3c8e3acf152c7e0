//! The interface to a language model.

use std::future::ready;

use futures::future::LocalBoxFuture;

use crate::task::Window;
use idiolect_engine::lm::{
    self, Completion, Lexicon, Lm, Phrases, Prompt, Request, Rule, Score, SteeredRequest,
};

/// Receives an answer's text in pieces as it is generated.
pub type OnText = Box<dyn FnMut(&str) + Send>;

/// Interface to a language model. [`Lm`] implements it; tests bring their own.
pub trait Model: Window {
    /// Hash of everything besides the request that affects the generated text.
    fn fingerprint(&self) -> &str;
    /// Completes a request; `on_text`, if given, gets the text in pieces.
    fn complete(
        &self,
        request: Request,
        on_text: Option<OnText>,
    ) -> LocalBoxFuture<'_, lm::Result<Completion>>;
    /// Log-probability of every token of `continuation` after `prompt`.
    fn score(&self, prompt: Prompt, continuation: String) -> LocalBoxFuture<'_, lm::Result<Score>>;

    /// Generates one text from several prompts; see [`Lm::complete_steered_streamed`].
    fn complete_steered(
        &self,
        _request: SteeredRequest,
        _on_text: Option<OnText>,
    ) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        Box::pin(ready(Err(self.not_steered())))
    }

    /// Scores `continuation` once per rule; see [`Lm::score_steered`].
    fn score_steered(
        &self,
        _prompts: Vec<Prompt>,
        _rules: Vec<Box<dyn Rule>>,
        _continuation: String,
    ) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        Box::pin(ready(Err(self.not_steered())))
    }

    /// Counts the tokens of texts; see [`Lm::lexicon`].
    ///
    /// # Errors
    /// Error if a text cannot be tokenized, or if the model is a stand-in that does not count.
    fn lexicon(&self, _texts: &mut dyn Iterator<Item = &str>) -> lm::Result<Lexicon> {
        Err(self.not_steered())
    }

    /// Counts the tokens that follow each token and each pair of tokens in texts; see
    /// [`Lm::phrases`].
    ///
    /// # Errors
    /// As [`Model::lexicon`].
    fn phrases(&self, _texts: &mut dyn Iterator<Item = &str>) -> lm::Result<Phrases> {
        Err(self.not_steered())
    }

    /// Returns the text of each token of a text; see [`Lm::pieces`].
    ///
    /// # Errors
    /// As [`Model::lexicon`].
    fn pieces(&self, _text: &str) -> lm::Result<Vec<String>> {
        Err(self.not_steered())
    }

    /// Error of a stand-in model that only completes and scores.
    fn not_steered(&self) -> lm::Error {
        lm::Error::NotSteered { model: self.fingerprint().to_owned() }
    }
}

impl Model for Lm {
    fn fingerprint(&self) -> &str {
        Lm::fingerprint(self)
    }

    fn complete(
        &self,
        request: Request,
        on_text: Option<OnText>,
    ) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        match on_text {
            Some(on_text) => Box::pin(self.complete_streamed(request, on_text)),
            None => Box::pin(Lm::complete(self, request)),
        }
    }

    fn score(&self, prompt: Prompt, continuation: String) -> LocalBoxFuture<'_, lm::Result<Score>> {
        Box::pin(Lm::score(self, prompt, continuation))
    }

    fn complete_steered(
        &self,
        request: SteeredRequest,
        on_text: Option<OnText>,
    ) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        match on_text {
            Some(on_text) => Box::pin(self.complete_steered_streamed(request, on_text)),
            None => Box::pin(Lm::complete_steered(self, request)),
        }
    }

    fn score_steered(
        &self,
        prompts: Vec<Prompt>,
        rules: Vec<Box<dyn Rule>>,
        continuation: String,
    ) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        Box::pin(async move { Lm::score_steered(self, &prompts, rules, continuation).await })
    }

    fn lexicon(&self, texts: &mut dyn Iterator<Item = &str>) -> lm::Result<Lexicon> {
        Lm::lexicon(self, texts)
    }

    fn phrases(&self, texts: &mut dyn Iterator<Item = &str>) -> lm::Result<Phrases> {
        Lm::phrases(self, texts)
    }

    fn pieces(&self, text: &str) -> lm::Result<Vec<String>> {
        Lm::pieces(self, text)
    }
}
