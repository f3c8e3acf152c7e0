//! The difference-aware profile of a user (DPL, summary).

use serde::Serialize;

use super::{Answer, Call, Calls, Difference, Result};
use crate::corpus::{Item, ReviewId, StoredReview};
use crate::task::{Block, Cut, Draft, Part, Stage};
use idiolect_engine::lm::Sampling;

/// What was found to set a user apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The user.
    pub user: String,
    /// What was told on each item, most relevant item first; may be empty.
    pub differences: Vec<Difference>,
    /// The summary.
    pub summary: String,
    /// Every review of the user it was made from: compared ones first, then past ones.
    pub reviews: Vec<ReviewId>,
    /// What the prompt of the summary left out; each difference lists its own.
    pub cut: Vec<Cut>,
    /// Whether the summary was in the store.
    pub reused: bool,
}

impl Profile {
    /// A profile told of a user's past texts alone. The last answer is the summary, those before it
    /// had a part in it; `reviews` are all that the prompts showed.
    #[must_use]
    pub fn of_answers(user: &str, answers: Vec<Answer>, reviews: Vec<ReviewId>) -> Self {
        Self {
            user: user.to_owned(),
            differences: Vec::new(),
            summary: answers.last().map(|answer| answer.text.clone()).unwrap_or_default(),
            reviews,
            reused: answers.iter().all(|answer| answer.reused),
            cut: answers.into_iter().flat_map(|answer| answer.cut).collect(),
        }
    }

    /// Every review that had a part in it, the peers' as well, each once.
    #[must_use]
    pub fn made_from(&self) -> Vec<ReviewId> {
        made_from(&self.differences, &self.reviews)
    }
}

/// Sums up differences and past reviews (methods: DPL step 5).
///
/// `differences` come with their items, most relevant first, as do `past` reviews.
///
/// # Errors
/// Those of [`Calls::answer`].
pub async fn summarize(
    calls: &Calls<'_>,
    user: &str,
    differences: Vec<(Item, Difference)>,
    past: &[(StoredReview, Item)],
    seed: u64,
    max_tokens: Option<usize>,
) -> Result<Profile> {
    let stage = Stage::Summary;
    let compared = differences
        .iter()
        // A difference that the model left empty has nothing to say.
        .filter(|(_, difference)| !difference.text.is_empty())
        .map(|(item, difference)| Block::of_told(item, &difference.text, difference.review));
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
        .answer(Call {
            stage,
            draft,
            made_from: &made_from(&differences, &reviews),
            sampling: Sampling { seed, ..calls.task().stage(stage)?.sampling.clone() },
            max_tokens,
            constraint: None,
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

fn made_from(differences: &[Difference], reviews: &[ReviewId]) -> Vec<ReviewId> {
    let peers = differences.iter().flat_map(|d| d.representatives.iter().map(|r| r.review));
    let mut all: Vec<ReviewId> = reviews.iter().copied().chain(peers).collect();
    all.sort_unstable();
    all.dedup();
    all
}
