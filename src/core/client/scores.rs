//! Scores of given texts under the prompts that would generate them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::cached::with_adapter;
use super::prompts::{FittedPrompts, with_prompt};
use super::{CachedLm, ContrastPrompts, Result};
use crate::corpus::{Key, ReviewId};
use crate::steering::{
    DistributionRecorder, ExpectationRecorder, ExpectedCounts, ObservedPosition, Steering,
    likeliest, of_mean,
};
use crate::task::{Cut, Draft, Stage, Window, fit};
use idiolect_engine::lm::{
    self, AdapterKey, CombineLogits, Distributions, Prompt, ReusedTokens, Score, ScoreRequest,
};

/// Kind under which scores are stored.
const KIND: &str = "score";

/// Number of tokens kept after the last counted one, so that the position of the cut cannot change
/// how the counted part is tokenized.
const MARGIN: usize = 8;

/// A given text and the prompt it is scored under.
pub struct ScoreCall<'a> {
    /// Stage of the task whose prompt is used.
    pub stage: Stage,
    /// The fields of the prompt.
    pub draft: Draft,
    /// Reviews that the prompt shows or that its fields were made from, and the scored review.
    pub sources: &'a [ReviewId],
    /// The text.
    pub text: &'a str,
    /// Number of tokens of the text that count, from its first; `None` counts all.
    pub limit: Option<usize>,
    /// Maximum number of completion tokens that the prompt leaves free; `None` takes the task's
    /// limit.
    pub max_tokens: Option<usize>,
    /// Number of likeliest tokens told beside each counted token; 0 tells none.
    pub top: usize,
}

/// Log-probability of a given text under a prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// Number of tokens of the text that count.
    pub n_tokens: usize,
    /// Natural logarithm of the probability of the counted tokens, given all tokens before them; 0
    /// for an empty text.
    pub log_probability: f64,
    /// Natural log-probability of each counted token given all tokens before it, `[n_tokens]`.
    pub logprobs: Vec<f32>,
    /// The likeliest tokens at each counted token and their log-probabilities, likeliest first,
    /// `[n_tokens][top]`; empty unless [`ScoreCall::top`] asks for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<Vec<(u32, f32)>>,
    /// Parts left out of the prompt.
    pub cut: Vec<Cut>,
    /// Whether the score was in the store.
    pub reused: bool,
}

impl Scored {
    fn of(score: Option<StoredScore>, cut: Vec<Cut>, reused: bool) -> Self {
        let (logprobs, top) = score.map(|score| (score.logprobs, score.top)).unwrap_or_default();
        let log_probability = logprobs.iter().map(|logprob| f64::from(*logprob)).sum();
        Self { n_tokens: logprobs.len(), log_probability, logprobs, top, cut, reused }
    }

    /// Total number of bits of the counted tokens.
    #[must_use]
    pub fn bits(&self) -> f64 {
        -self.log_probability / std::f64::consts::LN_2
    }

    /// Mean bits per token; `None` for an empty text.
    #[must_use]
    pub fn bits_per_token(&self) -> Option<f64> {
        (self.n_tokens > 0).then(|| self.bits() / self.n_tokens as f64)
    }
}

/// Stored form of a score. It holds no tokens, so the text cannot be read from it, unless likeliest
/// tokens were asked for.
#[derive(Serialize, Deserialize)]
struct StoredScore {
    prompt_tokens: usize,
    continuation_tokens: usize,
    logprobs: Vec<f32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    top: Vec<Vec<(u32, f32)>>,
}

