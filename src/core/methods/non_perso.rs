//! Non-Perso: a prompt with the target's item, rating and title, and nothing of the user. The
//! baseline of DPL's table.

use super::{Method, Prepared};
use crate::corpus::Target;
use crate::task::{Block, Draft, Part, Stage};

pub(super) fn prepare(target: &Target) -> Prepared {
    let draft = Draft::new().with(Part::Target, Block::of_target(target));
    Prepared::of(Method::NonPerso, Stage::NonPerso, draft, &[])
}
