//! SCP, conversational prompting (arXiv 2509.20805): each past text is an answer that the assistant
//! has given, and the target is what the user asks for next.
//!
//! The paper leaves the order of the turns open. Here the least relevant comes first and the most
//! relevant last, next to the target, where small models look most.

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
    let history = material.some_history(&target.user, Method::Scp)?;
    let mut turns = most_relevant(material.task, target, &history, options.n);
    turns.reverse();

    let calls = material.calls(options);
    let draft = Draft::new()
        .with_all(Part::Past, turns.iter().map(|(review, item)| Block::of_review(review, item)))
        .with(Part::Target, Block::of_target(target));
    let answer =
        write_text(material, &calls, Stage::Scp, draft, &ids(&turns), options, on_text).await?;
    Ok(Written::new(Method::Scp, answer, &calls, &turns))
}
