//! Non-Perso: the target item, rating and title, and nobody's voice. The baseline of DPL's table.

use super::{Material, Method, Options, Result, Written, write_text};
use crate::corpus::Target;
use crate::difference::OnText;
use crate::task::{Block, Draft, Part, Stage};

pub(super) async fn write(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
    on_text: Option<OnText>,
) -> Result<Written> {
    let calls = material.calls(options);
    let draft = Draft::new().with(Part::Target, Block::of_target(target));
    let answer =
        write_text(material, &calls, Stage::NonPerso, draft, &[], options, on_text).await?;
    Ok(Written::new(Method::NonPerso, answer, &calls, &[]))
}
