//! The reward head by which drafts are ranked, if the settings ask for one.

use anyhow::bail;
use idiolect::corpus::{ReviewId, Store};
use idiolect::methods::MethodOptions;
use idiolect::train::np::NpHead;

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