impl CachedLm<'_> {
    /// Returns the score of a text under the prompt that [`CachedLm::answer`] would complete;
    /// computes and stores it if it is not in the store.
    ///
    /// The text takes the place of the answer: after the label and one space, if the prompt asks
    /// for a label ([`opening`](crate::task::StageSpec::opening)). The label conditions the text
    /// and is not counted. The space belongs to the text, as it belongs to words in most
    /// vocabularies. White space around the text is left out. The end of the text is not counted,
    /// neither the end token of a conversation nor the separator of a document. The prompt is truncated to leave free
    /// the larger of `max_tokens` and the number of tokens of label and text, so all texts up to
    /// `max_tokens` get the same prompt.
    ///
    /// # Errors
    /// Error if the prompt cannot be made to fit, or if the store or the model fails.
    pub async fn score(&self, call: ScoreCall<'_>) -> Result<Scored> {
        let plain = [Steering::default()];
        let mut scores = self.score_steered(call, &ContrastPrompts::default(), &plain).await?;
        scores.pop().ok_or_else(|| lm::Error::NoCombination.into())
    }

    /// Scores like [`CachedLm::score`], once per steering, under the user's prompt and the contrast
    /// prompts. All scores that are not in the store are computed in one pass over the prompts.
    ///
    /// # Errors
    /// As [`CachedLm::score`].
    pub async fn score_steered(
        &self,
        call: ScoreCall<'_>,
        contrast: &ContrastPrompts,
        steerings: &[Steering],
    ) -> Result<Vec<Scored>> {
        // Rules know the prompts by their order, so those of a pass have equally many of the user's.
        let further: BTreeSet<usize> = steerings.iter().map(|steering| steering.further).collect();
        if further.len() <= 1 {
            return self.score_in_one_pass(&call, contrast, steerings).await;
        }
        let mut scored = vec![None; steerings.len()];
        for further in further {
            let of_pass = (0..steerings.len()).filter(|i| steerings[*i].further == further);
            let of_pass: Vec<usize> = of_pass.collect();
            let alike: Vec<Steering> = of_pass.iter().map(|i| steerings[*i].clone()).collect();
            let scores = self.score_in_one_pass(&call, contrast, &alike).await?;
            of_pass.into_iter().zip(scores).for_each(|(i, score)| scored[i] = Some(score));
        }
        Ok(scored.into_iter().flatten().collect())
    }

    async fn score_in_one_pass(
        &self,
        call: &ScoreCall<'_>,
        contrast: &ContrastPrompts,
        steerings: &[Steering],
    ) -> Result<Vec<Scored>> {
        let text = Continuation::of(self, call)?;
        let ScoreCall { stage, draft, sources, .. } = call;
        let stage = *stage;
        let mut entries = Vec::with_capacity(steerings.len());
        let mut most_tokens = 0;
        for steering in steerings {
            let fitted = self.fit_all(stage, draft, contrast, Some(steering), text.room)?;
            most_tokens = most_tokens.max(fitted.prompt_tokens());
            let adapter = self.adapter.as_ref().map(|adapter| adapter.key());
            let key = text.key(self.model.fingerprint(), &fitted, steering, adapter);
            let stored = self.stored::<StoredScore>(KIND, &key)?;
            entries.push(ScoreEntry {
                key,
                cut: fitted.cut(),
                reused: stored.is_some(),
                score: stored,
            });
        }
        let missing: Vec<usize> = (0..entries.len()).filter(|i| !entries[*i].reused).collect();
        if !missing.is_empty() {
            let steerings: Vec<&Steering> = missing.iter().map(|i| &steerings[*i]).collect();
            let widest = steerings.iter().copied().max_by_key(|steering| {
                let needed = steering.needs();
                (needed.peers, needed.unconditional)
            });
            let fitted = self.fit_all(stage, draft, contrast, widest, text.room)?;
            let request = ScoreRequest {
                prompts: fitted.prompts(),
                adapter: self.adapter.clone(),
                combine: steerings.iter().map(|steering| combine(steering)).collect(),
                continuation: text.whole.clone().into(),
                top: (text.top > 0).then_some(text.top),
                reused: ReusedTokens::default(),
                affinity: self.affinity,
            };
            let scores = self.model.score(request).await?;
            let prompt_tokens = fitted.prompt_tokens();
            self.count_computed(prompt_tokens, text.n_tokens);
            let sources = self.sources(draft, sources);
            for (index, score) in missing.iter().zip(scores) {
                let score = text.stored(prompt_tokens, &score);
                let value = serde_json::to_string(&score).unwrap_or_default();
                self.store.put_derived(KIND, &entries[*index].key, &value, &sources)?;
                entries[*index].score = Some(score);
            }
        }
        // All scores share one pass over the prompts, so that its tokens are counted once.
        let mut counted = !missing.is_empty();
        for score in entries.iter().filter(|entry| entry.reused).flat_map(|entry| &entry.score) {
            match std::mem::replace(&mut counted, true) {
                false => self.count_reused(most_tokens, score.continuation_tokens),
                true => self.count_reused(0, 0),
            }
        }
        let scored = entries
            .into_iter()
            .map(|ScoreEntry { cut, reused, score, .. }| Scored::of(score, cut, reused));
        Ok(scored.collect())
    }
}

