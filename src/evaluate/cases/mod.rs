//! Runs one method on one held-out text or on one pair of users: all texts and scores that the
//! requested metrics need.

mod case;
mod judged;
mod swap;

pub(crate) use swap::neutral;

use super::metric_groups::MetricSet;
use crate::Error;
use idiolect_core::client::Model;
use idiolect_core::corpus::{Item, ReviewId, Store, View};
use idiolect_core::difference::Peers;
use idiolect_core::methods::{self, History, Method, MethodInputs, MethodOptions, TextReward};
use idiolect_core::task::Task;
use idiolect_engine::progress::Progress;

/// Inputs that all runs of an evaluation share.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// Store with the corpus; also keeps every answer and score.
    pub store: &'a Store,
    /// Language model that generates and scores.
    pub model: &'a dyn Model,
    /// Separate judge model; `None` uses `model`.
    pub judge: Option<&'a dyn Model>,
    /// Source of representatives, for methods that use them.
    pub peers: Option<&'a dyn Peers>,
    /// Judge of drafts, if texts are ranked by one. It must not have seen a held-out text.
    pub reward: Option<&'a dyn TextReward>,
    /// Task: prompts and stages.
    pub task: &'a Task,
    /// Method options; each run sets history, seed and score limit.
    pub options: &'a MethodOptions,
    /// Number of seeds per text: the options' seed and the ones after it.
    pub n_seeds: u64,
    /// Number of tokens of a real text that are scored; `None` scores all.
    pub score_limit: Option<usize>,
    /// Requested metrics.
    pub metrics: &'a MetricSet,
    /// Held-out texts of all users, which nothing is estimated from; see [`Plan::held_out`].
    ///
    /// [`Plan::held_out`]: crate::Plan::held_out
    pub held_out: &'a [ReviewId],
}

/// Bits of a text with its number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Bits {
    /// Negative base-2 logarithm of the probability of all tokens.
    pub(crate) bits: f64,
    /// Number of tokens.
    pub(crate) n_tokens: usize,
}

impl Bits {
    /// Bits per token; `None` for an empty text.
    #[must_use]
    pub(crate) fn per_token(self) -> Option<f64> {
        (self.n_tokens > 0).then(|| self.bits / self.n_tokens as f64)
    }
}

/// Result of a method on a held-out text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct CaseResult {
    /// Texts generated with the user's own history, by seed.
    pub(crate) texts: Vec<String>,
    /// Reviews that `texts` were made from.
    pub(crate) sources: Vec<ReviewId>,
    /// Texts generated with the best matching wrong user's history, by seed.
    pub(crate) wrong_texts: Vec<String>,
    /// Texts generated with the user's own history and without the title, by seed.
    pub(crate) neutral_texts: Vec<String>,
    /// Judge's ratings of `texts`, 0 to 1.
    pub(crate) judged: Vec<f64>,
    /// Bits of the real text with the user's own history.
    pub(crate) right: Option<Bits>,
    /// Bits of the real text with each wrong user's history.
    pub(crate) wrong: Vec<Bits>,
    /// Bits of the real text with no history.
    pub(crate) none: Option<Bits>,
    /// Bits with the user's own history and without the title.
    pub(crate) neutral_right: Option<Bits>,
    /// Bits with each wrong user's history and without the title.
    pub(crate) neutral_wrong: Vec<Bits>,
    /// Cost of generating `texts`, by seed, as if the store were empty.
    pub(crate) cost: Vec<Cost>,
}

/// Cost of generating one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub(crate) struct Cost {
    /// Number of language model calls.
    pub(crate) calls: usize,
    /// Number of prompt tokens over all calls.
    pub(crate) prompt_tokens: usize,
    /// Number of completion tokens over all calls.
    pub(crate) completion_tokens: usize,
}

/// Result of a method on a pair of users.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SwapResult {
    /// Texts generated for A and for B, by seed.
    pub(crate) texts: Vec<[String; 2]>,
    /// Mean log-probability per token (nats) of each text, conditioned on the held-out texts of A
    /// and of B: `[seed][writer][reader]`.
    pub(crate) closeness: Vec<[[f64; 2]; 2]>,
}

/// Names the method, the user and the item of an error; a stop stays a stop.
pub(crate) fn method_error(
    method: Method,
    user: &str,
    item: &Item,
    source: methods::Error,
) -> Error {
    match source {
        methods::Error::Stopped => Error::Stopped,
        source => Error::Method {
            method: method.name(),
            user: user.to_owned(),
            item: item.id.clone(),
            source: Box::new(source),
        },
    }
}

impl<'a> EvalContext<'a> {
    pub(crate) fn options(&self, history: History, seed: u64) -> MethodOptions {
        let score_limit = self.score_limit;
        MethodOptions { history, seed, score_limit, ..self.options.clone() }
    }

    fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.options.seed;
        (0..self.n_seeds).map(move |n| first.wrapping_add(n))
    }

    pub(crate) fn material<'m>(
        &'m self,
        view: View<'m>,
        progress: &'m dyn Progress,
    ) -> MethodInputs<'m> {
        let EvalContext { model, peers, reward, task, held_out, .. } = *self;
        MethodInputs { view, model, peers, reward, task, progress, held_out }
    }
}
