//! Scaling of the contrast with peers by how distinct the user is.

use crate::corpus::ReviewId;
use crate::methods::{Error, Material, Method, Options, Past, Result};
use crate::peers::{OnItem, Origin};
use crate::steering::Contrast;

use super::occasions::newest;

/// Maximum number of past texts that are compared with peers', the newest.
const MOST_TEXTS: usize = 24;

/// The configured contrast, with `b` of a contrast with peers scaled by the user's distinctness,
/// and the peer reviews used to estimate it. The distinctness is given by the options, or estimated
/// from the past texts and the representatives' on the same items.
pub(super) fn contrast(
    material: &Material<'_>,
    author: &str,
    history: &[Past],
    options: &Options,
) -> Result<(Contrast, Vec<ReviewId>)> {
    let Contrast::Peers(mut rule) = options.idiolect.contrast else {
        return Ok((options.idiolect.contrast, Vec::new()));
    };
    let mut items = Vec::new();
    let distinct = match options.idiolect.distinct {
        Some(given) => given,
        None => {
            let peers = material.peers.ok_or(Error::NoPeers { method: Method::Idiolect.name() })?;
            for (own, item) in newest(history, MOST_TEXTS) {
                let choice = peers.choose(&material.view, author, &item.id, &options.choice)?;
                let same_item = |origin: &Origin| *origin == Origin::SameItem;
                let others = choice.representatives.iter().filter(|one| same_item(&one.origin));
                let others = others.map(|one| one.review.id).collect();
                items.push(OnItem { own: own.id, others });
            }
            peers.distinctness(&material.view, &items)?
        }
    };
    rule.b *= distinct;
    let read = items.into_iter().flat_map(|item| item.others);
    Ok((Contrast::Peers(rule), read.collect()))
}