/// A text as the model sees it under a prompt.
pub(crate) struct Observed {
    /// Tokens of the label, if the prompt asks for one, and of the text.
    pub(crate) tokens: Vec<u32>,
    /// Index of the first token that counts.
    pub(crate) first: usize,
    /// Distributions at the tokens that count.
    pub(crate) positions: Vec<ObservedPosition>,
}

impl CachedLm<'_> {
    /// Records the model's distributions at the tokens of a text that [`CachedLm::score`] would
    /// score, with the log-probabilities of the tokens `listed`: those after the user's prompt, or the mean
    /// of those after it and after further prompts. Nothing is stored.
    pub(crate) async fn observe(
        &self,
        call: ScoreCall<'_>,
        further: &[Draft],
        listed: Vec<u32>,
    ) -> Result<Observed> {
        let (recorder, seen) = DistributionRecorder::new(listed);
        let read = self.read(&call, further, Box::new(recorder)).await?;
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        let limit = call.limit.unwrap_or(usize::MAX);
        let positions = seen.into_iter().skip(read.n_opening).take(limit).collect();
        Ok(Observed { tokens: read.score.tokens, first: read.n_opening, positions })
    }

    /// Counts the tokens of a text that [`CachedLm::score`] would score, and how often the model expects
    /// each token of the vocabulary there, and an end. Nothing is stored or counted.
    pub(crate) async fn expected(&self, call: ScoreCall<'_>) -> Result<ExpectedText> {
        let limit = call.limit.unwrap_or(usize::MAX);
        let n_opening = Continuation::of(self, &call)?.n_opening;
        let (recorder, sums) = ExpectationRecorder::new(n_opening, limit);
        let read = self.read(&call, &[], Box::new(recorder)).await?;
        let counted: Vec<u32> =
            read.score.tokens.iter().copied().skip(n_opening).take(limit).collect();
        let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ends = 0.0;
        for id in self.model.vocabulary()?.end_tokens() {
            if let Some(sum) = sums.get_mut(id as usize) {
                ends += std::mem::take(sum);
            }
        }
        let words = ExpectedCounts::of(&counted, &sums);
        let (prompt_tokens, tokens) = (read.prompt_tokens, read.score.tokens.len());
        Ok(ExpectedText { words, ends, prompt_tokens, tokens })
    }

    /// Lets the model read a text after its prompts with a rule that records what it sees, and returns the
    /// score.
    async fn read(
        &self,
        call: &ScoreCall<'_>,
        further: &[Draft],
        recorder: Box<dyn CombineLogits>,
    ) -> Result<ReadText> {
        let text = Continuation::of(self, call)?;
        let prompts = ContrastPrompts { further: further.to_vec(), ..ContrastPrompts::default() };
        let needed = Steering { further: further.len(), ..Steering::default() };
        let fitted = self.fit_all(call.stage, &call.draft, &prompts, Some(&needed), text.room)?;
        let request = ScoreRequest {
            prompts: fitted.prompts(),
            adapter: self.adapter.clone(),
            combine: vec![Some(of_mean(recorder, further.len()))],
            continuation: text.whole.clone().into(),
            top: None,
            reused: ReusedTokens::default(),
            affinity: self.affinity,
        };
        let score = self.model.score(request).await?.into_iter().next().unwrap_or_default();
        Ok(ReadText { n_opening: text.n_opening, prompt_tokens: fitted.prompt_tokens(), score })
    }
}

/// Words of a text, and what the model expected while it read the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExpectedText {
    /// The counts, without end tokens: a text has none inside.
    pub(crate) words: ExpectedCounts,
    /// Expected number of ends at the counted tokens.
    pub(crate) ends: f32,
    /// Number of tokens of the prompt.
    pub(crate) prompt_tokens: usize,
    /// Number of tokens of the text.
    pub(crate) tokens: usize,
}

