//! A method up to its last call: what is left is to write a text, or to score one.

use super::contrast::Contrasts;
use super::idiolect::best;
use super::{Error, Material, Method, Options, Past, Result, Written, ids};
use crate::corpus::{ReviewId, StoredReview};
use crate::difference::stated::StatedProfile;
use crate::difference::{Call, OnText, Profile, ScoreCall, Scored, Steered, Tally};
use crate::task::{Cut, Draft, Stage};
use idiolect_engine::lm::Sampling;

/// What a method has made of a target when only its last call is left. The same prepared prompt
/// serves any number of texts and scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The method.
    pub method: Method,
    /// The stage of the last call.
    pub stage: Stage,
    /// The fields of its prompt.
    pub draft: Draft,
    /// Every review that the prompt shows or that its fields were made from.
    pub made_from: Vec<ReviewId>,
    /// The past reviews that the prompt is given, as it orders them.
    pub past: Vec<ReviewId>,
    /// The profile, for methods that make one.
    pub profile: Option<Profile>,
    /// The profile in statements, for the method that makes one.
    pub stated: Option<StatedProfile>,
    /// Prompts beside its own and the rule that combines them, for methods that steer.
    pub steered: Option<Steered>,
    /// What earlier prompts left out, in the order in which they were made.
    pub cut_before: Vec<Cut>,
    /// What the calls so far have cost.
    pub tally: Tally,
}

/// A text that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'a> {
    /// The text.
    pub text: &'a str,
    /// Its row, where it is a review: its score goes when the review goes.
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

impl Prepared {
    /// Of a method whose last call is its only one.
    pub(super) fn of(method: Method, stage: Stage, draft: Draft, past: &[Past]) -> Self {
        Self {
            method,
            stage,
            draft,
            made_from: ids(past),
            past: ids(past),
            profile: None,
            stated: None,
            steered: None,
            cut_before: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// With the profile that the prompt was given, if any, and the cost of making it.
    pub(super) fn after(mut self, profile: Option<Profile>, tally: Tally) -> Self {
        if let Some(profile) = &profile {
            self.made_from.extend(profile.made_from());
            let told = profile.differences.iter().flat_map(|d| &d.cut);
            self.cut_before.extend(told.chain(&profile.cut).cloned());
        }
        Self { profile, tally, ..self }
    }

    /// With what steers it, and the reviews that that was made from.
    pub(super) fn steered_by(
        mut self,
        steered: Steered,
        made_from: impl IntoIterator<Item = ReviewId>,
    ) -> Self {
        self.made_from.extend(made_from);
        self.made_from.sort_unstable();
        self.made_from.dedup();
        Self { steered: Some(steered), ..self }
    }

    /// With the texts that its past ones stand against.
    pub(super) fn with_contrasts(mut self, against: Contrasts) -> Self {
        self.made_from.extend(against.reviews);
        self.cut_before.splice(0..0, against.cut);
        self
    }

    /// Writes the text: the last call. `on_text`, if given, gets it as it comes.
    ///
    /// # Errors
    /// Whatever the store or the language model fails with.
    pub async fn write(
        self,
        material: &Material<'_>,
        options: &Options,
        on_text: Option<OnText>,
    ) -> Result<Written> {
        let task = options.task(material.task)?;
        let material = &Material { task: &task, ..material.clone() };
        if self.steered.is_some() && options.idiolect.best_of > 1 {
            return best::write(self, material, options, on_text).await;
        }
        let calls = material.calls(options);
        let sampling = options.sampling.over(&material.task.stage(self.stage)?.sampling);
        // A text that is shown as it comes is its own progress.
        let silent = on_text.is_none();
        if silent {
            material.progress.begin("writing", None);
        }
        let call = Call {
            stage: self.stage,
            draft: self.draft,
            made_from: &self.made_from,
            sampling: Sampling { seed: options.seed, ..sampling },
            max_tokens: options.max_tokens,
            constraint: None,
            on_text,
        };
        let answer = match &self.steered {
            Some(steered) => calls.answer_steered(call, steered).await,
            None => calls.answer(call).await,
        };
        if silent {
            material.progress.end();
        }
        let answer = answer?;
        let tally = self.tally + calls.tally();
        let mut cut = self.cut_before;
        cut.extend(answer.cut);
        Ok(Written {
            text: answer.text,
            method: self.method,
            cut,
            prompt_tokens: tally.prompt_tokens,
            completion_tokens: tally.completion_tokens,
            reused: tally.reused,
            computed: tally.computed,
            saved_tokens: tally.saved_tokens,
            saved_prompt_tokens: tally.saved_prompt_tokens,
            finish: answer.finish,
            past: self.past,
            profile: self.profile,
            stated: self.stated,
        })
    }

    /// Scores a given text under the very prompt that [`Prepared::write`] would have completed: the
    /// log-probability of each of its first [`Options::score_limit`] tokens. Temperature and the
    /// other settings of sampling have no part in it. The last prompt's cuts come with it, those of
    /// earlier ones do not.
    ///
    /// Where the prompt asks for a label, the text stands behind it, and the label is not counted;
    /// see [`Calls::score`](crate::difference::Calls::score).
    ///
    /// # Errors
    /// Whatever the store or the language model fails with.
    pub async fn score(
        &self,
        material: &Material<'_>,
        options: &Options,
        given: impl Into<Given<'_>>,
    ) -> Result<Scored> {
        if material.progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let task = options.task(material.task)?;
        let material = Material { task: &task, ..material.clone() };
        let Given { text, review } = given.into();
        let made_from: Vec<ReviewId> = self.made_from.iter().copied().chain(review).collect();
        let call = ScoreCall {
            stage: self.stage,
            draft: self.draft.clone(),
            made_from: &made_from,
            text,
            limit: options.score_limit,
            max_tokens: options.max_tokens,
        };
        let calls = material.calls(options);
        let Some(steered) = &self.steered else { return Ok(calls.score(call).await?) };
        let rules = std::slice::from_ref(&steered.steering);
        let mut scores = calls.score_steered(call, &steered.beside, rules).await?;
        scores.pop().ok_or(Error::Stopped)
    }
}
