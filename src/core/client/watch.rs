//! Tokens of a text while it is generated, with their log-probabilities under the rule that chooses
//! them, after the user's prompt alone, and after one more prompt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::task::{Draft, Stage};
use idiolect_engine::lm::{
    CombineLogits, Distributions, Observe, ObserveLogits, OnToken, Prompt, likeliest,
};

/// A wish to be told the tokens of a text while it is generated. Nothing is told of a text that is in
/// the store, nor if the compared prompt does not fit the model's memory beside the others.
pub struct Watch {
    /// Stage and fields of the prompt with which the user's is compared; `None` compares nothing.
    pub compared: Option<(Stage, Draft)>,
    /// Number of likeliest tokens told beside each token.
    pub top: usize,
    /// Receives each token on an engine thread, before its text.
    pub on_token: Box<dyn FnMut(WatchedToken) + Send>,
}

/// A token of a text that is being generated, with natural log-probabilities given all tokens before
/// it. They are those that a score of the text has: without length prior, guards, penalties and
/// temperature.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedToken {
    /// The token.
    pub id: u32,
    /// Under the rule that combines the prompts.
    pub logprob: f32,
    /// After the user's prompt alone.
    pub own: f32,
    /// After the compared prompt.
    pub compared: Option<f32>,
    /// The likeliest tokens under the rule, likeliest first.
    pub top: Vec<(u32, f32)>,
}

/// Distributions from which the next token is chosen.
#[derive(Default)]
struct WatchedStep {
    /// Log-probabilities after the user's prompt, `[n_vocab]`; empty before the first step.
    own: Vec<f32>,
    compared: Option<Vec<f32>>,
    /// Scores of the rule, and the logarithm of the sum of their exponentials; `None` without a rule.
    ruled: Option<(Vec<f32>, f32)>,
}

/// The parts of a watch that take part in a request.
#[derive(Clone, Default)]
pub(super) struct Watcher(Arc<Mutex<WatchedStep>>);

impl Watcher {
    fn step(&self) -> MutexGuard<'_, WatchedStep> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The observer of the prompts' distributions.
    pub(super) fn observe(&self, compared: Option<Prompt>) -> Observe {
        let receiver = PromptWatcher { watcher: self.clone(), is_compared: compared.is_some() };
        Observe { prompts: compared.into_iter().collect(), receiver: Box::new(receiver) }
    }

    /// The rule, watched.
    pub(super) fn watched(&self, rule: Box<dyn CombineLogits>) -> Box<dyn CombineLogits> {
        Box::new(WatchedRule { rule, watcher: self.clone() })
    }

    /// The receiver of the chosen tokens.
    pub(super) fn on_token(
        self,
        top: usize,
        mut told: Box<dyn FnMut(WatchedToken) + Send>,
    ) -> OnToken {
        Box::new(move |chosen| {
            let token = self.step().token(chosen.id, top);
            if let Some(token) = token {
                told(token);
            }
        })
    }
}

impl WatchedStep {
    fn token(&self, id: u32, top: usize) -> Option<WatchedToken> {
        let at = id as usize;
        let own = *self.own.get(at)?;
        let compared = self.compared.as_ref().and_then(|compared| compared.get(at)).copied();
        let (scores, norm) = match &self.ruled {
            Some((scores, norm)) => (scores, *norm),
            None => (&self.own, 0.0),
        };
        let likeliest = likeliest(scores, top).into_iter().map(|(id, score)| (id, score - norm));
        let top = likeliest.filter(|(_, logprob)| logprob.is_finite()).collect();
        Some(WatchedToken { id, logprob: scores.get(at)? - norm, own, compared, top })
    }
}

/// Keeps the distributions after the first prompt and, if it is compared, after the last one.
struct PromptWatcher {
    watcher: Watcher,
    is_compared: bool,
}

impl ObserveLogits for PromptWatcher {
    fn observe(&mut self, step: &Distributions<'_>) {
        let mut seen = self.watcher.step();
        let row = |row: Option<&&[f32]>| row.map_or_else(Vec::new, |row| row.to_vec());
        seen.own = row(step.logprobs.first());
        seen.compared = self.is_compared.then(|| row(step.logprobs.last()));
    }
}

/// A rule whose result is kept.
struct WatchedRule {
    rule: Box<dyn CombineLogits>,
    watcher: Watcher,
}

impl CombineLogits for WatchedRule {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        self.rule.combine(step, combined);
        let norm = step.log_sum_exp(combined);
        self.watcher.step().ruled = Some((combined.to_vec(), norm));
    }

    fn reads_hidden(&self) -> bool {
        self.rule.reads_hidden()
    }
}
