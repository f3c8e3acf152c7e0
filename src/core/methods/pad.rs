//! `pad`: the prompt of `scp`, with a trained reward of tokens while the text is written.
//!
//! Source: PAD, personalized alignment at decoding time (arXiv 2410.04070, and the authors' program): a
//! frozen language model whose last hidden state passes a trained map before the output head rewards the
//! likeliest tokens of the base model. Here both are the same model and the map has a low rank, so no
//! second model runs. What is preferred is shown by the user's past texts, not told, and the map may be
//! gated by what the reward head `np` knows of the user. The crate `idiolect-train` trains it on other
//! users' pairs of an own text and a peer's as long.
//!
//! At weight 0 nothing is applied: the text is that of `scp`, byte for byte.

use super::Result;
use super::scp;
use super::{Error, History, MethodContext, MethodInfo, MethodSpec, PadOptions, PreparedPrompt};
use crate::client::Steered;
use crate::steering::{RewardWeight, Steering};

pub(super) static PAD: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "pad",
        about: "as scp, with a trained reward of tokens",
        source: "arXiv 2410.04070",
        stages: scp::STAGES,
        needs_history: true,
        needs_peers: |_| false,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(std::future::ready(prepare(context))),
};

fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let prepared = scp::prepare(context)?;
    let PadOptions { weight, k, outside } = context.options.pad;
    if weight == 0.0 || context.options.history == History::None {
        return Ok(prepared);
    }
    let none = || Error::NoTokenReward { method: context.method.name() };
    let trained = context.reward.ok_or_else(none)?;
    let user = context.author;
    let reward = trained
        .token_reward(&context.view, user)
        .map_err(|source| Error::Reward { user: user.to_owned(), n: 1, source })?
        .ok_or_else(none)?;
    let settings = RewardWeight { weight, k, outside: Some(outside) };
    let steering = Steering { reward: Some((settings, reward)), ..Steering::default() };
    // The gate is made from the visible texts.
    let known = context.view.history(user)?.into_iter().map(|stored| stored.id);
    let known: Vec<_> = known.collect();
    Ok(prepared.steered_by(Steered { steering, ..Steered::default() }, known))
}
