//! How often the user's texts have each token, and how often the model expected it while it read them.
//!
//! The newest texts are read as they stand in prompts of the method: each after those before it, up to
//! `n` texts a prompt. So what the model learns from a prompt is expected, and only what it does not
//! learn counts.

use serde::{Deserialize, Serialize};

use super::Texts;
use super::example_selection::ExampleSelection;
use crate::client::{CachePolicy, ExpectedText, ScoreCall};
use crate::corpus::{Key, ReviewId};
use crate::methods::{MethodContext, PastReview, Result};
use crate::steering::ExpectedCounts;

/// Kind under which counts are stored.
const KIND: &str = "expected-words";
/// Maximum number of prompts whose texts are read.
const MAX_PROMPTS: usize = 2;
/// Number of tokens of each text that count.
const TOKENS: usize = 256;

/// Counts of the texts of a user that were read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ReadTexts(Vec<(ReviewId, ExpectedText)>);

impl ReadTexts {
    /// Sums over all texts but one.
    pub(super) fn without(&self, left_out: Option<ReviewId>) -> Reading {
        let mut sum = Reading::default();
        let kept = self.0.iter().filter(|(id, _)| Some(*id) != left_out);
        kept.for_each(|(_, text)| {
            sum.words.add(&text.words);
            sum.ends += f64::from(text.ends);
            sum.tokens += text.words.total();
        });
        sum
    }

    /// Number of tokens of the prompts and texts, those of a conversation once.
    pub(super) fn tokens_read(&self) -> usize {
        let of = |text: &ExpectedText| text.prompt_tokens + text.tokens;
        let next = self.0.iter().skip(1).map(Some).chain([None]);
        // A prompt that is longer than the one before contains it and its text.
        let last_of_prompts = self.0.iter().zip(next).filter(|((_, text), next)| {
            next.is_none_or(|(_, next)| next.prompt_tokens <= text.prompt_tokens)
        });
        last_of_prompts.map(|((_, text), _)| of(text)).sum()
    }
}

/// Sums over texts that the model read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reading {
    /// Tokens, and how often the model expected each.
    pub(super) words: ExpectedCounts,
    /// Number of ends that the model expected inside the texts.
    pub(super) ends: f64,
    /// Number of tokens.
    pub(super) tokens: f64,
}

impl Reading {
    pub(super) fn add(&mut self, other: &Self) {
        self.words.add(&other.words);
        self.ends += other.ends;
        self.tokens += other.tokens;
    }
}

/// Lets the model read the newest texts of a history; the result is stored. Each text counts as an answer.
///
/// # Errors
/// The store or the model fails, or a stop is requested.
pub(super) async fn of_history(
    context: &MethodContext<'_>,
    history: &[PastReview],
) -> Result<ReadTexts> {
    let (read, is_stored) =
        read(context, history, context.options.reuse == CachePolicy::Stored).await?;
    for (_, text) in &read.0 {
        match is_stored {
            true => context.calls.count_reused(text.prompt_tokens, text.tokens),
            false => context.calls.count_computed(text.prompt_tokens, text.tokens),
        }
    }
    Ok(read)
}

/// As [`of_history`], but what is stored is used whatever the cache policy is: texts of a corpus belong to
/// it, as its index does, and nothing is counted.
///
/// # Errors
/// As [`of_history`].
pub(super) async fn of_corpus_user(
    context: &MethodContext<'_>,
    history: &[PastReview],
) -> Result<ReadTexts> {
    Ok(read(context, history, true).await?.0)
}

/// Counts of the newest texts of a history, and whether they were stored.
async fn read(
    context: &MethodContext<'_>,
    history: &[PastReview],
    reuse: bool,
) -> Result<(ReadTexts, bool)> {
    let n = context.options.n.max(1);
    let newest = &history[history.len().saturating_sub(MAX_PROMPTS * n)..];
    if newest.is_empty() {
        return Ok((ReadTexts::default(), true));
    }
    let stage = context.options.idiolect.form.stage();
    let spec = context.task.stage(stage).map(|spec| format!("{spec:?}")).unwrap_or_default();
    let key = Key::of(KIND)
        .with("version", "2")
        .with("model", context.model.fingerprint())
        .with("stage", spec)
        .with("n", n.to_le_bytes());
    let ids = newest.iter().map(|(review, _)| review.id);
    let key = ids.clone().fold(key, |key, id| key.with("id", id.0.to_le_bytes())).finish();
    let store = context.view.store();
    let stored = if reuse { store.derived(KIND, &key)? } else { None };
    if let Some(read) = stored.and_then(|value| serde_json::from_str::<ReadTexts>(&value).ok()) {
        return Ok((read, true));
    }
    let selection = ExampleSelection::of(Texts::Newest);
    let mut read = ReadTexts::default();
    // From the newest on, as prompts are filled.
    for prompt in newest.rchunks(n) {
        for (i, (review, item)) in prompt.iter().enumerate() {
            context.check_stop()?;
            let target = review.as_target(item.clone());
            let shown = &prompt[..i];
            let sources: Vec<ReviewId> = shown.iter().map(|(past, _)| past.id).collect();
            let call = ScoreCall {
                stage,
                draft: selection.draft(Some(&target), shown),
                sources: &sources,
                text: &review.review.text,
                limit: Some(TOKENS),
                // The task's limit, so that the prompts do not depend on a caller's.
                max_tokens: None,
                top: 0,
            };
            read.0.push((review.id, context.calls.expected(call).await?));
        }
    }
    let sources: Vec<ReviewId> = ids.collect();
    store.put_derived(KIND, &key, &serde_json::to_string(&read).unwrap_or_default(), &sources)?;
    Ok((read, false))
}
