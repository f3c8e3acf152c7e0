//! A language model as judge of a text's similarity to the user's real text.
//!
//! The result is the similarity to the reference: the judge sees no other user's text, so it cannot
//! separate personalization from quality. The rubric is DPL's (arXiv 2503.02450, the judge of the
//! published code), reworded. Unlike DPL's, the judge is local, decodes greedily, and is
//! constrained to answers that can be parsed. Both prompts are stages of the task file. The judge
//! should belong to another model family than the model that generated the texts.

use serde::Serialize;

use super::seed::seed_for;
use super::{Error, Result};
use idiolect_core::client::{CachedLm, LmAnswer, LmCall};
use idiolect_core::corpus::{Item, ReviewId, StoredReview};
use idiolect_core::methods;
use idiolect_core::task::{Block, Cut, Draft, Part, Stage};
use idiolect_engine::lm::{Constraint, Sampling};

/// Scores a text by comparison with the one that the user really wrote.
const JUDGE: Stage = Stage::new("judge", &[Part::Target, Part::Own, Part::Judged]);
/// Decides which of two texts is nearer to the one that the user really wrote.
const JUDGE_PAIR: Stage = Stage::new("judge-pair", &[Part::Target, Part::Own, Part::Judged]);

/// Stages of all prompts that a task can have: the methods' and the judge's.
/// [`Task::check`](idiolect_core::task::Task::check) needs them.
#[must_use]
pub fn stages() -> Vec<Stage> {
    let mut stages = methods::stages();
    stages.extend([JUDGE, JUDGE_PAIR]);
    stages
}

/// Maximum number of points a text can get.
pub(crate) const MAX_POINTS: u8 = 10;

/// Real text of a user, the reference for the judge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference<'a> {
    /// Item of the text.
    pub(crate) item: &'a Item,
    /// The text.
    pub(crate) review: &'a StoredReview,
}

/// A text to be judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JudgedText<'a> {
    /// The text.
    pub(crate) text: &'a str,
    /// Reviews that the text was made from; deleting any of them also deletes the stored judgement.
    pub(crate) sources: &'a [ReviewId],
}

/// Rating of one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Rating {
    /// Points, 0 to 10.
    pub(crate) points: u8,
    /// Parts of the input that were cut to fit the prompt.
    pub(crate) cut: Vec<Cut>,
    /// Whether the answer was already in the store.
    pub(crate) reused: bool,
}

impl Rating {
    /// Points divided by [`MAX_POINTS`], 0 to 1, as DPL reports them.
    #[must_use]
    pub(crate) fn share(&self) -> f64 {
        f64::from(self.points) / f64::from(MAX_POINTS)
    }
}

/// The text of two that is more similar to the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Winner {
    /// The first.
    First,
    /// The second.
    Second,
    /// The answer depends on the order of the texts, or the texts are equal.
    Tie,
}

/// Preference between two texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Preference {
    /// Preferred text.
    pub(crate) winner: Winner,
    /// Parts of the inputs that were cut to fit the prompts.
    pub(crate) cut: Vec<Cut>,
    /// Number of answers that were already in the store, 0 to 2.
    pub(crate) reused: usize,
}

/// Asks the judge for points: 0 for a completely different text, 10 for nearly the same text.
///
/// # Errors
/// Errors of [`CachedLm::answer`]; [`Error::Form`] if the model is not an
/// [`Lm`](idiolect_engine::lm::Lm) and does not follow the constraint.
pub(crate) async fn rate(
    calls: &CachedLm<'_>,
    reference: &Reference<'_>,
    text: &JudgedText<'_>,
) -> Result<Rating> {
    let answer = ask(calls, JUDGE, "10|[0-9]", reference, &[text]).await?;
    match answer.text.parse() {
        Ok(points) if points <= MAX_POINTS => {
            Ok(Rating { points, cut: answer.cut, reused: answer.reused })
        }
        _ => Err(unreadable(JUDGE, "a whole number from 0 to 10", answer.text)),
    }
}

/// Asks the judge which of two texts is more similar to the reference, in both orders. The texts
/// are labelled A and B without their sources. A text wins only if it is preferred in both orders.
/// `seed` draws which order is asked first, so that neither side is always A in the first question.
///
/// # Errors
/// As [`rate`].
pub(crate) async fn prefer(
    calls: &CachedLm<'_>,
    reference: &Reference<'_>,
    first: &JudgedText<'_>,
    second: &JudgedText<'_>,
    seed: u64,
) -> Result<Preference> {
    let mut preference = Preference { winner: Winner::Tie, cut: Vec::new(), reused: 0 };
    if first.text.trim() == second.text.trim() {
        return Ok(preference);
    }
    let what = [reference.review.review.user.as_str(), reference.item.id.as_str()];
    let straight_first = seed_for(seed, &what).is_multiple_of(2);
    let mut winners = Vec::with_capacity(2);
    for straight in [straight_first, !straight_first] {
        let texts = if straight { [first, second] } else { [second, first] };
        let answer = ask(calls, JUDGE_PAIR, "A|B", reference, &texts).await?;
        winners.push(match (answer.text.as_str(), straight) {
            ("A", true) | ("B", false) => Winner::First,
            ("A", false) | ("B", true) => Winner::Second,
            _ => return Err(unreadable(JUDGE_PAIR, "A or B", answer.text)),
        });
        preference.cut.extend(answer.cut);
        preference.reused += usize::from(answer.reused);
    }
    if winners[0] == winners[1] {
        preference.winner = winners[0];
    }
    Ok(preference)
}

async fn ask(
    calls: &CachedLm<'_>,
    stage: Stage,
    form: &str,
    reference: &Reference<'_>,
    texts: &[&JudgedText<'_>],
) -> Result<LmAnswer> {
    let target = reference.review.as_target(reference.item.clone());
    let judged = texts
        .iter()
        .map(|judged| Block { text: judged.text.trim().to_owned(), ..Block::default() });
    let draft = Draft::new()
        .with(Part::Target, Block::of_target(&target))
        .with(Part::Own, Block::of_peer(reference.review))
        .with_all(Part::Judged, judged);
    let mut sources = vec![reference.review.id];
    sources.extend(texts.iter().flat_map(|judged| judged.sources));
    sources.sort_unstable();
    sources.dedup();
    let call = LmCall {
        stage,
        draft,
        sources: &sources,
        // Greedy decoding, whatever the task file says: sampling would add noise to the judgement.
        sampling: Sampling::default(),
        max_tokens: None,
        constraint: Some(Constraint::Regex(form.to_owned())),
        steered: None,
        on_text: None,
    };
    Ok(calls.answer(call).await?)
}

fn unreadable(stage: Stage, expected: &'static str, answer: String) -> Error {
    Error::Form { stage: stage.name(), expected, answer }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
