//! Best-of-n selection: the best of several texts by their likelihood against the peers' prompts, or
//! by a trained reward head.

use super::RankedBy;
use crate::client::{CachedLm, OnText, ScoreCall, Usage};
use crate::methods::{Error, Generated, MethodInputs, MethodOptions, PreparedPrompt, Result};
use crate::task::Draft;

/// Generates `best_of` texts with consecutive seeds and returns the best by `by`: the one with the
/// greatest mean `ln pU − mean ln pP` per token, or with the greatest reward; of equals the first,
/// and by likelihood the first if there are no peers.
pub(crate) async fn write(
    prepared: PreparedPrompt,
    inputs: &MethodInputs<'_>,
    options: &MethodOptions,
    on_text: Option<OnText>,
) -> Result<Generated> {
    let calls = inputs.calls(options);
    let mut drafts = vec![generate(&prepared, inputs, options, 0).await?];
    // The cost of everything before the last call is counted once.
    let prepared = PreparedPrompt { usage: Usage::default(), ..prepared };
    for draw in 1..options.idiolect.best_of {
        drafts.push(generate(&prepared, inputs, options, draw).await?);
    }
    let values = match options.idiolect.by {
        RankedBy::Likelihood => {
            let mut margins = Vec::with_capacity(drafts.len());
            for draft in &drafts {
                margins.push(margin(&prepared, &calls, options, &draft.text).await?);
            }
            margins
        }
        RankedBy::Np => rewards(&prepared, inputs, options, &drafts)?,
    };
    let spent = drafts.iter().map(Generated::usage).fold(calls.usage(), |a, b| a + b);
    let best = first_of_the_greatest(&values);
    let best = drafts.swap_remove(best);
    if let Some(mut on_text) = on_text {
        on_text(&best.text);
    }
    Ok(best.costing(spent))
}

/// Index of the greatest value, of equals the first; 0 if there are none.
fn first_of_the_greatest(values: &[f64]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}

/// Rewards of the drafts for the user whose past texts the prompt has.
fn rewards(
    prepared: &PreparedPrompt,
    inputs: &MethodInputs<'_>,
    options: &MethodOptions,
    drafts: &[Generated],
) -> Result<Vec<f64>> {
    let none = Error::NoReward { method: prepared.method.name() };
    let reward = inputs.reward.ok_or(none)?;
    let view = match &prepared.target {
        Some(target) => options.seen(&inputs.view, target)?,
        None => inputs.view.clone(),
    };
    let texts: Vec<&str> = drafts.iter().map(|draft| draft.text.as_str()).collect();
    let rewards = reward.rewards(&view, &prepared.author, &texts).map_err(|source| {
        Error::Reward { user: prepared.author.clone(), n: texts.len(), source }
    })?;
    Ok(rewards.into_iter().map(f64::from).collect())
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
