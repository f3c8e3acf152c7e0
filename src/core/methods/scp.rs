//! SCP, conversational prompting (arXiv 2509.20805): each past text is an answer that the assistant
//! has given, and the target is what the user asks for next.
//!
//! The paper leaves the order of the turns open. Here the least relevant text comes first and the
//! most relevant last, next to the target, where small models pay most attention.
//!
//! Beyond the paper, the past texts can be the entries of a document that the model continues
//! (`completion`), or stand in one message, which is the prompt of `rag`.

use std::future::ready;

use super::{Form, MethodContext, MethodInfo, MethodSpec, PreparedPrompt, Result};
use super::{completion, rag, summaries};
use crate::task::{Draft, Part, Stage};

/// Generates in a conversation whose past answers are the user's texts.
pub(super) const STAGE: Stage = Stage::new("scp", &[Part::Target, Part::Past]);
/// Stages of the forms of the prompt.
pub(super) const STAGES: &[Stage] = &[STAGE, rag::STAGE, completion::STAGE];

pub(super) static SCP: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "scp",
        about: "past texts as the assistant's answers",
        source: "arXiv 2509.20805",
        stages: STAGES,
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(ready(prepare(context))),
};

pub(super) fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;
    let mut turns = context.relevant(&history, context.options.n);
    let stage = match context.options.scp.form {
        Form::Conversation => STAGE,
        Form::Flat => rag::STAGE,
        Form::Completion => completion::STAGE,
    };
    // The most relevant text comes first in a flat prompt.
    if stage != rag::STAGE {
        turns.reverse();
    }

    let draft = Draft::new()
        .with_all(Part::Past, summaries::blocks(&turns))
        .with_all(Part::Target, context.target_block());
    Ok(PreparedPrompt::of(context, stage, draft, &turns))
}
