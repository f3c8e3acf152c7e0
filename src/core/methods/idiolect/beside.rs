//! Contrast prompts, and the texts that must not be copied.

use crate::client::ContrastPrompts;
use crate::corpus::{ReviewId, StoredReview, Target};
use crate::methods::{Error, Material, Method, Options, Past, Result};
use crate::steering::NeededPrompts;
use crate::task::{Block, Draft, Part};

/// Contrast prompts, and others' texts that must not be copied.
pub(super) struct AmongPeers {
    /// The unconditional prompt and the prompts with peers' texts.
    pub(super) beside: ContrastPrompts,
    /// Others' texts about the items of the prompt, which must not be copied.
    pub(super) guarded: Vec<String>,
    /// Others' reviews that any of it was made from.
    pub(super) reviews: Vec<ReviewId>,
}

/// Makes the contrast prompts that `lanes` asks for. There is one prompt with peers' texts per rank
/// of representatives: the representative of that rank on each item replaces the user's text with
/// their own. Items without a representative of that rank are left out.
pub(super) fn peers(
    material: &Material<'_>,
    author: &str,
    past: &[Past],
    target: &Target,
    options: &Options,
    lanes: Lanes,
) -> Result<AmongPeers> {
    let mut beside = ContrastPrompts::default();
    let (mut guarded, mut reviews) = (Vec::new(), Vec::new());
    let items = past.iter().map(|(_, item)| item.id.as_str()).chain([target.item.id.as_str()]);
    for item in items {
        for other in material.view.reviews_of(item)? {
            if other.review.user != author {
                reviews.push(other.id);
                guarded.push(other.review.text);
            }
        }
    }
    if lanes.nobody {
        beside.nobody = Draft::new().with(Part::Target, Block::of_target(target));
    }
    if lanes.peers {
        let mut ranks: Vec<Vec<(usize, StoredReview)>> = Vec::new();
        for (place, (own, _)) in past.iter().enumerate() {
            let peers = material.peers.ok_or(Error::NoPeers { method: Method::Idiolect.name() })?;
            let choice = peers.choose(
                &material.view,
                &own.review.user,
                &own.review.item,
                &options.choice,
            )?;
            for (rank, one) in choice.representatives.into_iter().enumerate() {
                if ranks.len() == rank {
                    ranks.push(Vec::new());
                }
                reviews.push(one.review.id);
                ranks[rank].push((place, one.review));
            }
        }
        beside.peers = ranks.iter().map(|rank| with_peers(past, rank, target)).collect();
    }
    reviews.sort_unstable();
    reviews.dedup();
    Ok(AmongPeers { beside, guarded, reviews })
}

fn with_peers(past: &[Past], texts: &[(usize, StoredReview)], target: &Target) -> Draft {
    let turns = texts.iter().map(|(place, review)| Block::of_review(review, &past[*place].1));
    Draft::new().with_all(Part::Past, turns).with(Part::Target, Block::of_target(target))
}
