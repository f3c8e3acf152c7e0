//! IntSum: retrieval together with a summary of everything the user wrote (Richardson et al.,
//! "Integrating summarization and retrieval for enhanced personalization via large language
//! models", arXiv 2310.20081).
//!
//! The summary is made from the whole history, newest text first. It does not depend on the target
//! and is stored, so it is made once per user. If the history exceeds the window, the oldest texts
//! are left out. The last prompt is DPL's, so that DPL adds only the differences.

use super::retrieval::most_recent;
use super::summaries::{GENERATION, prompt_with_profile, summary};
use super::{MethodContext, MethodInfo, MethodSpec, PreparedPrompt, Result};
use crate::task::{Part, Stage};

/// Summarizes all past texts of a user.
pub(super) const SUMMARY: Stage = Stage::new("intsum-summary", &[Part::Past]);

pub(super) static INTSUM: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "intsum",
        about: "past texts and a summary of all of them",
        source: "arXiv 2310.20081",
        stages: &[SUMMARY, GENERATION],
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: false,
    },
    prepare: |context| Box::pin(prepare(context)),
};

async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;

    // Offline: the summary.
    let summary = summary(context, SUMMARY, &most_recent(&history, usize::MAX)).await?;

    // At run time: the relevant texts, the summary, the request.
    let past = context.relevant(&history, context.options.n);
    Ok(prompt_with_profile(context, &past, summary))
}
