//! Given texts scored under the prompts that would have them written.

use serde::{Deserialize, Serialize};

use super::{Calls, Model, Result};
use crate::corpus::{Key, KeyBuilder, ReviewId};
use crate::task::{Cut, Draft, Stage, Window, fit};
use idiolect_engine::lm::{self, Chat, Prompt, Score};

/// Kind under which scores are stored.
pub(super) const KIND: &str = "score";

/// Tokens kept behind the last one that counts, so that where a text is cut cannot change how it is
/// split into tokens before.
const MARGIN: usize = 8;

/// A given text and the prompt it is scored under.
pub struct ScoreCall<'a> {
    /// Which of the task's prompts.
    pub stage: Stage,
    /// The fields of the prompt.
    pub draft: Draft,
    /// Reviews that the prompt shows or that its fields were made from, and the scored one.
    pub made_from: &'a [ReviewId],
    /// The text.
    pub text: &'a str,
    /// Tokens of the text that count, from its first; `None` counts all.
    pub limit: Option<usize>,
    /// Most tokens that the prompt leaves room for where it is completed; `None` leaves it to the
    /// task.
    pub max_tokens: Option<usize>,
}

/// How likely a given text is under a prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// Tokens of the text that count.
    pub n_tokens: usize,
    /// Natural logarithm of their probability given all before them, 0 for an empty text.
    pub log_probability: f64,
    /// Natural logarithm of each one's probability given all before it, `[n_tokens]`.
    pub logprobs: Vec<f32>,
    /// What the prompt left out.
    pub cut: Vec<Cut>,
    /// Whether it was in the store.
    pub reused: bool,
}

impl Scored {
    pub(super) fn of(logprobs: Vec<f32>, cut: Vec<Cut>, reused: bool) -> Self {
        let log_probability = logprobs.iter().map(|logprob| f64::from(*logprob)).sum();
        Self { n_tokens: logprobs.len(), log_probability, logprobs, cut, reused }
    }

    /// Bits that all counted tokens take together.
    #[must_use]
    pub fn bits(&self) -> f64 {
        -self.log_probability / std::f64::consts::LN_2
    }

    /// Mean number of bits a token takes; `None` for an empty text.
    #[must_use]
    pub fn bits_per_token(&self) -> Option<f64> {
        (self.n_tokens > 0).then(|| self.bits() / self.n_tokens as f64)
    }
}

/// What the store keeps: no tokens, from which the text could be read.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) prompt_tokens: usize,
    pub(super) continuation_tokens: usize,
    pub(super) logprobs: Vec<f32>,
}

impl Calls<'_> {
    /// Scores a text under the prompt that [`Calls::answer`] would complete, out of the store, or by
    /// the language model and into the store.
    ///
    /// The text stands where the answer would: behind the label, where the prompt asks for one
    /// ([`opening`](crate::task::StageSpec::opening)), and one space. The label is conditioned on and
    /// not counted; the space belongs to the text, as it does to words in most vocabularies. White
    /// space around the text is left out. The prompt leaves room for `max_tokens`, as for an answer,
    /// or for the text where that is longer, so that it does not depend on the text as long as the
    /// text is not longer than an answer may be.
    ///
    /// # Errors
    /// When the prompt cannot be made to fit, or the store or the model fails.
    pub async fn score(&self, call: ScoreCall<'_>) -> Result<Scored> {
        let asked = Continuation::of(self, &call)?;
        let fitted = fit(self.task, call.stage, &call.draft, self.model, asked.room)?;
        let prompt_tokens = fitted.prompt_tokens;
        let key = asked.key(self.model, &fitted.chat).finish();
        let scored = |logprobs, reused| Scored::of(logprobs, fitted.cut, reused);
        if let Some(kept) = self.stored::<Kept>(KIND, &key)? {
            self.count_reused(kept.prompt_tokens, kept.continuation_tokens);
            return Ok(scored(kept.logprobs, true));
        }
        let score = self.model.score(Prompt::Chat(fitted.chat), asked.whole.clone()).await?;
        let kept = asked.kept(prompt_tokens, &score);
        let value = serde_json::to_string(&kept).unwrap_or_default();
        self.store.put_derived(KIND, &key, &value, call.made_from)?;
        self.count_computed(prompt_tokens, asked.n_tokens);
        Ok(scored(kept.logprobs, false))
    }
}

/// A text as the model is asked about it.
pub(super) struct Continuation<'t> {
    opening: &'t str,
    n_opening: usize,
    text: &'t str,
    limit: Option<usize>,
    /// The label, where the prompt asks for one, and the text.
    pub(super) whole: String,
    /// Tokens of both.
    pub(super) n_tokens: usize,
    /// Tokens that the prompt leaves room for.
    pub(super) room: usize,
}

impl<'t> Continuation<'t> {
    pub(super) fn of(calls: &Calls<'t>, call: &ScoreCall<'t>) -> Result<Self> {
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
        Ok(Self { opening, n_opening, text, limit, whole, n_tokens, room: room.max(n_tokens) })
    }

    /// The key of its score after a prompt; rules and further prompts come behind it.
    pub(super) fn key(&self, model: &dyn Model, chat: &Chat) -> KeyBuilder {
        Key::of(KIND)
            .with("model", model.fingerprint())
            .with("prompt", serde_json::to_vec(chat).unwrap_or_default())
            .with("opening", self.opening)
            .with("text", self.text)
            .with("limit", self.limit.unwrap_or(usize::MAX).to_le_bytes())
    }

    /// What is kept of its score.
    pub(super) fn kept(&self, prompt_tokens: usize, score: &Score) -> Kept {
        let counted = score.logprobs.iter().skip(self.n_opening);
        let logprobs = counted.take(self.limit.unwrap_or(usize::MAX)).copied().collect();
        Kept { prompt_tokens, continuation_tokens: self.n_tokens, logprobs }
    }
}

/// The start of a text that holds its first `limit` tokens, cut between words; the whole text where
/// it is hardly longer.
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
