//! Scaling of the contrast with peers by how distinct the user is.

use super::leave_one_out::newest;
use crate::corpus::ReviewId;
use crate::methods::retrieval::newest_of_each_item;
use crate::methods::{MethodContext, PastReview, Result};
use crate::peers::{OnItem, Origin};
use crate::steering::Contrast;

/// Maximum number of past texts that are compared with peers', the newest.
const MAX_TEXTS: usize = 24;

/// The configured contrast, with `b` of a contrast with peers scaled by the user's distinctness,
/// and the peer reviews used to estimate it. The distinctness is given by the options, or estimated
/// from the past texts and the representatives' on the same items, one text per item: a text is told
/// apart by texts on other items.
pub(super) fn scaled_contrast(
    context: &MethodContext<'_>,
    history: &[PastReview],
) -> Result<(Contrast, Vec<ReviewId>)> {
    let settings = &context.options.idiolect;
    let Contrast::Peers(mut rule) = settings.contrast else {
        return Ok((settings.contrast, Vec::new()));
    };
    let mut items = Vec::new();
    let distinct = match settings.distinct {
        Some(given) => given,
        None => {
            let (peers, choice) = (context.peers()?, &context.options.choice());
            for (own, _) in newest(&newest_of_each_item(history), MAX_TEXTS) {
                let chosen = peers.choose_for(&context.view, &own, choice)?;
                let others = chosen.representatives.iter();
                let others = others.filter(|one| one.origin == Origin::SameItem);
                let others = others.map(|one| one.review.id).collect();
                items.push(OnItem { own: own.id, others });
            }
            peers.distinctness(&context.view, &items)?
        }
    };
    rule.b *= distinct;
    let read = items.into_iter().flat_map(|item| item.others);
    Ok((Contrast::Peers(rule), read.collect()))
}
