//! Summaries of past texts, and the last prompts that show them.

use super::{MethodContext, PastReview, PreparedPrompt, Result, ids};
use crate::difference::Profile;
use crate::task::{Block, Draft, Part, Stage};

/// Generates from past texts and a profile (DPL).
pub(super) const GENERATION: Stage =
    Stage::new("generation", &[Part::Target, Part::Past, Part::Profile]);

/// The blocks of past reviews, in their order.
pub(super) fn blocks(past: &[PastReview]) -> impl Iterator<Item = Block> {
    past.iter().map(|(review, item)| Block::of_review(review, item))
}

/// Makes one call on past texts alone and returns its answer as a profile; `None` if there are no
/// past texts.
pub(super) async fn summary(
    context: &MethodContext<'_>,
    stage: Stage,
    past: &[PastReview],
) -> Result<Option<Profile>> {
    if past.is_empty() {
        return Ok(None);
    }
    let draft = Draft::new().with_all(Part::Past, blocks(past));
    let answer = context.ask(stage, draft, &ids(past)).await?;
    Ok(Some(Profile::of_answers(context.author, vec![answer], ids(past))))
}

/// DPL's last prompt with a given profile: item, past texts, profile, rating and title.
pub(super) fn prompt_with_profile(
    context: &MethodContext<'_>,
    past: &[PastReview],
    profile: Option<Profile>,
) -> PreparedPrompt {
    let summary = profile.as_ref().map_or("", |profile| profile.summary.as_str());
    let draft = Draft::new()
        .with_all(Part::Target, context.target_block())
        .with_all(Part::Past, blocks(past))
        .with(Part::Profile, Block::of_profile(context.author, summary));
    PreparedPrompt::of(context, GENERATION, draft, past).after(profile)
}

/// A last prompt that shows an earlier answer as a note.
pub(super) fn prompt_with_notes(
    context: &MethodContext<'_>,
    stage: Stage,
    past: &[PastReview],
    blocks: impl IntoIterator<Item = Block>,
    answer: Option<Profile>,
) -> PreparedPrompt {
    let notes = answer.iter().map(|answer| Block::of_note(&answer.summary));
    let draft = Draft::new()
        .with_all(Part::Target, context.target_block())
        .with_all(Part::Past, blocks)
        .with_all(Part::Notes, notes);
    PreparedPrompt::of(context, stage, draft, past).after(answer)
}
