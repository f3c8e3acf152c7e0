//! Calls on past texts before the last one, and the last prompts that show their answers.

use super::{Error, Material, Method, Options, Past, Prepared, Result, ids};
use crate::client::{CachedLm, LmAnswer, LmCall, Usage};
use crate::corpus::{ReviewId, Target};
use crate::difference::Profile;
use crate::task::{Block, Draft, Part, Stage};
use idiolect_engine::lm::Sampling;

/// Makes one call before the last, with the profile seed.
pub(super) async fn ask(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    options: &Options,
    stage: Stage,
    draft: Draft,
    sources: &[ReviewId],
) -> Result<LmAnswer> {
    if material.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    let call = LmCall {
        stage,
        draft,
        sources,
        sampling: Sampling {
            seed: options.profile_seed,
            ..material.task.stage(stage)?.sampling.clone()
        },
        max_tokens: options.profile_max_tokens,
        constraint: None,
        on_text: None,
    };
    Ok(calls.answer(call).await?)
}

/// The blocks of past reviews, in their order.
pub(super) fn blocks(past: &[Past]) -> impl Iterator<Item = Block> {
    past.iter().map(|(review, item)| Block::of_review(review, item))
}

/// DPL's last prompt with a given profile: item, past texts, profile, rating and title.
pub(super) fn from_profile(
    method: Method,
    target: &Target,
    author: &str,
    past: &[Past],
    profile: Option<Profile>,
    usage: Usage,
) -> Prepared {
    let summary = profile.as_ref().map_or("", |profile| profile.summary.as_str());
    let draft = Draft::new()
        .with(Part::Target, Block::of_target(target))
        .with_all(Part::Past, blocks(past))
        .with(Part::Profile, Block::of_profile(author, summary));
    Prepared::of(method, Stage::Generation, draft, past).after(profile, usage)
}

/// A last prompt that shows an earlier answer as a note.
pub(super) fn from_notes(
    method: Method,
    stage: Stage,
    target: &Target,
    blocks: impl IntoIterator<Item = Block>,
    past: &[Past],
    told: Option<Profile>,
    usage: Usage,
) -> Prepared {
    let notes = told.iter().map(|told| Block::of_note(&told.summary));
    let draft = Draft::new()
        .with(Part::Target, Block::of_target(target))
        .with_all(Part::Past, blocks)
        .with_all(Part::Notes, notes);
    Prepared::of(method, stage, draft, past).after(told, usage)
}

/// Makes one call on past texts alone and returns its answer as a profile.
pub(super) async fn of_past(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    options: &Options,
    stage: Stage,
    author: &str,
    past: &[Past],
) -> Result<Profile> {
    let draft = Draft::new().with_all(Part::Past, blocks(past));
    let answer = ask(material, calls, options, stage, draft, &ids(past)).await?;
    Ok(Profile::of_answers(author, vec![answer], ids(past)))
}
