//! Attribution of a text's tokens: how much the user's texts and the steering raised the
//! probability of each.

use serde::Serialize;

use super::prepared::{Given, PreparedPrompt};
use super::{Error, MethodInputs, MethodOptions, Result, non_perso};
use crate::client::{ContrastPrompts, ScoreCall};
use crate::steering::Steering;
use crate::task::{Draft, Part};

/// Attribution of one token, in differences of natural log-probabilities given the text before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenAttribution {
    /// The token's text; bytes that are no whole character are shown as U+FFFD.
    pub piece: String,
    /// Effect of the user's texts: with the user's prompt minus without anything of the user,
    /// `ln pU − ln p0`.
    pub user: f32,
    /// Effect of steering: with it minus the user's prompt alone, `ln p − ln pU`; 0 for methods
    /// that do not steer.
    pub contrast: f32,
}

impl PreparedPrompt {
    /// Attributes each token of a text, from three scores of it. White space around the text is
    /// left out, and only its first [`MethodOptions::score_limit`] tokens are attributed.
    ///
    /// # Errors
    /// Error if the store or the language model fails.
    pub async fn attribute(
        &self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        given: impl Into<Given<'_>>,
    ) -> Result<Vec<TokenAttribution>> {
        let task = options.task(inputs.task)?;
        let inputs = inputs.with_task(&task);
        let Given { text, review } = given.into();
        let sources: Vec<_> = self.sources.iter().copied().chain(review).collect();
        let calls = inputs.calls(options);
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
        let [user, steered] = scores.as_slice() else {
            return Err(Error::NoScore { method: self.method.name() });
        };
        let unconditional_stage = match self.method.own_unconditional() {
            true => self.stage,
            false => non_perso::STAGE,
        };
        let unconditional = call(unconditional_stage, self.draft.only(Part::Target));
        let unconditional = calls.score(unconditional).await?;
        // Tokenized as in a score: after a space if the prompt has an opening, else by itself.
        let space = if task.stage(self.stage)?.opening().is_empty() { "" } else { " " };
        let vocabulary = inputs.model.vocabulary()?;
        let tokens = vocabulary.tokenize(&format!("{space}{}", text.trim()))?;
        let pieces = tokens.into_iter().map(|id| vocabulary.token_text(id));
        let attributions = pieces.enumerate().map_while(|(i, piece)| {
            let (user, steered) = (user.logprobs.get(i)?, steered.logprobs.get(i)?);
            let unconditional = unconditional.logprobs.get(i)?;
            let (user, contrast) = (user - unconditional, steered - user);
            Some(TokenAttribution { piece, user, contrast })
        });
        Ok(attributions.collect())
    }
}
