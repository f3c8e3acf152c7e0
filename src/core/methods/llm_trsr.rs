//! LLM-TRSR, text-rich sequential recommendation (arXiv 2403.13325): a long history summarized
//! block by block.
//!
//! The history is split into blocks of five texts, at most five blocks, oldest first; here these
//! are the newest texts. *Recurrent*: the first block is summarized, and each further block updates
//! the summary. *Hierarchical*: each block is summarized by itself, and the summaries, in order,
//! are summarized again. The paper then trains a recommender; as in DPL's table only the summaries
//! are used, and the last prompt is DPL's.

use futures::future::try_join_all;

use super::select::{most_recent, most_relevant};
use super::{Material, Method, Options, Past, Prepared, Result, ids, told};
use crate::client::{CachedLm, LmAnswer};
use crate::corpus::Target;
use crate::difference::Profile;
use crate::task::{Block, Draft, Part, Stage};

/// Number of texts in a block.
const BLOCK: usize = 5;
/// Maximum number of blocks.
const BLOCKS: usize = 5;

pub(super) async fn prepare(
    method: Method,
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let history = material.past(target, options, method)?;
    let (author, calls) = (options.author(target), material.calls(options));
    let mut newest = most_recent(&history, BLOCK * BLOCKS);
    newest.reverse();

    let answers = match method {
        Method::LlmTrsrHierarchical => hierarchical(material, &calls, &newest, options).await?,
        _ => recurrent(material, &calls, &newest, options).await?,
    };
    let made = !answers.is_empty();
    let summary = made.then(|| Profile::of_answers(author, answers, ids(&newest)));

    let past = most_relevant(material.task, target, &history, options.n);
    Ok(told::from_profile(method, target, author, &past, summary, calls.usage()))
}

/// The summary after each block.
async fn recurrent(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    texts: &[Past],
    options: &Options,
) -> Result<Vec<LmAnswer>> {
    let mut answers: Vec<LmAnswer> = Vec::new();
    for (i, block) in texts.chunks(BLOCK).enumerate() {
        let draft = Draft::new().with_all(Part::Past, told::blocks(block));
        let (stage, draft) = match answers.last() {
            None => (Stage::TrsrBlock, draft),
            Some(so_far) => {
                (Stage::TrsrUpdate, draft.with(Part::Notes, Block::of_note(&so_far.text)))
            }
        };
        let seen = ids(&texts[..i * BLOCK + block.len()]);
        answers.push(told::ask(material, calls, options, stage, draft, &seen).await?);
    }
    Ok(answers)
}

/// The summary of each block, then the summary of these if there are several.
async fn hierarchical(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    texts: &[Past],
    options: &Options,
) -> Result<Vec<LmAnswer>> {
    let blocks = texts.chunks(BLOCK).map(async |block| {
        let draft = Draft::new().with_all(Part::Past, told::blocks(block));
        told::ask(material, calls, options, Stage::TrsrBlock, draft, &ids(block)).await
    });
    let mut answers = try_join_all(blocks).await?;
    if answers.len() > 1 {
        let notes = answers.iter().map(|answer| Block::of_note(&answer.text));
        let draft = Draft::new().with_all(Part::Notes, notes);
        let stage = Stage::TrsrMerge;
        answers.push(told::ask(material, calls, options, stage, draft, &ids(texts)).await?);
    }
    Ok(answers)
}
