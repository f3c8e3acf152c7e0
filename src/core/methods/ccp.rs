//! CCP, contrastive conversational prompting (arXiv 2509.20805): SCP in which the assistant first
//! gives a wrong text, which is rejected, before each real one.
//!
//! The wrong text is a representative's review of the same item, or the model's own text if there
//! is none. Order and target are as in SCP.

use super::negative_examples::NegativeExamples;
use super::{MethodContext, MethodInfo, MethodSpec, PreparedPrompt, Result, non_perso};
use crate::task::{Draft, Part, Stage};

/// Generates in a conversation as SCP does, in which a rejected negative example precedes each past
/// answer.
const STAGE: Stage = Stage::new("ccp", &[Part::Target, Part::Past]);

pub(super) static CCP: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "ccp",
        about: "as scp, with a rejected wrong answer before each",
        source: "arXiv 2509.20805",
        stages: &[non_perso::STAGE, STAGE],
        needs_history: true,
        needs_peers: |_| true,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(prepare(context)),
};

async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;
    let mut turns = context.relevant(&history, context.options.n);
    turns.reverse();

    let wrong = NegativeExamples::of(context, &turns).await?;
    let draft = Draft::new()
        .with_all(Part::Past, wrong.blocks(&turns))
        .with_all(Part::Target, context.target_block());
    Ok(PreparedPrompt::of(context, STAGE, draft, &turns)
        .with_negative_examples(wrong.reviews, wrong.cut))
}