/// A text that the model read.
struct ReadText {
    /// Number of tokens of the label.
    n_opening: usize,
    /// Number of tokens of the prompts.
    prompt_tokens: usize,
    /// Score of label and text.
    score: Score,
}

/// The model's last hidden states while it scores a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextTrace {
    /// The tokens that count.
    pub tokens: Vec<u32>,
    /// Last hidden state before each of them, behind the final norm, `[n_tokens][n_embd]`.
    pub hidden: Vec<Vec<f32>>,
    /// The likeliest tokens at each of them with their log-probabilities, likeliest first.
    pub top: Vec<Vec<(u32, f32)>>,
    /// Log-probability of each of them.
    pub logprobs: Vec<f32>,
}

/// Keeps the hidden states and the likeliest tokens of each step.
struct TraceRecorder {
    n_top: usize,
    seen: TraceSteps,
}

/// Hidden state and likeliest tokens by step.
type TraceSteps = Arc<Mutex<Vec<(Vec<f32>, Vec<(u32, f32)>)>>>;

impl CombineLogits for TraceRecorder {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        let Some(logprobs) = step.logprobs.first() else { return combined.fill(0.0) };
        combined.copy_from_slice(logprobs);
        let hidden = step.hidden.first().map_or_else(Vec::new, |hidden| hidden.to_vec());
        let top = likeliest(logprobs, self.n_top).into_iter();
        let top = top.map(|id| (id as u32, logprobs[id])).collect();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((hidden, top));
    }

    fn reads_hidden(&self) -> bool {
        true
    }
}

impl CachedLm<'_> {
    /// Scores a text as [`CachedLm::score`] does, and returns what the model computed at each token,
    /// with the `n_top` likeliest tokens. Nothing is stored.
    ///
    /// # Errors
    /// As [`CachedLm::score`].
    pub(crate) async fn trace(&self, call: ScoreCall<'_>, n_top: usize) -> Result<TextTrace> {
        let seen = TraceSteps::default();
        let recorder = TraceRecorder { n_top, seen: Arc::clone(&seen) };
        let ReadText { n_opening, score, .. } = self.read(&call, &[], Box::new(recorder)).await?;
        let steps = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        let limit = call.limit.unwrap_or(usize::MAX);
        let mut trace = TextTrace::default();
        let all = score.tokens.into_iter().zip(score.logprobs).zip(steps);
        for ((token, logprob), (hidden, top)) in all.skip(n_opening).take(limit) {
            trace.tokens.push(token);
            trace.logprobs.push(logprob);
            trace.hidden.push(hidden);
            trace.top.push(top);
        }
        Ok(trace)
    }
}

/// Prompt and text as [`CachedLm::score`] would give them to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptedText {
    /// The prompt.
    pub prompt: Prompt,
    /// The label, if the prompt asks for one, and the text.
    pub text: String,
    /// Number of tokens of the label.
    pub n_opening: usize,
}

impl CachedLm<'_> {
    /// Prompt and text as [`CachedLm::score`] would give them to the model; nothing is computed.
    ///
    /// # Errors
    /// The prompt cannot be made to fit.
    pub fn prompted(&self, call: &ScoreCall<'_>) -> Result<PromptedText> {
        let Continuation { whole, n_opening, room, .. } = Continuation::of(self, call)?;
        let prompt = fit(self.task, call.stage, &call.draft, self.model, room)?.prompt;
        Ok(PromptedText { prompt, text: whole, n_opening })
    }
}

/// One of the scores of a request.
struct ScoreEntry {
    key: Key,
    cut: Vec<Cut>,
    reused: bool,
    score: Option<StoredScore>,
}

/// The combination that a score needs; none without steering.
fn combine(steering: &Steering) -> Option<Box<dyn CombineLogits>> {
    (*steering != Steering::default()).then(|| steering.rule())
}

/// A text in the form in which the model scores it.
struct Continuation<'t> {
    opening: &'t str,
    n_opening: usize,
    text: &'t str,
    limit: Option<usize>,
    /// The label, if the prompt asks for one, and the text.
    whole: String,
    /// Number of tokens of `whole`.
    n_tokens: usize,
    /// Number of tokens that the prompt leaves free.
    room: usize,
    /// Number of likeliest tokens beside each counted token.
    top: usize,
}

