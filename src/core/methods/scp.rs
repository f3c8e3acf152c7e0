//! SCP, conversational prompting (arXiv 2509.20805): each past text is an answer that the assistant
//! has given, and the target is what the user asks for next.
//!
//! The paper leaves the order of the turns open. Here the least relevant text comes first and the
//! most relevant last, next to the target, where small models pay most attention.

use super::select::most_relevant;
use super::{Material, Method, Options, Prepared, Result};
use crate::corpus::Target;
use crate::task::{Block, Draft, Part, Stage};

pub(super) fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let history = material.past(target, options, Method::Scp)?;
    let mut turns = most_relevant(material.task, target, &history, options.n);
    turns.reverse();

    let draft = Draft::new()
        .with_all(Part::Past, turns.iter().map(|(review, item)| Block::of_review(review, item)))
        .with(Part::Target, Block::of_target(target));
    Ok(Prepared::of(Method::Scp, Stage::Scp, draft, &turns))
}
