//! `interact`: `idiolect` on the clock of a conversation.
//!
//! Source: ALOE (arXiv 2410.03642), in which a model infers who it talks with from the turns so far and
//! aligns its next reply with that. Here nothing is trained and nothing is inferred by a language
//! model: every turn of the user is a text of theirs, and the prompt, the counts of words and phrases,
//! the measured statements (`--statements measured`) and the pairs of the reward head (`--by np`) are
//! made anew from all turns so far. Unlike `idiolect` it begins with nothing: before the first turn the
//! prompt has no past texts.

use super::idiolect;
use super::{Error, MethodContext, MethodInfo, MethodSpec, PreparedPrompt, Result};

pub(super) static INTERACT: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "interact",
        about: "as idiolect, from the first turn of a conversation on",
        source: "arXiv 2410.03642",
        needs_history: false,
        ..idiolect::INFO
    },
    prepare: |context| Box::pin(prepare(context)),
};

async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    match context.history() {
        Err(Error::NoHistory { .. }) => Ok(idiolect::without_past_texts(context)),
        Err(error) => Err(error),
        Ok(_) => idiolect::prepare(context).await,
    }
}
