//! Difference extraction along dimensions that the model proposes and then validates (DRP, arXiv
//! 2511.15389).

use super::{AnswerSettings, Compared, DRP_DIFFERENCE, DRP_VALIDATION, Difference, Result};
use crate::client::{CachedLm, LmAnswer, LmCall};
use crate::task::{Block, DifferenceFormat, Draft, Order, Part, Stage};
use idiolect_engine::lm::Sampling;

/// Extracts the difference on one item in two calls. The first call extracts it along the
/// standard's dimensions and any number of further dimensions of style and expression that the
/// model proposes, each with name, definition and difference. The second call gets the same texts
/// and the first answer, and keeps only the dimensions that truly separate the user. The paper's
/// extractor runs at temperature 0, as do the tasks here.
///
/// # Errors
/// As [`CachedLm::answer`].
pub async fn extract_validated(
    calls: &CachedLm<'_>,
    compared: &Compared,
    order: Order,
    settings: AnswerSettings,
) -> Result<Difference> {
    let AnswerSettings { seed, max_tokens } = settings;
    let reviews = compared.reviews();
    let ask = async |stage: Stage, draft: Draft| -> Result<LmAnswer> {
        let call = LmCall {
            stage,
            draft,
            sources: &reviews,
            sampling: Sampling { seed, ..calls.task().stage(stage)?.sampling.clone() },
            max_tokens,
            constraint: None,
            steered: None,
            on_text: None,
        };
        Ok(calls.answer(call).await?)
    };
    let draft = compared.draft(order, DifferenceFormat::Free);
    let open = ask(DRP_DIFFERENCE, draft.clone()).await?;
    let draft = draft.with(Part::Notes, Block::of_note(&open.text));
    let kept = ask(DRP_VALIDATION, draft).await?;
    let cut = [open.cut, kept.cut].concat();
    Ok(compared.difference(None, kept.text, cut, open.reused && kept.reused))
}
