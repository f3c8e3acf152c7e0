//! The reward head by which drafts are ranked, if the settings ask for one.

use anyhow::bail;
use idiolect::corpus::{ReviewId, Store};
use idiolect::lm::Lm;
use idiolect::methods::{Method, MethodOptions};
use idiolect::train::np::NpHead;
use idiolect::train::pad::{PadHead, PadReward};

/// The newest heads of the store that the methods and settings need, of those that saw none of the texts
/// `unseen`; `None` if they need nothing. `lm` is the language model, if it runs in this process.
pub(crate) fn trained(
    store: &Store,
    methods: &[Method],
    options: &MethodOptions,
    unseen: &[ReviewId],
    lm: Option<&Lm>,
) -> anyhow::Result<Option<PadReward>> {
    let np = head(store, options, unseen)?;
    if !methods.contains(&Method::PAD) || options.pad.weight == 0.0 {
        return Ok(np.map(|np| PadReward::new(Some(np), None)).transpose()?);
    }
    let Some(lm) = lm else {
        bail!(
            "method `pad` needs a language model in this process; take a name or a path for --lm"
        );
    };
    match PadHead::newest(store, lm.fingerprint(), unseen)? {
        Some(pad) => Ok(Some(PadReward::new(np, Some((pad, &lm.output_head()?)))?)),
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