impl<'t> Continuation<'t> {
    fn of(calls: &CachedLm<'t>, call: &ScoreCall<'t>) -> Result<Self> {
        let (model, limit) = (calls.model, call.limit);
        let spec = calls.task.stage(call.stage)?;
        let opening = spec.opening();
        let text = head(model, call.text.trim(), limit)?;
        let whole = match opening {
            "" => text.to_owned(),
            opening => format!("{opening} {text}"),
        };
        let n_opening = model.count_text(opening)?;
        let n_tokens = model.count_text(&whole)?;
        let room = call.max_tokens.unwrap_or_else(|| spec.max_tokens(model.context()));
        let (room, top) = (room.max(n_tokens), call.top);
        Ok(Self { opening, n_opening, text, limit, whole, n_tokens, room, top })
    }

    /// Key of its score under a steering. Without steering the score is an ordinary one.
    fn key(
        &self,
        fingerprint: &str,
        prompts: &FittedPrompts,
        steering: &Steering,
        adapter: Option<AdapterKey>,
    ) -> Key {
        let key = with_adapter(Key::of(KIND).with("model", fingerprint), adapter);
        let Some((own, others)) = prompts.split() else { return key.finish() };
        let key = with_prompt(key, own)
            .with("opening", self.opening)
            .with("text", self.text)
            .with("limit", self.limit.unwrap_or(usize::MAX).to_le_bytes());
        // Absent if it is 0, so that keys of scores without likeliest tokens stay valid.
        let key = match self.top {
            0 => key,
            top => key.with("top", top.to_le_bytes()),
        };
        match *steering == Steering::default() {
            true => key.finish(),
            false => others.iter().fold(key.with("steering", steering.key()), with_prompt).finish(),
        }
    }

    /// The stored part of its score: the counted tokens, without the label's.
    fn stored(&self, prompt_tokens: usize, score: &Score) -> StoredScore {
        let limit = self.limit.unwrap_or(usize::MAX);
        let counted = score.logprobs.iter().skip(self.n_opening);
        let logprobs = counted.take(limit).copied().collect();
        let top = score.details.iter().skip(self.n_opening).take(limit);
        // JSON has no minus infinity: forbidden tokens are not told.
        let possible = |top: &[(u32, f32)]| -> Vec<(u32, f32)> {
            top.iter().copied().filter(|(_, logprob)| logprob.is_finite()).collect()
        };
        let top = top.map(|token| possible(&token.top)).collect();
        StoredScore { prompt_tokens, continuation_tokens: self.n_tokens, logprobs, top }
    }
}

/// The start of a text that holds its first `limit` tokens and [`MARGIN`] more, cut between words;
/// the whole text if it is not longer.
fn head<'t>(
    window: &(impl Window + ?Sized),
    text: &'t str,
    limit: Option<usize>,
) -> lm::Result<&'t str> {
    let Some(enough) = limit.map(|limit| limit.saturating_add(MARGIN)) else { return Ok(text) };
    // No tokenizer makes more tokens than bytes.
    if text.len() <= enough {
        return Ok(text);
    }
    let mut ends: Vec<usize> = text
        .char_indices()
        .filter(|&(at, c)| c.is_whitespace() && !text[..at].ends_with(char::is_whitespace))
        .map(|(at, _)| at)
        .collect();
    ends.push(text.len());
    let (mut least, mut most) = (0, ends.len() - 1);
    while least < most {
        let middle = usize::midpoint(least, most);
        if window.count_text(&text[..ends[middle]])? >= enough {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    Ok(&text[..ends[most]])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::task::testing::ByWords;

    #[test]
    fn a_long_text_is_cut_a_little_behind_the_limit() {
        let text: String = (0..100).map(|i| format!("w{i}  ")).collect();
        let text = text.trim();
        let window = ByWords(1000);
        assert_eq!(head(&window, text, None).unwrap(), text);
        assert_eq!(head(&window, text, Some(100)).unwrap(), text);
        let short = head(&window, text, Some(10)).unwrap();
        assert_eq!(window.count_text(short).unwrap(), 10 + MARGIN);
        assert!(text.starts_with(short) && short.ends_with("w17"));
        assert_eq!(head(&window, &"x".repeat(500), Some(3)).unwrap().len(), 500);
    }
}
