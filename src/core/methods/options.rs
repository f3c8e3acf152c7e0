//! What a caller may choose.

use std::borrow::Cow;

use super::idiolect::IdiolectOptions;
use crate::corpus::{self, Target, View};
use crate::difference::Reuse;
use crate::peers::{ChoiceOptions, Selector};
use crate::task::{self, Order, Task, Telling};
use idiolect_engine::lm::Sampling;

/// Whose past a text is written from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum History {
    /// The target's user's.
    #[default]
    Own,
    /// Another user's, whose own text about the target's item is hidden: the control that a method
    /// which tells users apart must not pass for the right one. Item, rating and title stay the
    /// target's. The target's user is not seen at all then, not even as a peer.
    Of(String),
    /// Nobody's: the method's prompt without past texts and without a profile.
    None,
}

/// Settings of a method.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Most past texts in a prompt, and most items compared (N).
    pub n: usize,
    /// How representatives are chosen; its `k` is also the number of other reviewers that an item
    /// must have to be compared.
    pub choice: ChoiceOptions,
    /// Which text comes first where texts are compared.
    pub order: Order,
    /// In which form DPL's differences are told.
    pub telling: Telling,
    /// Whether texts are compared at all; otherwise DPL's profile is made of past texts alone.
    pub differences: bool,
    /// Keys of dimensions that are left out of the task's standard.
    pub without_dimensions: Vec<String>,
    /// Seed of the text.
    pub seed: u64,
    /// Seed of the differences and of the profile. Apart from `seed`, so that a second text of the
    /// same user needs no second profile.
    pub profile_seed: u64,
    /// What differs from the task's sampling of the text.
    pub sampling: SamplingOverrides,
    /// Most tokens of the text; `None` leaves it to the task.
    pub max_tokens: Option<usize>,
    /// Most tokens of each difference and of the profile; `None` leaves it to the task.
    pub profile_max_tokens: Option<usize>,
    /// What `idiolect` does beside prompting.
    pub idiolect: IdiolectOptions,
    /// Whose past is used.
    pub history: History,
    /// Tokens that count where a text is scored, from its first; `None` counts all.
    pub score_limit: Option<usize>,
    /// Whether stored answers are used.
    pub reuse: Reuse,
}

impl Options {
    /// The task with the standard that is asked for.
    pub(super) fn task<'a>(&self, task: &'a Task) -> task::Result<Cow<'a, Task>> {
        match self.without_dimensions.as_slice() {
            [] => Ok(Cow::Borrowed(task)),
            without => Ok(Cow::Owned(task.without_dimensions(without)?)),
        }
    }

    /// What may be seen: where another user's past is used, neither what they wrote about the
    /// target's item nor anything of the target's user.
    pub(super) fn seen<'a>(&self, view: &View<'a>, target: &Target) -> corpus::Result<View<'a>> {
        match &self.history {
            History::Of(user) if *user != target.user => {
                view.clone().without_text(user, &target.item.id)?.without_user(&target.user)
            }
            _ => Ok(view.clone()),
        }
    }

    /// Whose past is used; the target's user's also where it is nobody's.
    pub(super) fn author<'a>(&'a self, target: &'a Target) -> &'a str {
        match &self.history {
            History::Of(user) => user,
            History::Own | History::None => &target.user,
        }
    }

    /// The task's N and K, DPL's choice of representatives and order, and its seed of 42.
    #[must_use]
    pub fn of(task: &Task) -> Self {
        Self {
            n: task.n,
            choice: ChoiceOptions { k: task.k, selector: Selector::Kmeans, seed: 42 },
            order: Order::UserFirst,
            telling: Telling::Free,
            differences: true,
            without_dimensions: Vec::new(),
            seed: 42,
            profile_seed: 42,
            sampling: SamplingOverrides::default(),
            max_tokens: None,
            profile_max_tokens: None,
            idiolect: IdiolectOptions::default(),
            history: History::Own,
            score_limit: None,
            reuse: Reuse::Stored,
        }
    }
}

/// Settings of a sampler that replace the task's; see [`Sampling`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs)]
pub struct SamplingOverrides {
    pub temperature: Option<f32>,
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub dry_multiplier: Option<f32>,
}

impl SamplingOverrides {
    /// `sampling` with what is set here.
    #[must_use]
    pub fn over(&self, sampling: &Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(sampling.temperature),
            top_k: self.top_k.unwrap_or(sampling.top_k),
            top_p: self.top_p.unwrap_or(sampling.top_p),
            min_p: self.min_p.unwrap_or(sampling.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(sampling.repetition_penalty),
            dry_multiplier: self.dry_multiplier.unwrap_or(sampling.dry_multiplier),
            ..sampling.clone()
        }
    }
}
