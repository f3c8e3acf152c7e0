//! Attribution of a text's tokens: how much the user's texts and the steering raised the
//! probability of each, which tokens were likelier, and which past text has the same phrase.

use std::collections::HashMap;

use serde::Serialize;

use super::options::History;
use super::phrase_source::{PhraseSource, phrase_sources};
use super::prepared::{Given, PreparedPrompt};
use super::{Error, MethodInputs, MethodOptions, Result, non_perso};
use crate::client::{ContrastPrompts, ScoreCall};
use crate::steering::{Steering, Vocabulary};
use crate::task::{Draft, Part, Stage};

/// Number of likelier tokens told beside each token.
pub(super) const ALTERNATIVES: usize = 3;

/// Attribution of one token, with natural log-probabilities given the text before it. A value that is
/// infinite, because a rule forbids the token, is `null` in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenAttribution {
    /// The token's text; bytes that are no whole character are shown as U+FFFD.
    pub text: String,
    /// The token's bytes, if they are no whole characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
    /// `ln p` of the token, with steering.
    pub logprob: f32,
    /// Effect of the user's texts: with the user's prompt minus without anything of the user,
    /// `ln pU − ln p0`; `None` for methods that do not read the user's texts.
    pub user: Option<f32>,
    /// Effect of steering: with it minus the user's prompt alone, `ln p − ln pU`; `None` for methods
    /// that do not steer.
    pub steer: Option<f32>,
    /// The likeliest other tokens at this place, likeliest first, at most three.
    pub alternatives: Vec<AlternativeToken>,
    /// A past text of the user with the phrase of three or more words that ends in this token, if
    /// there is one.
    pub source: Option<PhraseSource>,
}

/// A token that could have stood in the place of another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlternativeToken {
    /// Its text; bytes that are no whole character are shown as U+FFFD.
    pub text: String,
    /// Its natural log-probability, with steering.
    pub logprob: f32,
}

impl PreparedPrompt {
    /// Attributes each token of a text, from up to three scores of it. White space around the text is
    /// left out, and only its first [`MethodOptions::score_limit`] tokens are attributed.
    ///
    /// # Errors
    /// Error if the store or the language model fails.
    pub async fn attribute(
        &self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        given: impl Into<Given<'_>>,
    ) -> Result<Vec<TokenAttribution>> {
        let task = options.task(inputs.task)?;
        let inputs = inputs.with_task(&task);
        let Given { text, review } = given.into();
        let sources: Vec<_> = self.sources.iter().copied().chain(review).collect();
        let calls = inputs.calls(options);
        let call = |stage, draft: Draft, top| ScoreCall {
            stage,
            draft,
            sources: &sources,
            text,
            limit: options.score_limit,
            max_tokens: options.max_tokens,
            top,
        };
        let (none, plain) = (ContrastPrompts::default(), Steering::default());
        let (beside, steering) = match &self.steered {
            Some(steered) => (&steered.contrast, &steered.steering),
            None => (&none, &plain),
        };
        let is_steered = *steering != plain;
        let both = [plain.clone(), steering.clone()];
        let rules = if is_steered { &both[..] } else { &both[..1] };
        // The token itself may be among the likeliest.
        let own = call(self.stage, self.draft.clone(), ALTERNATIVES + 1);
        let scores = calls.score_steered(own, beside, rules).await?;
        let (Some(user), Some(steered)) = (scores.first(), scores.last()) else {
            return Err(Error::NoScore { method: self.method.name() });
        };
        let unconditional = match self.unconditional() {
            Some((stage, draft)) => Some(calls.score(call(stage, draft, 0)).await?),
            None => None,
        };
        // Tokenized as in a score: after a space if the prompt has an opening, else by itself.
        let space = if task.stage(self.stage)?.opening().is_empty() { "" } else { " " };
        let vocabulary = inputs.model.vocabulary()?;
        let text = format!("{space}{}", text.trim());
        let tokens = TextTokens::of(vocabulary, &text)?;
        let mut phrases = self.phrases(&inputs, options, &text, &tokens)?;
        let attributed = tokens.ids.iter().enumerate().map_while(|(i, id)| {
            let (user, steered, top) =
                (user.logprobs.get(i)?, steered.logprobs.get(i)?, steered.top.get(i)?);
            let before = match &unconditional {
                Some(score) => Some(score.logprobs.get(i)?),
                None => None,
            };
            let (text, bytes) = shown(&vocabulary.token_bytes(*id));
            Some(TokenAttribution {
                text,
                bytes,
                logprob: *steered,
                user: before.map(|before| user - before),
                steer: is_steered.then_some(steered - user),
                alternatives: alternatives(top, *id, |id| vocabulary.token_bytes(id)),
                source: phrases.remove(&i),
            })
        });
        Ok(attributed.collect())
    }

