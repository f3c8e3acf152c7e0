//! Best-of-n selection: the text whose probability under the user's prompt exceeds that under the
//! peers' prompts the most.

use crate::client::{OnText, ScoreCall, Usage};
use crate::methods::{Error, Material, Options, Prepared, Result, Written};
use crate::task::Draft;

/// Generates `best_of` texts with consecutive seeds and returns the one with the greatest mean
/// `ln pU − mean ln pP` per token; of equals the first, and the first if there are no peers.
pub(crate) async fn write(
    prepared: Prepared,
    material: &Material<'_>,
    options: &Options,
    on_text: Option<OnText>,
) -> Result<Written> {
    let calls = material.calls(options);
    let mut best: Option<(f64, Written)> = None;
    let mut spent = Usage::default();
    for draw in 0..options.idiolect.best_of.max(1) {
        let mut one = options.clone();
        one.idiolect.best_of = 1;
        one.seed = options.seed.wrapping_add(draw as u64);
        // The cost of everything before the last call is counted once.
        let this = match draw {
            0 => prepared.clone(),
            _ => Prepared { usage: Usage::default(), ..prepared.clone() },
        };
        let written = Box::pin(this.write(material, &one, None)).await?;
        spent = spent + written.usage();
        let bits = async |draft: &Draft| -> Result<f64> {
            let call = ScoreCall {
                stage: prepared.stage,
                draft: draft.clone(),
                sources: &prepared.sources,
                text: &written.text,
                limit: options.score_limit,
                max_tokens: options.max_tokens,
            };
            Ok(calls.score(call).await?.bits_per_token().unwrap_or(0.0))
        };
        let peers = prepared.steered.iter().flat_map(|steered| &steered.contrast.peers);
        let (mut of_peers, mut n_peers) = (0.0, 0.0);
        for draft in peers {
            of_peers += bits(draft).await?;
            n_peers += 1.0;
        }
        let margin = match n_peers > 0.0 {
            true => of_peers / n_peers - bits(&prepared.draft).await?,
            false => 0.0,
        };
        if best.as_ref().is_none_or(|(most, _)| margin > *most) {
            best = Some((margin, written));
        }
    }
    let (_, written) = best.ok_or(Error::Stopped)?;
    if let Some(mut on_text) = on_text {
        on_text(&written.text);
    }
    Ok(written.costing(spent + calls.usage()))
}
