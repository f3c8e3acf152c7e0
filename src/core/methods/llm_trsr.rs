//! LLM-TRSR, text-rich sequential recommendation (arXiv 2403.13325): a long history summarized
//! block by block.
//!
//! The history is split into blocks of five texts, at most five blocks, oldest first; here these
//! are the newest texts. *Recurrent*: the first block is summarized, and each further block updates
//! the summary. *Hierarchical*: each block is summarized by itself, and the summaries, in order,
//! are summarized again. The paper then trains a recommender; as in DPL's table only the summaries
//! are used, and the last prompt is DPL's.

use futures::future::try_join_all;

use super::retrieval::most_recent;
use super::summaries::{GENERATION, blocks, prompt_with_profile};
use super::{MethodContext, MethodInfo, MethodSpec, PastReview, PreparedPrompt, Result, ids};
use crate::client::LmAnswer;
use crate::difference::Profile;
use crate::task::{Block, Draft, Part, Stage};

/// Number of texts in a block.
const BLOCK_LEN: usize = 5;
/// Maximum number of blocks.
const MAX_BLOCKS: usize = 5;

/// Summarizes one block of past texts.
const BLOCK: Stage = Stage::new("trsr-block", &[Part::Past]);
/// Updates a summary with the next block (recurrent).
const UPDATE: Stage = Stage::new("trsr-update", &[Part::Notes, Part::Past]);
/// Summarizes the summaries of all blocks (hierarchical).
const MERGE: Stage = Stage::new("trsr-merge", &[Part::Notes]);

pub(super) static LLM_TRSR_RECURRENT: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "llm-trsr-recurrent",
        about: "past texts and a summary that is updated block by block",
        source: "arXiv 2403.13325",
        stages: &[BLOCK, UPDATE, GENERATION],
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: false,
    },
    prepare: |context| {
        Box::pin(async move {
            let (history, newest) = histories(context)?;
            let summaries = recurrent(context, &newest).await?;
            Ok(prompt(context, &history, &newest, summaries))
        })
    },
};

pub(super) static LLM_TRSR_HIERARCHICAL: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "llm-trsr-hierarchical",
        about: "past texts and a summary of the summaries of blocks",
        source: "arXiv 2403.13325",
        stages: &[BLOCK, MERGE, GENERATION],
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: false,
    },
    prepare: |context| {
        Box::pin(async move {
            let (history, newest) = histories(context)?;
            let summaries = hierarchical(context, &newest).await?;
            Ok(prompt(context, &history, &newest, summaries))
        })
    },
};

/// The history, and the newest texts that are summarized, both oldest first.
fn histories(context: &MethodContext<'_>) -> Result<(Vec<PastReview>, Vec<PastReview>)> {
    let history = context.history()?;
    let mut newest = most_recent(&history, BLOCK_LEN * MAX_BLOCKS);
    newest.reverse();
    Ok((history, newest))
}

/// The last prompt with the last of the summaries.
fn prompt(
    context: &MethodContext<'_>,
    history: &[PastReview],
    newest: &[PastReview],
    summaries: Vec<LmAnswer>,
) -> PreparedPrompt {
    let profile = match summaries.is_empty() {
        true => None,
        false => Some(Profile::of_answers(context.author, summaries, ids(newest))),
    };
    let past = context.relevant(history, context.options.n);
    prompt_with_profile(context, &past, profile)
}

/// The summary after each block.
async fn recurrent(context: &MethodContext<'_>, texts: &[PastReview]) -> Result<Vec<LmAnswer>> {
    let mut answers: Vec<LmAnswer> = Vec::new();
    for (i, block) in texts.chunks(BLOCK_LEN).enumerate() {
        let draft = Draft::new().with_all(Part::Past, blocks(block));
        let (stage, draft) = match answers.last() {
            None => (BLOCK, draft),
            Some(so_far) => (UPDATE, draft.with(Part::Notes, Block::of_note(&so_far.text))),
        };
        let seen = ids(&texts[..i * BLOCK_LEN + block.len()]);
        answers.push(context.ask(stage, draft, &seen).await?);
    }
    Ok(answers)
}

/// The summary of each block, then the summary of these if there are several.
async fn hierarchical(context: &MethodContext<'_>, texts: &[PastReview]) -> Result<Vec<LmAnswer>> {
    let of_blocks = texts.chunks(BLOCK_LEN).map(async |block| {
        let draft = Draft::new().with_all(Part::Past, blocks(block));
        context.ask(BLOCK, draft, &ids(block)).await
    });
    let mut answers = try_join_all(of_blocks).await?;
    if answers.len() > 1 {
        let notes = answers.iter().map(|answer| Block::of_note(&answer.text));
        let draft = Draft::new().with_all(Part::Notes, notes);
        answers.push(context.ask(MERGE, draft, &ids(texts)).await?);
    }
    Ok(answers)
}
