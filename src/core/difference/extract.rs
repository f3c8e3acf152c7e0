//! Difference extraction by the language model: one call per item (DPL).

use serde::Serialize;

use super::{AnswerSettings, DIFFERENCE, Error, Result, SentenceVectors, constrained};
use crate::client::{CachedLm, LmCall};
use crate::corpus::{Item, ReviewId, StoredReview, View};
use crate::peers::{self, Choice, ChoiceOptions, OnItem, Representative};
use crate::task::{
    Block, Cut, DifferenceFormat, DimensionText, Draft, Order, Part, split_by_dimension,
};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::lm::Sampling;

/// Choice of representatives and other peers. [`Encoder`] implements it; tests bring their own.
pub trait Peers {
    /// See [`peers::choose`].
    fn choose(
        &self,
        view: &View<'_>,
        user: &str,
        item: &str,
        options: &ChoiceOptions,
    ) -> peers::Result<Choice>;
    /// See [`peers::choose_for`].
    fn choose_for(
        &self,
        view: &View<'_>,
        own: &StoredReview,
        options: &ChoiceOptions,
    ) -> peers::Result<Choice>;
    /// See [`peers::nearest_users`].
    fn nearest(&self, view: &View<'_>, user: &str, n: usize) -> peers::Result<Vec<String>>;
    /// See [`peers::distinctness`].
    fn distinctness(&self, view: &View<'_>, items: &[OnItem]) -> peers::Result<f32>;
    /// Returns the sentence encoder, if there is one.
    fn sentence_vectors(&self) -> Option<&dyn SentenceVectors> {
        None
    }
}

impl Peers for Encoder {
    fn choose(
        &self,
        view: &View<'_>,
        user: &str,
        item: &str,
        options: &ChoiceOptions,
    ) -> peers::Result<Choice> {
        peers::choose(view, self, user, item, options)
    }

    fn choose_for(
        &self,
        view: &View<'_>,
        own: &StoredReview,
        options: &ChoiceOptions,
    ) -> peers::Result<Choice> {
        peers::choose_for(view, self, own, options)
    }

    fn nearest(&self, view: &View<'_>, user: &str, n: usize) -> peers::Result<Vec<String>> {
        peers::nearest_users(view, self, user, n)
    }

    fn distinctness(&self, view: &View<'_>, items: &[OnItem]) -> peers::Result<f32> {
        peers::distinctness(view, self, items)
    }

    fn sentence_vectors(&self) -> Option<&dyn SentenceVectors> {
        Some(self)
    }
}

/// A text of the user and the representatives that it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The item that the texts are about.
    pub item: Item,
    /// The user's text.
    pub own: StoredReview,
    /// The representatives, in the order of the choice.
    pub representatives: Vec<Representative>,
}

/// A peer whose text a difference was extracted against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Representing {
    /// The peer.
    pub user: String,
    /// The peer's review.
    pub review: ReviewId,
    /// Cluster that the peer represents, if the choice formed clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<usize>,
}

/// Difference between a user's text and the representatives' on one item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The item.
    pub item: String,
    /// Its title.
    pub item_title: String,
    /// The user's review.
    pub review: ReviewId,
    /// Representatives that the text was compared with.
    pub representatives: Vec<Representing>,
    /// The difference along each dimension, if the text can be split by dimension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Vec<DimensionText>>,
    /// The whole difference as text.
    pub text: String,
    /// Parts left out of the prompt.
    pub cut: Vec<Cut>,
    /// Whether the difference was in the store.
    pub reused: bool,
}

impl Compared {
    /// The reviews a difference is made from, the user's own first.
    #[must_use]
    pub fn reviews(&self) -> Vec<ReviewId> {
        let peers = self.representatives.iter().map(|r| r.review.id);
        std::iter::once(self.own.id).chain(peers).collect()
    }

    pub(super) fn difference(
        &self,
        dimensions: Option<Vec<DimensionText>>,
        text: String,
        cut: Vec<Cut>,
        reused: bool,
    ) -> Difference {
        let representatives = self.representatives.iter().map(|r| Representing {
            user: r.review.review.user.clone(),
            review: r.review.id,
            cluster: r.cluster,
        });
        Difference {
            item: self.item.id.clone(),
            item_title: self.item.title.clone(),
            review: self.own.id,
            representatives: representatives.collect(),
            dimensions,
            text,
            cut,
            reused,
        }
    }

    pub(super) fn draft(&self, order: Order, difference_format: DifferenceFormat) -> Draft {
        Draft::new()
            .ordered(order)
            .with_format(difference_format)
            .with(Part::Own, Block::of_review(&self.own, &self.item))
            .with_all(Part::Others, self.representatives.iter().map(|r| Block::of_peer(&r.review)))
    }
}

/// Extracts the difference on one item (DPL, step 4).
///
/// A free answer is split by dimension if it keeps to their names. A constrained answer is a JSON
/// object of statements, so it can always be split.
///
/// # Errors
/// As [`CachedLm::answer`], for example if `max_tokens` is too small for the constrained form;
/// [`Error::Form`] if a constrained answer cannot be parsed.
pub async fn extract_difference(
    calls: &CachedLm<'_>,
    compared: &Compared,
    order: Order,
    difference_format: DifferenceFormat,
    settings: AnswerSettings,
) -> Result<Difference> {
    let AnswerSettings { seed, max_tokens } = settings;
    let (stage, task) = (DIFFERENCE, calls.task());
    let answer = calls
        .answer(LmCall {
            stage,
            draft: compared.draft(order, difference_format),
            sources: &compared.reviews(),
            sampling: Sampling { seed, ..task.stage(stage)?.sampling.clone() },
            max_tokens,
            constraint: match difference_format {
                DifferenceFormat::Free => None,
                DifferenceFormat::Constrained => Some(constrained::constraint(task)),
            },
            steered: None,
            on_text: None,
        })
        .await?;
    let (dimensions, text) = match difference_format {
        DifferenceFormat::Free => (split_by_dimension(&answer.text, &task.standard), answer.text),
        DifferenceFormat::Constrained => {
            let told = constrained::parse(&answer.text, task).ok_or_else(|| Error::Form {
                stage: stage.name(),
                item: compared.item.id.clone(),
                answer: answer.text.chars().take(120).collect(),
            })?;
            let text = constrained::in_words(&told, task);
            (Some(told), text)
        }
    };
    let (cut, reused) = (answer.cut, answer.reused);
    Ok(compared.difference(dimensions, text, cut, reused))
}
