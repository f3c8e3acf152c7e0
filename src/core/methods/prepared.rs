//! A method prepared up to its last call, which generates or scores a text.

use std::sync::Arc;

use super::{
    Error, Generated, Method, MethodContext, MethodInputs, MethodOptions, PastReview, Result, ids,
};
use crate::client::{
    CachedLm, LmCall, OnText, PromptedText, ScoreCall, Scored, Steered, TextTrace, Usage, Watch,
};
use crate::corpus::{ReviewId, StoredReview, Target};
use crate::difference::Profile;
use crate::difference::statements::StatementProfile;
use crate::task::{Cut, Draft, Stage};
use idiolect_engine::lm::{Adapter, Sampling};

/// Prepared prompt of a method's last call. It serves any number of texts and scores.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedPrompt {
    /// The method.
    pub method: Method,
    /// The user whose past texts are used.
    pub author: String,
    /// The text to generate; `None` for a prompt without a target.
    pub target: Option<Target>,
    /// The stage of the last call.
    pub stage: Stage,
    /// The fields of its prompt.
    pub draft: Draft,
    /// Every review that the prompt shows or that its fields were made from.
    pub sources: Vec<ReviewId>,
    /// The past reviews in the prompt, in its order.
    pub past: Vec<ReviewId>,
    /// The profile, for methods that make one.
    pub profile: Option<Profile>,
    /// The profile in statements, for the method that makes one.
    pub stated: Option<StatementProfile>,
    /// Contrast prompts and the rule that combines them, for methods that steer.
    pub steered: Option<Steered>,
    /// Changes of the language model for the user, for methods with trained ones.
    pub adapter: Option<Arc<Adapter>>,
    /// Parts left out of earlier prompts, in the order in which the prompts were made.
    pub cut_before: Vec<Cut>,
    /// Calls and tokens spent so far.
    pub usage: Usage,
}

/// A given text, to be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'a> {
    /// The text.
    pub text: &'a str,
    /// Id of the text if it is a stored review; its score is deleted with the review.
    pub review: Option<ReviewId>,
}

impl<'a> From<&'a str> for Given<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, review: None }
    }
}

impl<'a> From<&'a StoredReview> for Given<'a> {
    fn from(stored: &'a StoredReview) -> Self {
        Self { text: &stored.review.text, review: Some(stored.id) }
    }
}

impl PreparedPrompt {
    /// Prompt of the last call of the context's method, with the cost of all calls so far.
    pub(super) fn of(
        context: &MethodContext<'_>,
        stage: Stage,
        draft: Draft,
        past: &[PastReview],
    ) -> Self {
        Self {
            method: context.method,
            author: context.author.to_owned(),
            target: context.target.cloned(),
            stage,
            draft,
            sources: ids(past),
            past: ids(past),
            profile: None,
            stated: None,
            steered: None,
            adapter: None,
            cut_before: Vec::new(),
            usage: context.calls.usage(),
        }
    }

    /// Adds the profile that the prompt was given, if any.
    pub(super) fn after(mut self, profile: Option<Profile>) -> Self {
        if let Some(profile) = &profile {
            self.sources.extend(profile.sources());
            let of_differences = profile.differences.iter().flat_map(|d| &d.cut);
            self.cut_before.extend(of_differences.chain(&profile.cut).cloned());
        }
        Self { profile, ..self }
    }

    /// Adds the steering, and the reviews that it was made from.
    pub(super) fn steered_by(
        mut self,
        steered: Steered,
        sources: impl IntoIterator<Item = ReviewId>,
    ) -> Self {
        self.made_from(sources);
        Self { steered: Some(steered), ..self }
    }

    /// Adds the adapter, and the reviews that it was made from.
    pub(super) fn adapted_by(
        mut self,
        adapter: Arc<Adapter>,
        sources: impl IntoIterator<Item = ReviewId>,
    ) -> Self {
        self.made_from(sources);
        Self { adapter: Some(adapter), ..self }
    }

    fn made_from(&mut self, sources: impl IntoIterator<Item = ReviewId>) {
        self.sources.extend(sources);
        self.sources.sort_unstable();
        self.sources.dedup();
    }

