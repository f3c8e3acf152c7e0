//! Best-of-n selection: the text whose probability under the user's prompt exceeds that under the
//! peers' prompts the most.

use crate::client::{CachedLm, OnText, ScoreCall, Usage};
use crate::methods::{Generated, MethodInputs, MethodOptions, PreparedPrompt, Result};
use crate::task::Draft;

/// Generates `best_of` texts with consecutive seeds and returns the one with the greatest mean
/// `ln pU − mean ln pP` per token; of equals the first, and the first if there are no peers.
pub(crate) async fn write(
    prepared: PreparedPrompt,
    inputs: &MethodInputs<'_>,
    options: &MethodOptions,
    on_text: Option<OnText>,
) -> Result<Generated> {
    let calls = inputs.calls(options);
    let mut best = generate(&prepared, inputs, options, 0).await?;
    let mut spent = best.usage();
    let mut most = margin(&prepared, &calls, options, &best.text).await?;
    // The cost of everything before the last call is counted once.
    let prepared = PreparedPrompt { usage: Usage::default(), ..prepared };
    for draw in 1..options.idiolect.best_of {
        let other = generate(&prepared, inputs, options, draw).await?;
        spent = spent + other.usage();
        let margin = margin(&prepared, &calls, options, &other.text).await?;
        if margin > most {
            (best, most) = (other, margin);
        }
    }
    if let Some(mut on_text) = on_text {
        on_text(&best.text);
    }
    Ok(best.costing(spent + calls.usage()))
}

/// Generates one text with the seed that is `draw` after the options' one.
async fn generate(
    prepared: &PreparedPrompt,
    inputs: &MethodInputs<'_>,
    options: &MethodOptions,
    draw: usize,
) -> Result<Generated> {
    let mut options = options.clone();
    options.idiolect.best_of = 1;
    options.seed = options.seed.wrapping_add(draw as u64);
    Box::pin(prepared.clone().write_one(inputs, &options, None, None)).await
}

/// Mean bits per token under the peers' prompts minus those under the user's; 0 without peers.
async fn margin(
    prepared: &PreparedPrompt,
    calls: &CachedLm<'_>,
    options: &MethodOptions,
    text: &str,
) -> Result<f64> {
    let bits = async |draft: &Draft| -> Result<f64> {
        let call = ScoreCall {
            stage: prepared.stage,
            draft: draft.clone(),
            sources: &prepared.sources,
            text,
            limit: options.score_limit,
            max_tokens: options.max_tokens,
            top: 0,
        };
        Ok(calls.score(call).await?.bits_per_token().unwrap_or(0.0))
    };
    let peers = prepared.steered.iter().flat_map(|steered| &steered.contrast.peers);
    let (mut of_peers, mut n_peers) = (0.0, 0.0);
    for draft in peers {
        of_peers += bits(draft).await?;
        n_peers += 1.0;
    }
    match n_peers > 0.0 {
        true => Ok(of_peers / n_peers - bits(&prepared.draft).await?),
        false => Ok(0.0),
    }
}
