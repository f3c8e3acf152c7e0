//! Inputs of a method, and the context that its steps share.

use super::retrieval::most_relevant;
use super::{Error, History, Method, MethodOptions, Result, TextReward};
use crate::client::{CachedLm, LmAnswer, LmCall, Model};
use crate::corpus::{Item, ReviewId, StoredReview, Target, View};
use crate::difference::{Compared, Peers};
use crate::task::{Block, Draft, Stage, Task};
use idiolect_engine::lm::Sampling;
use idiolect_engine::progress::Progress;

/// Inputs of a method besides target and options.
#[derive(Clone)]
pub struct MethodInputs<'a> {
    /// The visible part of the corpus.
    pub view: View<'a>,
    /// The language model.
    pub model: &'a dyn Model,
    /// Source of representatives; used only by methods that [need peers](Method::needs_peers).
    pub peers: Option<&'a dyn Peers>,
    /// Judge of drafts; used only if the best of several texts is chosen by it
    /// ([`RankedBy::Np`](super::RankedBy::Np)).
    pub reward: Option<&'a dyn TextReward>,
    /// The task: what is written, and the prompts for it.
    pub task: &'a Task,
    /// Receives the progress of the work.
    pub progress: &'a dyn Progress,
    /// Reviews of all users that an evaluation holds out: nothing is estimated from them. Empty
    /// outside of an evaluation.
    pub held_out: &'a [ReviewId],
}

impl MethodInputs<'_> {
    /// Returns the inputs with another task.
    pub(super) fn with_task<'b>(&'b self, task: &'b Task) -> MethodInputs<'b> {
        MethodInputs { task, ..self.clone() }
    }
}

impl<'a> MethodInputs<'a> {
    /// The cached language model.
    pub(super) fn calls(&self, options: &MethodOptions) -> CachedLm<'a> {
        CachedLm::new(self.view.store(), self.model, self.task, options.reuse)
    }
}

/// A past review of the user and its item.
pub(crate) type PastReview = (StoredReview, Item);

/// Ids of past reviews, in their order.
pub(super) fn ids(past: &[PastReview]) -> Vec<ReviewId> {
    past.iter().map(|(review, _)| review.id).collect()
}

/// Everything that the steps of a method read: made once for a target and options.
pub(super) struct MethodContext<'a> {
    pub(super) method: Method,
    /// The visible part of the corpus.
    pub(super) view: View<'a>,
    pub(super) model: &'a dyn Model,
    peers: Option<&'a dyn Peers>,
    /// Trained rewards, if there are any.
    pub(super) reward: Option<&'a dyn TextReward>,
    /// The task without the dimensions that are left out.
    pub(super) task: &'a Task,
    pub(super) progress: &'a dyn Progress,
    /// Reviews that nothing is estimated from.
    pub(super) held_out: &'a [ReviewId],
    pub(super) options: &'a MethodOptions,
    /// `None` for a profile that is made without a target.
    pub(super) target: Option<&'a Target>,
    /// The user whose past texts are used.
    pub(super) author: &'a str,
    /// The cached language model; counts the calls of all steps.
    pub(super) calls: CachedLm<'a>,
}

impl<'a> MethodContext<'a> {
    /// Context of a target. `inputs` have the task without the dimensions that are left out.
    pub(super) fn of_target(
        method: Method,
        inputs: &MethodInputs<'a>,
        target: &'a Target,
        options: &'a MethodOptions,
    ) -> Result<Self> {
        let view = options.seen(&inputs.view, target)?;
        let author = options.author(target);
        let context = Self::of_user(method, inputs, author, options);
        Ok(Self { view, target: Some(target), ..context })
    }

    /// Context of a user without a target. `inputs` as in [`MethodContext::of_target`].
    pub(super) fn of_user(
        method: Method,
        inputs: &MethodInputs<'a>,
        user: &'a str,
        options: &'a MethodOptions,
    ) -> Self {
        let MethodInputs { view, model, peers, reward, task, progress, held_out } = inputs.clone();
        let calls = inputs.calls(options).of_user(user);
        let (target, author) = (None, user);
        Self {
            method,
            view,
            model,
            peers,
            reward,
            task,
            progress,
            held_out,
            options,
            target,
            author,
            calls,
        }
    }

    /// A user's visible reviews with their items, oldest first; reviews without text are left out.
    pub(super) fn history_of(&self, user: &str) -> Result<Vec<PastReview>> {
        let mut past = Vec::new();
        for review in self.view.history(user)? {
            if !review.review.text.trim().is_empty() {
                let item = self.view.item(&review.review.item)?;
                past.push((review, item));
            }
        }
        Ok(past)
    }

    /// The author's past reviews, oldest first; an error if there are none.
    pub(super) fn author_history(&self) -> Result<Vec<PastReview>> {
        let past = self.history_of(self.author)?;
        if past.is_empty() {
            let (user, method) = (self.author.to_owned(), self.method.name());
            return Err(Error::NoHistory { user, method });
        }
        Ok(past)
    }

    /// The past reviews that the options select, oldest first; empty only for [`History::None`].
    pub(super) fn history(&self) -> Result<Vec<PastReview>> {
        match self.options.history {
            History::None => Ok(Vec::new()),
            History::Own | History::Of(_) => self.author_history(),
        }
    }

    /// The `n` past reviews that are most relevant to the target, as [`most_relevant`] chooses them.
    pub(super) fn relevant(&self, past: &[PastReview], n: usize) -> Vec<PastReview> {
        most_relevant(self.task, self.target, past, n)
    }

    /// Block of the item, rating and title of the text to generate.
    pub(super) fn target_block(&self) -> Option<Block> {
        self.target.map(Block::of_target)
    }

    /// The source of representatives.
    pub(super) fn peers(&self) -> Result<&'a dyn Peers> {
        self.peers.ok_or(Error::NoPeers { method: self.method.name() })
    }

    /// A past review with the representatives chosen on its item; `None` if all peers write like
    /// the user, so that no cluster but the user's own is left.
    pub(super) fn compared(&self, past: &PastReview) -> Result<Option<Compared>> {
        let (own, item) = past;
        let choice = self.peers()?.choose_for(&self.view, own, &self.options.choice())?;
        let representatives = choice.representatives;
        let compared = Compared { item: item.clone(), own: own.clone(), representatives };
        Ok(Some(compared).filter(|compared| !compared.representatives.is_empty()))
    }

    /// [`Error::Stopped`] if a stop is requested.
    pub(super) fn check_stop(&self) -> Result<()> {
        match self.progress.stop_requested() {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }

    /// Sampling settings of a stage before the last call: the task's, with the profile seed.
    pub(super) fn profile_sampling(&self, stage: Stage) -> Result<Sampling> {
        let sampling = self.task.stage(stage)?.sampling.clone();
        Ok(Sampling { seed: self.options.profile_seed, ..sampling })
    }

    /// Makes one call before the last, with the profile seed. `sources` are the reviews that the
    /// prompt was made from.
    pub(super) async fn ask(
        &self,
        stage: Stage,
        draft: Draft,
        sources: &[ReviewId],
    ) -> Result<LmAnswer> {
        self.check_stop()?;
        let call = LmCall {
            stage,
            draft,
            sources,
            sampling: self.profile_sampling(stage)?,
            max_tokens: self.options.profile_max_tokens,
            constraint: None,
            steered: None,
            on_text: None,
        };
        Ok(self.calls.answer(call).await?)
    }
}
