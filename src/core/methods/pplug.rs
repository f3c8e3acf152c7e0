//! `pplug`: soft tokens that a trained net makes of a user's past texts stand before the prompt.
//!
//! Source: Persona-Plug (arXiv 2409.11901, and the authors' program): each past text's vector passes a
//! net, their mean, weighted by how near each text is to the request, is the user's token, and a learnt
//! token stands before it; the language model is frozen. Beyond it, a user's tokens may be several, and the
//! vectors hold measured style beside the embedding. The crate `idiolect-train` trains it on other users'
//! texts.
//!
//! The prompt is that of `non-perso`, some five tokens longer; with `past` that of `scp`.

use crate::task::Stage;

use super::{
    AdapterKind, Error, History, MethodContext, MethodInfo, MethodSpec, PreparedPrompt, Result,
    completion, non_perso, rag, scp,
};

/// Stages of the forms of the prompt.
pub(super) const STAGES: &[Stage] = &[scp::STAGE, rag::STAGE, completion::STAGE, non_perso::STAGE];

pub(super) static PPLUG: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "pplug",
        about: "the item alone, after trained tokens of the user",
        source: "arXiv 2409.11901",
        stages: STAGES,
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(std::future::ready(prepare(context))),
};

fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    adapted(context, AdapterKind::Pplug, context.options.pplug.past)
}

/// The prompt of `scp` if past texts are to be shown, else of `non-perso`, with the user's adapter.
pub(super) fn adapted(
    context: &MethodContext<'_>,
    kind: AdapterKind,
    past: bool,
) -> Result<PreparedPrompt> {
    let prepared = match past {
        true => scp::prepare(context)?,
        false => non_perso::prepare(context),
    };
    if context.options.history == History::None {
        return Ok(prepared);
    }
    let known = context.author_history()?;
    let none = || Error::NoAdapter { method: context.method.name() };
    let trained = context.reward.ok_or_else(none)?;
    let user = context.author;
    let adapter = trained
        .adapter(kind, &context.view, user, context.target)
        .map_err(|source| Error::Reward { user: user.to_owned(), n: 1, source })?
        .ok_or_else(none)?;
    Ok(prepared.adapted_by(adapter, known.into_iter().map(|(stored, _)| stored.id)))
}
