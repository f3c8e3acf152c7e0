//! Selection and order of the user's past texts in a prompt.

use super::{Form, Texts};
use crate::corpus::{ReviewId, Target};
use crate::difference::Profile;
use crate::methods::retrieval::{most_recent, most_relevant, of_kind};
use crate::methods::{MethodContext, PastReview, summaries};
use crate::task::{Block, Draft, Part};

/// Selection and order of past texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ExampleSelection {
    /// The most relevant to the target instead of the newest.
    pub(super) relevant: bool,
    /// Half as many texts.
    pub(super) half: bool,
    /// Reversed order: the newest or most relevant text first in a conversation or document, last
    /// in a flat prompt.
    pub(super) reversed: bool,
    /// The model's summary of the older texts, shown among the notes.
    pub(super) summary: Option<Profile>,
}

impl ExampleSelection {
    /// Selection without validation.
    pub(super) fn of(texts: Texts) -> Self {
        Self { relevant: texts == Texts::Relevant, ..Self::default() }
    }

    /// The past texts of the prompt for a target, in its order.
    pub(super) fn past(
        &self,
        context: &MethodContext<'_>,
        target: Option<&Target>,
        history: &[PastReview],
    ) -> Vec<PastReview> {
        let n = context.options.n;
        let n = if self.half { n.div_ceil(2) } else { n };
        let mut past = match self.relevant {
            true => most_relevant(context.task, target, history, n),
            false => most_recent(&of_kind(context.task, target, history, n), n),
        };
        let last_counts_most = context.options.idiolect.form != Form::Flat;
        if last_counts_most != self.reversed {
            past.reverse();
        }
        past
    }

    /// The past texts of up to `n_prompts` prompts: those of [`Self::past`], then those that it selects from
    /// the rest, as long as these fill at least half a prompt.
    pub(super) fn past_of_prompts(
        &self,
        context: &MethodContext<'_>,
        target: Option<&Target>,
        history: &[PastReview],
        n_prompts: usize,
    ) -> Vec<Vec<PastReview>> {
        let mut prompts = vec![self.past(context, target, history)];
        let mut rest = history.to_vec();
        while prompts.len() < n_prompts {
            let used: Vec<ReviewId> =
                prompts.iter().flatten().map(|(review, _)| review.id).collect();
            rest.retain(|(review, _)| !used.contains(&review.id));
            let next = self.past(context, target, &rest);
            if next.is_empty() || 2 * next.len() < context.options.n {
                break;
            }
            prompts.push(next);
        }
        prompts
    }

    /// The prompt with these past texts.
    pub(super) fn draft(&self, target: Option<&Target>, past: &[PastReview]) -> Draft {
        let notes = self.summary.iter().map(|summary| Block::of_note(&summary.summary));
        Draft::new()
            .with_all(Part::Past, summaries::blocks(past))
            .with_all(Part::Notes, notes)
            .with_all(Part::Target, target.map(Block::of_target))
    }
}
