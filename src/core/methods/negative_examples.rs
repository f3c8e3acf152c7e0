//! Negative examples for the user's texts: others' reviews of the same items.

use std::collections::HashSet;

use futures::future::try_join_all;

use super::{MethodContext, PastReview, Result, non_perso};
use crate::client::LmCall;
use crate::corpus::{ReviewId, StoredReview};
use crate::peers::{ChoiceOptions, Origin};
use crate::task::{Block, Cut, Draft, Part};

/// Negative examples for a list of past reviews, in its order.
#[derive(Default)]
pub(super) struct NegativeExamples {
    /// One for each past review; empty if the model wrote nothing.
    pub(super) texts: Vec<String>,
    /// The reviews among the examples.
    pub(super) reviews: Vec<ReviewId>,
    /// Parts left out of the prompts of the examples that the model wrote.
    pub(super) cut: Vec<Cut>,
}

impl NegativeExamples {
    /// Picks a negative example for each past review: the same-item review of the representative
    /// of the largest cluster. If nobody else wrote about the item, or all others write like the
    /// user, it is a non-personalized text of the model.
    pub(super) async fn of(context: &MethodContext<'_>, past: &[PastReview]) -> Result<Self> {
        let found = past.iter().map(async |own| -> Result<(String, Option<ReviewId>, Vec<Cut>)> {
            context.check_stop()?;
            if let Some(other) = representative(context, own)? {
                return Ok((other.review.text, Some(other.id), Vec::new()));
            }
            let (text, cut) = non_personalized(context, own).await?;
            Ok((text, None, cut))
        });
        let mut examples = Self::default();
        for (text, review, cut) in try_join_all(found).await? {
            examples.texts.push(text);
            examples.reviews.extend(review);
            examples.cut.extend(cut);
        }
        Ok(examples)
    }

    /// Blocks of the past reviews, each with its negative example.
    pub(super) fn blocks<'a>(&'a self, past: &'a [PastReview]) -> impl Iterator<Item = Block> + 'a {
        past.iter()
            .zip(&self.texts)
            .map(|((review, item), text)| Block::of_review(review, item).against(text))
    }
}

fn representative(
    context: &MethodContext<'_>,
    (own, item): &PastReview,
) -> Result<Option<StoredReview>> {
    let (peers, choice) = (context.peers()?, context.options.choice());
    let user = own.review.user.as_str();
    let reviews = context.view.reviews_of(&item.id)?;
    let users = reviews.iter().map(|r| r.review.user.as_str());
    let n_others = users.filter(|other| *other != user).collect::<HashSet<_>>().len();
    if n_others == 0 {
        return Ok(None);
    }
    // With `k` limited to the number of other reviewers, no near items are searched.
    let choice = ChoiceOptions { k: choice.k.min(n_others), ..choice };
    let chosen = peers.choose_for(&context.view, own, &choice)?.representatives;
    let mut most: Option<(usize, StoredReview)> = None;
    for one in chosen {
        let fits = one.origin == Origin::SameItem && !one.review.review.text.trim().is_empty();
        if fits && most.as_ref().is_none_or(|(size, _)| one.cluster_size > *size) {
            most = Some((one.cluster_size, one.review));
        }
    }
    Ok(most.map(|(_, review)| review))
}

/// Generates a text about the item from the review's rating and title, without anything of the
/// user.
async fn non_personalized(
    context: &MethodContext<'_>,
    (own, item): &PastReview,
) -> Result<(String, Vec<Cut>)> {
    let stage = non_perso::STAGE;
    let target = own.as_target(item.clone());
    let call = LmCall {
        stage,
        draft: Draft::new().with(Part::Target, Block::of_target(&target)),
        sources: &[own.id],
        sampling: context.profile_sampling(stage)?,
        max_tokens: context.options.max_tokens,
        constraint: None,
        steered: None,
        on_text: None,
    };
    let answer = context.calls.answer(call).await?;
    Ok((answer.text, answer.cut))
}