    /// The prompt without anything of the user, with which attribution compares the user's; `None` if
    /// that shows nothing of the user either.
    pub(super) fn unconditional(&self) -> Option<(Stage, Draft)> {
        let stage = match self.method.own_unconditional() {
            true => self.stage,
            false => non_perso::STAGE,
        };
        (!self.sources.is_empty()).then(|| (stage, self.draft.only(Part::Target)))
    }

    /// Sources of the phrases of a text in the author's past texts, by the token in which they end.
    fn phrases(
        &self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        text: &str,
        tokens: &TextTokens,
    ) -> Result<HashMap<usize, PhraseSource>> {
        let mut by_token = HashMap::new();
        if options.history == History::None || self.sources.is_empty() {
            return Ok(by_token);
        }
        let past = inputs.view.history(&self.author)?;
        for (end, mut source) in phrase_sources(text, &past, &self.past) {
            if let Some(token) = tokens.ending_at(end) {
                if let Ok(item) = inputs.view.item(&source.item)
                    && !item.title.is_empty()
                {
                    source.title = item.title;
                }
                by_token.insert(token, source);
            }
        }
        Ok(by_token)
    }
}

/// The likeliest tokens besides the one that stands in the text.
pub(super) fn alternatives(
    top: &[(u32, f32)],
    chosen: u32,
    bytes_of: impl Fn(u32) -> Vec<u8>,
) -> Vec<AlternativeToken> {
    let others = top.iter().filter(|(other, _)| *other != chosen).take(ALTERNATIVES);
    let others = others.map(|(other, logprob)| AlternativeToken {
        text: shown(&bytes_of(*other)).0,
        logprob: *logprob,
    });
    others.collect()
}

/// Text of a token, and its bytes if they are no whole characters.
pub(super) fn shown(bytes: &[u8]) -> (String, Option<Vec<u8>>) {
    let is_whole = std::str::from_utf8(bytes).is_ok();
    (String::from_utf8_lossy(bytes).into_owned(), (!is_whole).then(|| bytes.to_vec()))
}

/// Tokens of a text, and where each ends in it.
struct TextTokens {
    ids: Vec<u32>,
    /// Byte after each token; empty if the tokens do not spell the text.
    ends: Vec<usize>,
}

impl TextTokens {
    fn of(vocabulary: &dyn Vocabulary, text: &str) -> Result<Self> {
        let ids = vocabulary.tokenize(text)?;
        let mut spelled = Vec::new();
        let mut ends = Vec::with_capacity(ids.len());
        for id in &ids {
            spelled.extend(vocabulary.token_bytes(*id));
            ends.push(spelled.len());
        }
        // Some tokenizers put a space before a text.
        match spelled.len().checked_sub(text.len()) {
            Some(before) if spelled[before..] == *text.as_bytes() => {
                ends.iter_mut().for_each(|end| *end = end.saturating_sub(before));
            }
            _ => ends.clear(),
        }
        Ok(Self { ids, ends })
    }

    /// The token that has the byte before `end`.
    fn ending_at(&self, end: usize) -> Option<usize> {
        let token = self.ends.partition_point(|known| *known < end);
        (token < self.ends.len()).then_some(token)
    }
}
