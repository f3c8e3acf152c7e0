//! What a method works with: what it may see, and who helps it.

use super::{Error, History, Method, Options, Result};
use crate::corpus::{Item, ReviewId, StoredReview, Target, View};
use crate::difference::{Calls, Model, Peers};
use crate::task::Task;
use idiolect_engine::progress::Progress;

/// What a method works with.
#[derive(Clone)]
pub struct Material<'a> {
    /// What may be seen of the corpus.
    pub view: View<'a>,
    /// The language model.
    pub model: &'a dyn Model,
    /// Who chooses representatives; only methods that [need peers](Method::needs_peers) ask.
    pub peers: Option<&'a dyn Peers>,
    /// What is written and how it is asked for.
    pub task: &'a Task,
    /// Told how far the work is.
    pub progress: &'a dyn Progress,
}

/// A past review of the user and what it is about.
pub(crate) type Past = (StoredReview, Item);

impl<'a> Material<'a> {
    pub(super) fn calls(&self, options: &Options) -> Calls<'a> {
        Calls::new(self.view.store(), self.model, self.task, options.reuse)
    }

    /// The user's visible reviews with their items, oldest first; those without text are passed by.
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

    /// As [`Material::history`], where there must be some.
    pub(super) fn history_of(&self, user: &str, method: Method) -> Result<Vec<Past>> {
        let past = self.history(user)?;
        if past.is_empty() {
            return Err(Error::NoHistory { user: user.to_owned(), method: method.name() });
        }
        Ok(past)
    }

    /// The past that the options ask for; empty only where they ask for nobody's.
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
