//! The difference-aware profile of a user (DPL, summary).

use serde::Serialize;

use super::{AnswerSettings, Difference, Result, SUMMARY};
use crate::client::{CachedLm, LmAnswer, LmCall};
use crate::corpus::{Item, ReviewId, StoredReview};
use crate::task::{Block, Cut, Draft, Part};
use idiolect_engine::lm::Sampling;

/// Profile of a user: differences from other users, and their summary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The user.
    pub user: String,
    /// Difference on each item, most relevant item first; may be empty.
    pub differences: Vec<Difference>,
    /// The summary.
    pub summary: String,
    /// The user's reviews that the profile was made from, each once: compared ones first, then past
    /// ones.
    pub reviews: Vec<ReviewId>,
    /// Parts left out of the summary's prompt; each difference lists its own.
    pub cut: Vec<Cut>,
    /// Whether the summary was in the store.
    pub reused: bool,
}

impl Profile {
    /// Makes a profile from a user's past texts alone. The last answer is the summary; the earlier
    /// answers led to it. `reviews` are all reviews that the prompts showed.
    #[must_use]
    pub fn of_answers(user: &str, answers: Vec<LmAnswer>, reviews: Vec<ReviewId>) -> Self {
        Self {
            user: user.to_owned(),
            differences: Vec::new(),
            summary: answers.last().map(|answer| answer.text.clone()).unwrap_or_default(),
            reviews,
            reused: answers.iter().all(|answer| answer.reused),
            cut: answers.into_iter().flat_map(|answer| answer.cut).collect(),
        }
    }

    /// Every review that the profile was made from, including the peers', each once.
    #[must_use]
    pub fn sources(&self) -> Vec<ReviewId> {
        sources(&self.differences, &self.reviews)
    }
}

/// Summarizes differences and past reviews (DPL, step 5).
///
/// Both `differences` and `past` reviews come with their items, most relevant first.
///
/// # Errors
/// As [`CachedLm::answer`].
pub async fn summarize(
    calls: &CachedLm<'_>,
    user: &str,
    differences: Vec<(Item, Difference)>,
    past: &[(StoredReview, Item)],
    settings: AnswerSettings,
) -> Result<Profile> {
    let AnswerSettings { seed, max_tokens } = settings;
    let stage = SUMMARY;
    let compared = differences
        .iter()
        // Empty differences are left out of the prompt.
        .filter(|(_, difference)| !difference.text.is_empty())
        .map(|(item, difference)| Block::of_difference(item, &difference.text, difference.review));
    let draft = Draft::new()
        .with_all(Part::Compared, compared)
        .with_all(Part::Past, past.iter().map(|(review, item)| Block::of_review(review, item)));
    let differences: Vec<Difference> = differences.into_iter().map(|(_, d)| d).collect();
    let mut reviews: Vec<ReviewId> = differences.iter().map(|d| d.review).collect();
    for (review, _) in past {
        if !reviews.contains(&review.id) {
            reviews.push(review.id);
        }
    }
    let answer = calls
        .answer(LmCall {
            stage,
            draft,
            sources: &sources(&differences, &reviews),
            sampling: Sampling { seed, ..calls.task().stage(stage)?.sampling.clone() },
            max_tokens,
            constraint: None,
            steered: None,
            on_text: None,
        })
        .await?;
    Ok(Profile {
        user: user.to_owned(),
        differences,
        summary: answer.text,
        reviews,
        cut: answer.cut,
        reused: answer.reused,
    })
}

fn sources(differences: &[Difference], reviews: &[ReviewId]) -> Vec<ReviewId> {
    let peers = differences.iter().flat_map(|d| d.representatives.iter().map(|r| r.review));
    let mut all: Vec<ReviewId> = reviews.iter().copied().chain(peers).collect();
    all.sort_unstable();
    all.dedup();
    all
}
