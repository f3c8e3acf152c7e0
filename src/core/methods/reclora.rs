//! `reclora`: products of low rank beside the language model's weights, mixed for the user out of a few that
//! all users share.
//!
//! Source: RecLoRA (arXiv 2408.03533, and the authors' program): a net maps what is known of a user to the
//! shares of K low-rank adapters (LoRA, arXiv 2106.09685) in every layer, for queries and values apart; the
//! factors are mixed first and multiplied then, so that a user costs one adapter. There the model predicts
//! clicks and the user's vector comes from a recommender. Here it writes, and the vector is the mean style
//! of the past texts. The crate `idiolect-train` trains it on other users' texts.
//!
//! The prompt is that of `non-perso`; with `past` that of `scp`.

use super::pplug::{self, adapted};
use super::{
    AdapterKind, MethodContext, MethodInfo, MethodSpec, PreparedPrompt, ProductMixture, Result,
};

pub(super) static RECLORA: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "reclora",
        about: "the item alone, by weights that are adapted to the user",
        source: "arXiv 2408.03533",
        stages: pplug::STAGES,
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(std::future::ready(prepare(context))),
};

fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let kind = match context.options.reclora.gate {
        ProductMixture::Own => AdapterKind::Reclora,
        ProductMixture::Uniform => AdapterKind::RecloraUniform,
    };
    adapted(context, kind, context.options.reclora.past)
}
