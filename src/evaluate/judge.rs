//! A language model as judge: how near a text comes to the one that the person really wrote.
//!
//! This is a similarity to the reference and is reported as such ([`NAME`]): the judge sees no other
//! person's text, so it cannot tell personalization from quality. The rubric is DPL's (arXiv
//! 2503.02450, the published code's judge) in our own words; unlike DPL's the judge is local, never
//! draws, and is held to answers that can be read. Both prompts are stages of the task file. A judge
//! should be of another family than the model that wrote.

use serde::Serialize;

use super::seed::seed_for;
use super::{Error, Result};
use idiolect_core::corpus::{Item, ReviewId, StoredReview, Target};
use idiolect_core::difference::{Answer, Call, Calls};
use idiolect_core::task::{Block, Cut, Draft, Part, Stage};
use idiolect_engine::lm::{Constraint, Sampling};

/// What reports call it.
pub const NAME: &str = "similarity to the reference";

/// The most points.
pub const MOST_POINTS: u8 = 10;

/// The text that a person really wrote, which others are held against.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// What it is about.
    pub item: &'a Item,
    /// The text.
    pub review: &'a StoredReview,
}

/// A text to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The text.
    pub text: &'a str,
    /// Reviews that it was made from; the judgement is forgotten with any of them.
    pub made_from: &'a [ReviewId],
}

/// Points for one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rating {
    /// 0 to 10.
    pub points: u8,
    /// What the prompt left out.
    pub cut: Vec<Cut>,
    /// Whether it was in the store.
    pub reused: bool,
}

impl Rating {
    /// Points as a share of all, 0 to 1, which is what DPL reports.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.points) / f64::from(MOST_POINTS)
    }
}

/// Which of two texts comes nearer to the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Winner {
    /// The first.
    First,
    /// The second.
    Second,
    /// The judge changes its mind with the order, or the texts are the same.
    Tie,
}

/// Outcome between two texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preference {
    /// Which comes nearer.
    pub winner: Winner,
    /// What the prompts left out.
    pub cut: Vec<Cut>,
    /// Answers that were in the store, 0 to 2.
    pub reused: usize,
}

/// Asks for points: 0 is another thing altogether, 10 nearly the same text.
///
/// # Errors
/// Those of [`Calls::answer`]; [`Error::Form`] for a model that is no [`Lm`](idiolect_engine::lm::Lm) and does
/// not keep to the constraint.
pub async fn rate(
    calls: &Calls<'_>,
    reference: &Reference<'_>,
    text: &Judged<'_>,
) -> Result<Rating> {
    let answer = ask(calls, Stage::Judge, "10|[0-9]", reference, &[text]).await?;
    match answer.text.parse() {
        Ok(points) if points <= MOST_POINTS => {
            Ok(Rating { points, cut: answer.cut, reused: answer.reused })
        }
        _ => Err(unreadable(Stage::Judge, "a whole number from 0 to 10", answer.text)),
    }
}

/// Asks which of two texts comes nearer, in both orders: the judge sees them as A and B and does not
/// learn who wrote which. A winner must win under either name. `seed` draws which order is asked
/// first, so that no side is always A in it.
///
/// # Errors
/// As [`rate`].
pub async fn prefer(
    calls: &Calls<'_>,
    reference: &Reference<'_>,
    first: &Judged<'_>,
    second: &Judged<'_>,
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
        let answer = ask(calls, Stage::JudgePair, "A|B", reference, &texts).await?;
        winners.push(match (answer.text.as_str(), straight) {
            ("A", true) | ("B", false) => Winner::First,
            ("A", false) | ("B", true) => Winner::Second,
            _ => return Err(unreadable(Stage::JudgePair, "A or B", answer.text)),
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
    calls: &Calls<'_>,
    stage: Stage,
    form: &str,
    reference: &Reference<'_>,
    texts: &[&Judged<'_>],
) -> Result<Answer> {
    let review = &reference.review.review;
    let target = Target {
        user: review.user.clone(),
        item: reference.item.clone(),
        rating: review.rating,
        title: Some(review.title.clone()),
    };
    let judged = texts
        .iter()
        .map(|judged| Block { text: judged.text.trim().to_owned(), ..Block::default() });
    let draft = Draft::new()
        .with(Part::Target, Block::of_target(&target))
        .with(Part::Own, Block::of_peer(reference.review))
        .with_all(Part::Judged, judged);
    let mut made_from = vec![reference.review.id];
    made_from.extend(texts.iter().flat_map(|judged| judged.made_from));
    made_from.sort_unstable();
    made_from.dedup();
    let call = Call {
        stage,
        draft,
        made_from: &made_from,
        // The likeliest answer, whatever the task file says: a judge that draws is noise.
        sampling: Sampling::default(),
        max_tokens: None,
        constraint: Some(Constraint::Regex(form.to_owned())),
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
