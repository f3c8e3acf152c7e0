//! Prompts of completions, and the log-probabilities of their tokens.

use std::sync::Arc;

use futures::future::try_join_all;
use idiolect_engine::lm::{Prompt, ScoreRequest, TextToScore, TokenLogprob};
use serde_json::Value;

use crate::ServedModels;
use crate::app::App;
use crate::error::ApiError;
use crate::fields::is_id;
use crate::plain;
use crate::run::within;

/// Maximum number of prompts of a request.
const MAX_PROMPTS: usize = 64;

/// A prompt as a completion shows it.
#[derive(Debug, Clone)]
pub(crate) struct ShownPrompt {
    /// Token ids, at least one.
    pub(crate) ids: Vec<u32>,
    /// Its text.
    pub(crate) text: String,
    /// Number of first tokens without a score, at least one.
    pub(crate) n_unscored: usize,
    /// Scores of all other tokens, if they were asked for.
    pub(crate) scores: Vec<TokenLogprob>,
}

/// A prompt of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GivenPrompt {
    Text(String),
    Ids(Vec<u32>),
}

/// Reads the field `prompt`: a text, texts, ids, or lists of ids.
///
/// # Errors
/// 400 if it is empty, mixed, or too long.
pub(crate) fn given_prompts(value: &Value) -> Result<Vec<GivenPrompt>, ApiError> {
    let wrong = |what: &str| ApiError::field("prompt", format!("`prompt` {what}"));
    let list = match value {
        Value::String(text) => return Ok(vec![GivenPrompt::Text(text.clone())]),
        Value::Array(list) => list,
        _ => return Err(wrong("is no text and no list")),
    };
    if list.is_empty() {
        return Err(wrong("is an empty list"));
    }
    if list.iter().all(is_id) {
        return Ok(vec![GivenPrompt::Ids(ids(list))]);
    }
    if list.len() > MAX_PROMPTS {
        return Err(wrong("has more than 64 prompts"));
    }
    let prompts = list.iter().map(|prompt| match prompt {
        Value::String(text) => Ok(GivenPrompt::Text(text.clone())),
        Value::Array(list) if !list.is_empty() && list.iter().all(is_id) => {
            Ok(GivenPrompt::Ids(ids(list)))
        }
        _ => Err(wrong("is none of: a text, texts, token ids, lists of token ids")),
    });
    let prompts: Vec<GivenPrompt> = prompts.collect::<Result<_, _>>()?;
    let n_texts = prompts.iter().filter(|prompt| matches!(prompt, GivenPrompt::Text(_))).count();
    match n_texts == 0 || n_texts == prompts.len() {
        true => Ok(prompts),
        false => Err(wrong("mixes texts and token ids")),
    }
}

fn ids(list: &[Value]) -> Vec<u32> {
    list.iter().filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok()).collect()
}

/// The prompt with its ids and its text.
///
/// # Errors
/// 400 if an id is not in the vocabulary, or the prompt is empty and the model has no token to begin
/// with.
pub(crate) fn shown(models: &ServedModels, given: GivenPrompt) -> Result<ShownPrompt, ApiError> {
    let (prompt, text) = match given {
        GivenPrompt::Text(text) => (Prompt::Text(text.clone()), Some(text)),
        GivenPrompt::Ids(ids) => (Prompt::Tokens(ids), None),
    };
    let ids = plain::prompt_ids(models, &prompt)?;
    let text = match text {
        Some(text) => text,
        None => {
            let decoded = models.lm.tokenizer().decode(&ids);
            decoded.map_err(|error| ApiError::internal("decode the prompt", &error))?
        }
    };
    Ok(ShownPrompt { ids, text, n_unscored: 1, scores: Vec::new() })
}

/// Scores every token of each prompt but its first ones given those before it, with `n_top` likeliest
/// tokens: the engine's scores, those of `idiolect lm score`. What the memo of scores knows is not
/// computed again; it holds scores from the second token on.
///
/// # Errors
/// 400 if a prompt does not fit the window; 503 after the server's timeout.
pub(crate) async fn score(
    app: &Arc<App>,
    prompts: &mut [ShownPrompt],
    n_top: usize,
) -> Result<(), ApiError> {
    let lm = &app.models()?.lm;
    let asked = prompts.iter().map(|prompt| {
        // Scores after a shorter prompt are those of this text only if it does not matter where the
        // prompt ends.
        let mut scores = match lm.separates_prompts() || prompt.n_unscored > 1 {
            true => Vec::new(),
            false => app.scores.known(&prompt.ids, n_top),
        };
        let (known, others) = prompt.ids.split_at(scores.len() + prompt.n_unscored);
        let request = ScoreRequest {
            top: Some(n_top),
            ..ScoreRequest::new(
                Prompt::Tokens(known.to_vec()),
                TextToScore::Tokens(others.to_vec()),
            )
        };
        async {
            let others = lm.score(request).await.map_err(|error| ApiError::of_lm(&error))?;
            scores.extend(others.into_iter().next().unwrap_or_default().details);
            Ok(scores)
        }
    });
    let scores: Vec<Vec<TokenLogprob>> = within(app, try_join_all(asked)).await?;
    for (prompt, scores) in prompts.iter_mut().zip(scores) {
        if prompt.n_unscored == 1 {
            app.scores.put(&prompt.ids, n_top, &scores);
        }
        prompt.scores = scores;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn prompts_of_all_four_forms_are_read() {
        let text = |text: &str| GivenPrompt::Text(text.to_owned());
        let cases = [
            (json!("a"), vec![text("a")]),
            (json!(["a", ""]), vec![text("a"), text("")]),
            (json!([1, 2]), vec![GivenPrompt::Ids(vec![1, 2])]),
            (json!([[1], [2, 3]]), vec![GivenPrompt::Ids(vec![1]), GivenPrompt::Ids(vec![2, 3])]),
        ];
        for (value, want) in cases {
            assert_eq!(given_prompts(&value).unwrap(), want, "{value}");
        }
        let many = json!(vec!["a"; 65]);
        for wrong in [json!([]), json!([[]]), json!(["a", [1]]), json!([-1]), json!([1.5]), many] {
            assert!(given_prompts(&wrong).is_err(), "{wrong}");
        }
    }
}
