//! RAG: the user's N most relevant past texts in one prompt. The baseline that every method must
//! beat.

use std::future::ready;

use super::{MethodContext, MethodInfo, MethodSpec, PreparedPrompt, Result, summaries};
use crate::task::{Draft, Part, Stage};

/// Generates from past texts in one prompt.
pub(super) const STAGE: Stage = Stage::new("rag", &[Part::Target, Part::Past]);

pub(super) static RAG: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "rag",
        about: "past texts in one prompt",
        source: "",
        stages: &[STAGE],
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(ready(prepare(context))),
};

fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;
    let past = context.relevant(&history, context.options.n);

    let draft = Draft::new()
        .with_all(Part::Target, context.target_block())
        .with_all(Part::Past, summaries::blocks(&past));
    Ok(PreparedPrompt::of(context, STAGE, draft, &past))
}
