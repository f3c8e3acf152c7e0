//! Inputs of a method besides target and options: corpus view, language model, peers and task.

use super::{Error, History, Method, Options, Result};
use crate::client::{CachedLm, Model};
use crate::corpus::{Item, ReviewId, StoredReview, Target, View};
use crate::difference::Peers;
use crate::task::Task;
use idiolect_engine::progress::Progress;

/// Inputs of a method besides target and options.
#[derive(Clone)]
pub struct Material<'a> {
    /// The visible part of the corpus.
    pub view: View<'a>,
    /// The language model.
    pub model: &'a dyn Model,
    /// Source of representatives; used only by methods that [need peers](Method::needs_peers).
    pub peers: Option<&'a dyn Peers>,
    /// The task: what is written, and the prompts for it.
    pub task: &'a Task,
    /// Receives the progress of the work.
    pub progress: &'a dyn Progress,
}

/// A past review of the user and its item.
pub(crate) type Past = (StoredReview, Item);

impl<'a> Material<'a> {
    pub(super) fn calls(&self, options: &Options) -> CachedLm<'a> {
        CachedLm::new(self.view.store(), self.model, self.task, options.reuse)
    }

    /// The user's visible reviews with their items, oldest first; reviews without text are left
    /// out.
    pub(super) fn history(&self, user: &str) -> Result<Vec<Past>> {
        let mut past = Vec::new();
        for review in self.view.history(user)? {
            if !review.review.text.trim().is_empty() {
                let item = self.view.item(&review.review.item)?;
                past.push((review, item));
            }
        }
        Ok(past)
    }

    /// Like [`Material::history`], but an error if there are none.
    pub(super) fn history_of(&self, user: &str, method: Method) -> Result<Vec<Past>> {
        let past = self.history(user)?;
        if past.is_empty() {
            return Err(Error::NoHistory { user: user.to_owned(), method: method.name() });
        }
        Ok(past)
    }

    /// The past reviews that the options select; empty only for [`History::None`].
    pub(super) fn past(
        &self,
        target: &Target,
        options: &Options,
        method: Method,
    ) -> Result<Vec<Past>> {
        match options.history {
            History::None => Ok(Vec::new()),
            History::Own | History::Of(_) => self.history_of(options.author(target), method),
        }
    }
}

pub(super) fn ids(past: &[Past]) -> Vec<ReviewId> {
    past.iter().map(|(review, _)| review.id).collect()
}
