//! Attribution of a text's tokens: how much the user's texts and the steering raised the
//! probability of each.

use serde::Serialize;

use super::prepared::{Given, Prepared};
use super::{Material, Options, Result};
use crate::client::{ContrastPrompts, ScoreCall};
use crate::steering::Steering;
use crate::task::{Draft, Part, Stage};

/// Attribution of one token, in differences of natural log-probabilities given the text before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// The token's text; bytes that are no whole character are shown as U+FFFD.
    pub piece: String,
    /// Effect of the user's texts: with the user's prompt minus without anything of the user,
    /// `ln pU − ln p0`.
    pub user: f32,
    /// Effect of steering: with it minus the user's prompt alone, `ln p − ln pU`; 0 for methods
    /// that do not steer.
    pub contrast: f32,
}

impl Prepared {
    /// Attributes each token of a text, from three scores of it. White space around the text is
    /// left out, and only its first [`Options::score_limit`] tokens are attributed.
    ///
    /// # Errors
    /// Error if the store or the language model fails.
    pub async fn why(
        &self,
        material: &Material<'_>,
        options: &Options,
        given: impl Into<Given<'_>>,
    ) -> Result<Vec<Reason>> {
        let task = options.task(material.task)?;
        let material = &Material { task: &task, ..material.clone() };
        let Given { text, review } = given.into();
        let sources: Vec<_> = self.sources.iter().copied().chain(review).collect();
        let calls = material.calls(options);
        let call = |stage, draft: Draft| ScoreCall {
            stage,
            draft,
            sources: &sources,
            text,
            limit: options.score_limit,
            max_tokens: options.max_tokens,
        };
        let (none, plain) = (ContrastPrompts::default(), Steering::default());
        let (beside, steering) = match &self.steered {
            Some(steered) => (&steered.contrast, &steered.steering),
            None => (&none, &plain),
        };
        let both = [plain.clone(), steering.clone()];
        let scores =
            calls.score_steered(call(self.stage, self.draft.clone()), beside, &both).await?;
        let plain_stage = match self.stage {
            Stage::Idiolect | Stage::Scp | Stage::Ccp | Stage::Rag => self.stage,
            _ => Stage::NonPerso,
        };
        let nobody = calls.score(call(plain_stage, self.draft.only(Part::Target))).await?;
        // Tokenized as in a score: after a space if the prompt has an opening, else by itself.
        let space = if material.task.stage(self.stage)?.opening().is_empty() { "" } else { " " };
        let pieces = material.model.pieces(&format!("{space}{}", text.trim()))?;
        let reasons = pieces.into_iter().enumerate().map_while(|(i, piece)| {
            let [user, steered] = scores.as_slice() else { return None };
            let (user, steered) = (user.logprobs.get(i)?, steered.logprobs.get(i)?);
            let nobody = nobody.logprobs.get(i)?;
            Some(Reason { piece, user: user - nobody, contrast: steered - user })
        });
        Ok(reasons.collect())
    }
}
