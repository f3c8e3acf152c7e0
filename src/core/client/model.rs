//! The interface to a language model.

use futures::future::LocalBoxFuture;

use crate::steering::Vocabulary;
use crate::task::Window;
use idiolect_engine::lm::{
    self, Completion, Lm, Prompt, Request, Score, ScoreRequest, TextToScore,
};

/// Interface to a language model. [`Lm`] implements it; tests bring their own.
pub trait Model: Window {
    /// Hash of everything besides the request that affects an answer.
    fn fingerprint(&self) -> &str;
    /// Generates a text; see [`Lm::generate`].
    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>>;
    /// Scores a text; see [`Lm::score`].
    fn score(&self, request: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>>;
    /// Scores a text with a score that does not depend on where the prompt ends; see
    /// [`Lm::score_undivided`]. By default, [`Self::score`] is taken to be such.
    fn score_undivided(
        &self,
        prompt: Prompt,
        text: TextToScore,
    ) -> LocalBoxFuture<'_, lm::Result<Score>> {
        let scores = self.score(ScoreRequest::new(prompt, text));
        Box::pin(async { Ok(scores.await?.into_iter().next().unwrap_or_default()) })
    }

    /// Whether a [combination](lm::CombineLogits) of a score sees the whole distributions; a server gives only
    /// the texts and their likeliest tokens.
    fn tells_distributions(&self) -> bool {
        true
    }

    /// The vocabulary, which steering counts texts in.
    ///
    /// # Errors
    /// [`lm::Error::NoVocabulary`] if the model does not give it.
    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary>;
}

impl Model for Lm {
    fn fingerprint(&self) -> &str {
        Lm::fingerprint(self)
    }

    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        Box::pin(Lm::generate(self, request))
    }

    fn score(&self, request: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        Box::pin(Lm::score(self, request))
    }

    fn score_undivided(
        &self,
        prompt: Prompt,
        text: TextToScore,
    ) -> LocalBoxFuture<'_, lm::Result<Score>> {
        Box::pin(Lm::score_undivided(self, prompt, text))
    }

    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Ok(self)
    }
}
