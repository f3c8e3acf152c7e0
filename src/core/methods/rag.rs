//! RAG: the user's N most relevant past texts in one prompt. The baseline that every method must
//! beat.

use super::select::most_relevant;
use super::{Material, Method, Options, Prepared, Result};
use crate::corpus::Target;
use crate::task::{Block, Draft, Part, Stage};

pub(super) fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let history = material.past(target, options, Method::Rag)?;
    let past = most_relevant(material.task, target, &history, options.n);

    let draft = Draft::new()
        .with(Part::Target, Block::of_target(target))
        .with_all(Part::Past, past.iter().map(|(review, item)| Block::of_review(review, item)));
    Ok(Prepared::of(Method::Rag, Stage::Rag, draft, &past))
}
