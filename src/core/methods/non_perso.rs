//! Non-Perso: a prompt with the target's item, rating and title, and nothing of the user. The
//! baseline of DPL's table.

use std::future::ready;

use super::{MethodContext, MethodInfo, MethodSpec, PreparedPrompt};
use crate::task::{Draft, Part, Stage};

/// Generates from the target alone.
pub(super) const STAGE: Stage = Stage::new("non-perso", &[Part::Target]);

pub(super) static NON_PERSO: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "non-perso",
        about: "the item alone",
        source: "",
        stages: &[STAGE],
        needs_history: false,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(ready(Ok(prepare(context)))),
};

pub(super) fn prepare(context: &MethodContext<'_>) -> PreparedPrompt {
    let draft = Draft::new().with_all(Part::Target, context.target_block());
    PreparedPrompt::of(context, STAGE, draft, &[])
}
