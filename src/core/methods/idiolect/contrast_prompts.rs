//! Contrast prompts, and the texts that must not be copied.

use std::collections::HashSet;

use crate::client::ContrastPrompts;
use crate::corpus::{ReviewId, StoredReview, Target};
use crate::methods::{MethodContext, PastReview, Result};
use crate::steering::NeededPrompts;
use crate::task::{Block, Draft, Part};

/// Contrast prompts, and others' texts that must not be copied.
pub(super) struct PeerPrompts {
    /// The unconditional prompt and the prompts with peers' texts.
    pub(super) contrast: ContrastPrompts,
    /// Others' texts about the items of the prompt, which must not be copied.
    pub(super) guarded: Vec<String>,
    /// Others' reviews that any of it was made from.
    pub(super) reviews: Vec<ReviewId>,
}

impl PeerPrompts {
    /// Makes the contrast prompts that are needed beside a prompt with the texts `past`.
    /// There is one prompt with peers' texts per rank of representatives: the representative of
    /// that rank on each item replaces the user's text with their own. Items without a
    /// representative of that rank are left out.
    pub(super) fn of(
        context: &MethodContext<'_>,
        past: &[PastReview],
        target: Option<&Target>,
        needed: NeededPrompts,
    ) -> Result<Self> {
        let mut contrast = ContrastPrompts::default();
        let (mut guarded, mut reviews) = (Vec::new(), Vec::new());
        let items = past.iter().map(|(_, item)| item);
        let mut read = HashSet::new();
        for item in items.chain(target.map(|target| &target.item)) {
            if !read.insert(&item.id) {
                continue;
            }
            for other in context.view.reviews_of(&item.id)? {
                if other.review.user != context.author {
                    reviews.push(other.id);
                    guarded.push(other.review.text);
                }
            }
        }
        if needed.unconditional {
            contrast.unconditional =
                Draft::new().with_all(Part::Target, target.map(Block::of_target));
        }
        if needed.peers {
            let ranks = ranks(context, past)?;
            reviews.extend(ranks.iter().flatten().map(|(_, review)| review.id));
            contrast.peers = ranks.iter().map(|rank| with_peers(past, rank, target)).collect();
        }
        reviews.sort_unstable();
        reviews.dedup();
        Ok(Self { contrast, guarded, reviews })
    }
}

/// Review of a representative, and the index of the past review whose item it is about.
type PeerReview = (usize, StoredReview);

/// The representatives' reviews by rank.
fn ranks(context: &MethodContext<'_>, past: &[PastReview]) -> Result<Vec<Vec<PeerReview>>> {
    let mut ranks: Vec<Vec<PeerReview>> = Vec::new();
    for (place, (own, _)) in past.iter().enumerate() {
        let choice = context.peers()?.choose_for(&context.view, own, &context.options.choice())?;
        for (rank, one) in choice.representatives.into_iter().enumerate() {
            if ranks.len() == rank {
                ranks.push(Vec::new());
            }
            ranks[rank].push((place, one.review));
        }
    }
    Ok(ranks)
}

fn with_peers(past: &[PastReview], texts: &[PeerReview], target: Option<&Target>) -> Draft {
    let turns = texts.iter().map(|(place, review)| Block::of_review(review, &past[*place].1));
    Draft::new().with_all(Part::Past, turns).with_all(Part::Target, target.map(Block::of_target))
}
