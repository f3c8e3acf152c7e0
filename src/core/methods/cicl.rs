//! CICL, contrastive in-context learning (Gao and Das, "Customizing language model responses with
//! contrastive in-context learning", AAAI 2024, arXiv 2401.17390).
//!
//! Each demonstration has a positive and a negative answer, and the model is asked to analyse what
//! separates them before it answers. As adapted in DPL's table, the positive answer is the user's
//! review, and the negative one is a representative's review of the same item, or the model's own
//! text if there is none (which the paper finds about as good). The last prompt shows the analysis
//! and the examples.

use super::negative_examples::NegativeExamples;
use super::{
    MethodContext, MethodInfo, MethodSpec, PastReview, PreparedPrompt, Result, ids, non_perso,
    summaries,
};
use crate::difference::Profile;
use crate::task::{Draft, Part, Stage};

/// Describes how a user's texts differ from others' on the same items.
const ANALYSIS: Stage = Stage::new("cicl-analysis", &[Part::Past]);
/// Generates from such pairs and their description.
const STAGE: Stage = Stage::new("cicl", &[Part::Target, Part::Past, Part::Notes]);

pub(super) static CICL: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "cicl",
        about: "past texts with others' on the same items, and an analysis",
        source: "arXiv 2401.17390",
        stages: &[non_perso::STAGE, ANALYSIS, STAGE],
        needs_history: true,
        needs_peers: |_| true,
        extracts_differences: false,
        own_unconditional: false,
    },
    prepare: |context| Box::pin(prepare(context)),
};

async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;
    let past = context.relevant(&history, context.options.n);

    // Pairs of the user's text and a negative example.
    let negative = NegativeExamples::of(context, &past).await?;
    let analysis = analysis(context, &past, &negative).await?;
    let pairs = negative.blocks(&past);
    let prepared = summaries::prompt_with_notes(context, STAGE, &past, pairs, analysis);
    Ok(prepared.with_negative_examples(negative.reviews, negative.cut))
}

/// Analysis of what separates the texts from their negative examples.
async fn analysis(
    context: &MethodContext<'_>,
    past: &[PastReview],
    negative: &NegativeExamples,
) -> Result<Option<Profile>> {
    if past.is_empty() {
        return Ok(None);
    }
    let draft = Draft::new().with_all(Part::Past, negative.blocks(past));
    let shown = [ids(past), negative.reviews.clone()].concat();
    let answer = context.ask(ANALYSIS, draft, &shown).await?;
    Ok(Some(Profile::of_answers(context.author, vec![answer], shown)))
}
