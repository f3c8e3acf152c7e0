//! RAG: the user's N most relevant past texts in one prompt. The bar that every method must clear.

use super::select::most_relevant;
use super::{Material, Method, Options, Result, Written, ids, write_text};
use crate::corpus::Target;
use crate::difference::OnText;
use crate::task::{Block, Draft, Part, Stage};

pub(super) async fn write(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
    on_text: Option<OnText>,
) -> Result<Written> {
    let history = material.some_history(&target.user, Method::Rag)?;
    let past = most_relevant(material.task, target, &history, options.n);

    let calls = material.calls(options);
    let draft = Draft::new()
        .with(Part::Target, Block::of_target(target))
        .with_all(Part::Past, past.iter().map(|(review, item)| Block::of_review(review, item)));
    let answer =
        write_text(material, &calls, Stage::Rag, draft, &ids(&past), options, on_text).await?;
    Ok(Written::new(Method::Rag, answer, &calls, &past))
}
