//! CCP, contrastive conversational prompting (arXiv 2509.20805): SCP in which the assistant first
//! gives a wrong text, which is rejected, before each real one.
//!
//! The wrong text is a representative's review of the same item, or the model's own text if there
//! is none. Order and target are as in SCP.

use super::contrast::contrasts;
use super::select::most_relevant;
use super::{Material, Method, Options, Prepared, Result};
use crate::corpus::Target;
use crate::task::{Block, Draft, Part, Stage};

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let history = material.past(target, options, Method::Ccp)?;
    let mut turns = most_relevant(material.task, target, &history, options.n);
    turns.reverse();

    let calls = material.calls(options);
    let wrong = contrasts(material, &calls, Method::Ccp, &turns, options).await?;
    let draft = Draft::new()
        .with_all(Part::Past, wrong.blocks(&turns))
        .with(Part::Target, Block::of_target(target));
    let prepared = Prepared::of(Method::Ccp, Stage::Ccp, draft, &turns);
    Ok(prepared.after(None, calls.usage()).with_contrasts(wrong))
}