    /// The cached language model of its calls. `inputs` as in [`PreparedPrompt::write_one`].
    fn calls<'a>(&self, inputs: &MethodInputs<'a>, options: &MethodOptions) -> CachedLm<'a> {
        inputs.calls(options).of_user(&self.author).with_adapter(self.adapter.clone())
    }

    fn score_call<'a>(
        &self,
        options: &MethodOptions,
        sources: &'a [ReviewId],
        text: &'a str,
    ) -> ScoreCall<'a> {
        ScoreCall {
            stage: self.stage,
            draft: self.draft.clone(),
            sources,
            text,
            limit: options.score_limit,
            max_tokens: options.max_tokens,
            top: 0,
        }
    }

    /// Prompt and text as [`PreparedPrompt::score`] would give them to the language model.
    ///
    /// # Errors
    /// The prompt cannot be made to fit.
    pub fn prompted(
        &self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        text: &str,
    ) -> Result<PromptedText> {
        let task = options.task(inputs.task)?;
        let inputs = inputs.with_task(&task);
        let call = self.score_call(options, &self.sources, text);
        Ok(self.calls(&inputs, options).prompted(&call)?)
    }

    /// Multiplies the strengths of the steering by `strength`, from 0: at 0 the text is written after
    /// the user's prompt alone, 1 changes nothing. Methods that do not steer are unchanged.
    #[must_use]
    pub fn with_strength(mut self, strength: f32) -> Self {
        if let Some(steered) = &mut self.steered {
            steered.steering = steered.steering.scaled(strength);
        }
        self
    }

    /// Adds the negative examples: their reviews, and the parts left out of their prompts.
    pub(super) fn with_negative_examples(mut self, reviews: Vec<ReviewId>, cut: Vec<Cut>) -> Self {
        self.sources.extend(reviews);
        self.cut_before.splice(0..0, cut);
        self
    }

    /// Generates one text with the last call. `inputs` have the task without the dimensions that are
    /// left out. `on_text`, if given, gets the text in pieces, `watch` its tokens.
    ///
    /// # Errors
    /// Error if the store or the language model fails.
    pub(super) async fn write_one(
        self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        on_text: Option<OnText>,
        watch: Option<Watch>,
    ) -> Result<Generated> {
        let calls = self.calls(inputs, options);
        let spec = inputs.task.stage(self.stage)?;
        let sampling = options.sampling.over(&spec.sampling);
        // A streamed text shows its own progress.
        let silent = on_text.is_none();
        if silent {
            inputs.progress.begin("writing", None);
        }
        let call = LmCall {
            stage: self.stage,
            draft: self.draft,
            sources: &self.sources,
            sampling: Sampling { seed: options.seed, ..sampling },
            max_tokens: options.max_tokens,
            constraint: None,
            steered: self.steered.as_ref(),
            on_text,
        };
        let answer = calls.answer_watched(call, watch).await;
        if silent {
            inputs.progress.end();
        }
        let answer = answer?;
        let usage = self.usage + calls.usage();
        let mut cut = self.cut_before;
        cut.extend(answer.cut);
        Ok(Generated {
            text: answer.text,
            method: self.method,
            cut,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            reused: usage.reused,
            computed: usage.computed,
            saved_tokens: usage.saved_tokens,
            saved_prompt_tokens: usage.saved_prompt_tokens,
            finish: answer.finish,
            past: self.past,
            profile: self.profile,
            stated: self.stated,
        })
    }

    /// Scores a given text under the user's prompt alone, and returns what the model computed at each of
    /// its tokens, with the `n_top` likeliest ones. Nothing is stored.
    ///
    /// # Errors
    /// As [`PreparedPrompt::score`].
    pub async fn trace(
        &self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        text: &str,
        n_top: usize,
    ) -> Result<TextTrace> {
        if inputs.progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let task = options.task(inputs.task)?;
        let inputs = inputs.with_task(&task);
        let call = self.score_call(options, &self.sources, text);
        Ok(self.calls(&inputs, options).trace(call, n_top).await?)
    }

    /// Scores a given text under exactly the prompt that [`PreparedPrompt::write`] completes: the
    /// log-probability of each of its first [`MethodOptions::score_limit`] tokens. Sampling settings such
    /// as the temperature have no effect. The result lists the cuts of the last prompt, not those
    /// of earlier ones.
    ///
    /// If the prompt asks for a label, the text is placed after it, and the label is not counted;
    /// see [`CachedLm::score`](crate::client::CachedLm::score).
    ///
    /// # Errors
    /// Error if the store or the language model fails, or if a stop is requested.
    pub async fn score(
        &self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        given: impl Into<Given<'_>>,
    ) -> Result<Scored> {
        if inputs.progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let task = options.task(inputs.task)?;
        let inputs = inputs.with_task(&task);
        let Given { text, review } = given.into();
        let sources: Vec<ReviewId> = self.sources.iter().copied().chain(review).collect();
        let call = self.score_call(options, &sources, text);
        let calls = self.calls(&inputs, options);
        let Some(steered) = &self.steered else { return Ok(calls.score(call).await?) };
        let rules = std::slice::from_ref(&steered.steering);
        let mut scores = calls.score_steered(call, &steered.contrast, rules).await?;
        scores.pop().ok_or(Error::NoScore { method: self.method.name() })
    }
}
