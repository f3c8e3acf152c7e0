//! HyPerAlign (arXiv 2505.00038): hypotheses about a writer, then a text that keeps to them.
//!
//! The model infers hypotheses about communication strategy, personality and writing style from a
//! few texts of the user; the last prompt shows them with those texts. The few texts are the N that
//! every other method gets.

use super::{MethodContext, MethodInfo, MethodSpec, PreparedPrompt, Result, summaries};
use crate::task::{Part, Stage};

/// Infers hypotheses about a writer from few texts.
const HYPOTHESES: Stage = Stage::new("hyperalign-hypotheses", &[Part::Past]);
/// Generates from the hypotheses and the texts.
const STAGE: Stage = Stage::new("hyperalign", &[Part::Target, Part::Past, Part::Notes]);

pub(super) static HYPERALIGN: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "hyperalign",
        about: "past texts and hypotheses about the writer",
        source: "arXiv 2505.00038",
        stages: &[HYPOTHESES, STAGE],
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: false,
    },
    prepare: |context| Box::pin(prepare(context)),
};

async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;
    let past = context.relevant(&history, context.options.n);

    let hypotheses = summaries::summary(context, HYPOTHESES, &past).await?;
    let blocks = summaries::blocks(&past);
    Ok(summaries::prompt_with_notes(context, STAGE, &past, blocks, hypotheses))
}
