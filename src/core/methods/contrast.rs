//! Negative examples for the user's texts: others' reviews of the same items.

use std::collections::HashSet;

use futures::future::try_join_all;

use super::{Error, Material, Method, Options, Past, Result};
use crate::client::{CachedLm, LmCall};
use crate::corpus::{ReviewId, StoredReview, Target};
use crate::peers::{ChoiceOptions, Origin};
use crate::task::{Block, Cut, Draft, Part, Stage};
use idiolect_engine::lm::Sampling;

/// Negative examples for a list of past reviews, in its order.
#[derive(Default)]
pub(super) struct Contrasts {
    /// One for each past review; empty if the model wrote nothing.
    pub(super) texts: Vec<String>,
    /// The reviews among the examples.
    pub(super) reviews: Vec<ReviewId>,
    /// Parts left out of the prompts of the examples that the model wrote.
    pub(super) cut: Vec<Cut>,
}

impl Contrasts {
    /// Blocks of the past reviews, each with its negative example.
    pub(super) fn blocks<'a>(&'a self, past: &'a [Past]) -> impl Iterator<Item = Block> + 'a {
        past.iter()
            .zip(&self.texts)
            .map(|((review, item), text)| Block::of_review(review, item).against(text))
    }
}

/// Picks a negative example for each past review: the same-item review of the representative of the
/// largest cluster. If nobody else wrote about the item, or all others write like the user, it is a
/// non-personalized text of the model.
pub(super) async fn contrasts(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    method: Method,
    past: &[Past],
    options: &Options,
) -> Result<Contrasts> {
    let found = past.iter().map(async |own| -> Result<(String, Option<ReviewId>, Vec<Cut>)> {
        if material.progress.stop_requested() {
            return Err(Error::Stopped);
        }
        if let Some(other) = representative(material, method, own, options)? {
            return Ok((other.review.text, Some(other.id), Vec::new()));
        }
        let (text, cut) = of_nobody(material, calls, own, options).await?;
        Ok((text, None, cut))
    });
    let mut contrasts = Contrasts::default();
    for (text, review, cut) in try_join_all(found).await? {
        contrasts.texts.push(text);
        contrasts.reviews.extend(review);
        contrasts.cut.extend(cut);
    }
    Ok(contrasts)
}

fn representative(
    material: &Material<'_>,
    method: Method,
    (own, item): &Past,
    options: &Options,
) -> Result<Option<StoredReview>> {
    let peers = material.peers.ok_or(Error::NoPeers { method: method.name() })?;
    let user = own.review.user.as_str();
    let reviews = material.view.reviews_of(&item.id)?;
    let users = reviews.iter().map(|r| r.review.user.as_str());
    let n_others = users.filter(|other| *other != user).collect::<HashSet<_>>().len();
    if n_others == 0 {
        return Ok(None);
    }
    // With `k` limited to the number of other reviewers, no near items are searched.
    let choice = ChoiceOptions { k: options.choice.k.min(n_others), ..options.choice };
    let chosen = peers.choose(&material.view, user, &item.id, &choice)?.representatives;
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
async fn of_nobody(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    (own, item): &Past,
    options: &Options,
) -> Result<(String, Vec<Cut>)> {
    let stage = Stage::NonPerso;
    let title = Some(own.review.title.clone()).filter(|title| !title.is_empty());
    let (user, rating) = (own.review.user.clone(), own.review.rating);
    let target = Target { user, item: item.clone(), rating, title };
    let call = LmCall {
        stage,
        draft: Draft::new().with(Part::Target, Block::of_target(&target)),
        sources: &[own.id],
        sampling: Sampling {
            seed: options.profile_seed,
            ..material.task.stage(stage)?.sampling.clone()
        },
        max_tokens: options.max_tokens,
        constraint: None,
        on_text: None,
    };
    let answer = calls.answer(call).await?;
    Ok((answer.text, answer.cut))
}
