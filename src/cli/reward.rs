//! Trained heads and adapters, as far as methods and settings need them.

use std::sync::Arc;

use anyhow::bail;
use idiolect::corpus::{ReviewId, Store};
use idiolect::lm::Lm;
use idiolect::methods::{Method, MethodOptions};
use idiolect::train::TrainedParts;
use idiolect::train::np::NpHead;
use idiolect::train::pad::PadHead;

use super::context::Context;

/// The newest heads and adapters of the store that the methods and settings need, of those that saw none of the
/// texts `unseen`; `None` if they need nothing. `lm` is the language model, if it runs in this process.
pub(crate) fn trained(
    (store, context): (&Store, &Context),
    methods: &[Method],
    options: &MethodOptions,
    unseen: &[ReviewId],
    lm: Option<&Lm>,
) -> anyhow::Result<Option<TrainedParts>> {
    let mut parts = heads(store, methods, options, unseen, lm)?;
    let with_adapter = [Method::PPLUG, Method::RECLORA];
    let Some(first) = with_adapter.iter().find(|method| methods.contains(method)) else {
        return Ok(parts);
    };
    let Some(lm) = lm else {
        bail!(
            "method `{}` needs a language model in this process; take a name or a path for --lm",
            first.name()
        );
    };
    for (method, found) in TrainedParts::newest_adapters(store, methods, lm.fingerprint(), unseen)?
    {
        let name = method.name();
        let Some(adapter) = found else {
            match unseen.is_empty() {
                true => bail!(
                    "method `{name}`: the store has no adapter for this language model; run `idiolect train \
                     {name}` first"
                ),
                false => bail!(
                    "method `{name}`: the store has no adapter for this language model that saw none of the \
                     evaluated users; run `idiolect train {name} --without-split NAME` with the name of the \
                     split first"
                ),
            }
        };
        let encoder = match adapter.needs_encoder() {
            true => Some(Arc::new(context.encoder()?)),
            false => None,
        };
        parts = Some(parts.unwrap_or_default().with_adapter(adapter, encoder)?);
    }
    Ok(parts)
}

/// As [`trained`], for the reward heads.
fn heads(
    store: &Store,
    methods: &[Method],
    options: &MethodOptions,
    unseen: &[ReviewId],
    lm: Option<&Lm>,
) -> anyhow::Result<Option<TrainedParts>> {
    let np = head(store, options, unseen)?;
    if !methods.contains(&Method::PAD) || options.pad.weight == 0.0 {
        return Ok(np.map(|np| TrainedParts::new(Some(np), None)).transpose()?);
    }
    let Some(lm) = lm else {
        bail!(
            "method `pad` needs a language model in this process; take a name or a path for --lm"
        );
    };
    match PadHead::newest(store, lm.fingerprint(), unseen)? {
        Some(pad) => Ok(Some(TrainedParts::new(np, Some((pad, &lm.output_head()?)))?)),
        None if unseen.is_empty() => {
            bail!(
                "method `pad`: the store has no token reward for this language model; run `idiolect train \
                 pad` first"
            )
        }
        None => bail!(
            "method `pad`: the store has no token reward for this language model that saw none of the \
             evaluated users; run `idiolect train pad --without-split NAME` with the name of the split first"
        ),
    }
}

/// The newest head of the store that saw none of the texts `unseen`; `None` if the settings rank by
/// likelihood.
pub(crate) fn head(
    store: &Store,
    options: &MethodOptions,
    unseen: &[ReviewId],
) -> anyhow::Result<Option<NpHead>> {
    if !options.idiolect.ranks_by_np() {
        return Ok(None);
    }
    match NpHead::newest(store, unseen)? {
        Some(head) => Ok(Some(head)),
        None if unseen.is_empty() => {
            bail!("--by np: the store has no trained reward head; run `idiolect train np` first")
        }
        None => bail!(
            "--by np: the store has no reward head that saw none of the evaluated users; run `idiolect \
             train np --without-split NAME` with the name of the split first"
        ),
    }
}
