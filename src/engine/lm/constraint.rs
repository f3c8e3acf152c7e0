//! Constrained generation: a JSON schema or a regular expression determines, before each token,
//! which tokens may come next (llguidance: an Earley parser over derivatives of regular
//! expressions, run along a trie of the vocabulary).
//!
//! It fails closed. An invalid constraint is rejected before generation; a sequence is an error if
//! its grammar fails or allows no token; a completion that is returned without an error satisfies
//! its constraint. So that `max_tokens` does not truncate the text, a path to its end ([`forced_end`])
//! is computed regularly. Once only this path fits the tokens left, its tokens are forced.
//!
//! Each sequence has its own parser, so that the allowed tokens depend on its own text only.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use llguidance::api::{StopReason, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;

use super::forced_end::{self, PartialText, VocabularyBytes};
use super::shortest_match::Walk;
use super::{Error, Finish, Result, schema};
use crate::model::tokenizer::Tokenizer;

/// The form that a completion must have.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// One JSON value that matches this schema, written on one line as `{"a": 1, "b": [2, 3]}`,
    /// with the fields of an object in the schema's order. Of a `oneOf` whose branches differ in a
    /// constant property, that property is required. Schemas with keywords that cannot be
    /// enforced (`not`, `uniqueItems`, ...) are rejected; unknown keywords are ignored, as the
    /// standard requires.
    JsonSchema(Value),
    /// A text that this regular expression matches as a whole. The syntax is that of the `regex`
    /// crate without word boundaries and similar assertions; `^` and `$` are allowed at the ends.
    Regex(String),
}

/// Maximum length of a token in the trie, bytes.
const MAX_TOKEN_BYTES: usize = 512;
/// Number of tokens by which one written token is assumed to lengthen the path to an end, at most.
/// It determines how often a path is searched for.
const TOKENS_AHEAD: usize = 16;

/// State shared by all constraints on one model: its vocabulary as a trie.
pub(super) struct Grammars {
    factory: ParserFactory,
    bytes: Arc<VocabularyBytes>,
    ends: Arc<[u32]>,
}

impl Grammars {
    /// Builds the trie of a vocabulary.
    ///
    /// # Errors
    /// The vocabulary has no end token, or cannot be made a trie.
    pub(super) fn new(tokenizer: &Tokenizer) -> Result<Self, String> {
        let n_vocab = tokenizer.n_vocab() as u32;
        let words: Vec<Vec<u8>> = (0..n_vocab)
            .map(|id| match tokenizer.bytes(id) {
                // 0xFF is not valid UTF-8; the trie uses it as the mark of a control token.
                bytes if bytes.first() == Some(&0xFF) || bytes.len() > MAX_TOKEN_BYTES => {
                    Vec::new()
                }
                _ if tokenizer.is_control(id) || tokenizer.is_end(id) => Vec::new(),
                bytes => bytes.to_vec(),
            })
            .collect();
        let ends: Arc<[u32]> = (0..n_vocab).filter(|id| tokenizer.is_end(*id)).collect();
        let Some(first_end) = ends.first() else {
            return Err("the model's vocabulary has no token that ends a text".to_owned());
        };
        let info = TokRxInfo::new(n_vocab, *first_end);
        let made = catch_unwind(AssertUnwindSafe(|| {
            let trie = TokTrie::from(&info, &words).with_eos_tokens(&ends);
            let env = Arc::new(ApproximateTokEnv::new(trie));
            let bytes = Arc::new(VocabularyBytes::of(Arc::clone(&env)));
            let env: TokEnv = env;
            let mut factory = ParserFactory::new_simple(&env)?;
            factory.quiet().limits_mut().verbose_errors = false;
            Ok::<_, anyhow::Error>((factory, bytes))
        }));
        match made {
            Ok(Ok((factory, bytes))) => Ok(Self { factory, bytes, ends }),
            Ok(Err(error)) => Err(format!("cannot take up the vocabulary: {error}")),
            Err(_) => Err("cannot take up the vocabulary: it is too large".to_owned()),
        }
    }

    /// Starts a constraint on a text of at most `max_tokens` tokens.
    ///
    /// # Errors
    /// The constraint is invalid, no text satisfies it, or the shortest known text does not fit.
    pub(super) fn begin(&self, constraint: &Constraint, max_tokens: usize) -> Result<Constrained> {
        let (what, text, grammar) = match constraint {
            Constraint::JsonSchema(schema) => {
                ("JSON schema", PartialText::JSON, of_schema(schema)?)
            }
            Constraint::Regex(regex) => {
                let what = "regular expression";
                let walk = Walk::new(regex)
                    .map_err(|error| Error::Constraint(format!("{what}: {error}")))?;
                let text = walk.map_or(PartialText::Other, PartialText::Matching);
                (what, text, TopLevelGrammar::from_regex(regex))
            }
        };
        let wrong = |error: &str| {
            Error::Constraint(format!("{what}: {}", schema::in_own_words(first_part(error))))
        };
        let parser = self.factory.create_parser(grammar).map_err(|e| wrong(&format!("{e:#}")))?;
        let mut matcher = Matcher::new(Ok(parser));
        if let Err(error) = matcher.compute_mask() {
            let nothing = StopReason::NoExtensionBias.to_string();
            return Err(match error.to_string() {
                error if first_part(&error) == nothing => wrong("no text satisfies it"),
                error => wrong(&error),
            });
        }
        let mut constrained = Constrained {
            what,
            matcher,
            text,
            bytes: Arc::clone(&self.bytes),
            ends: Arc::clone(&self.ends),
            left: max_tokens,
            path: None,
            look_in: 0,
            forced: None,
            finish: None,
        };
        constrained.look();
        // A guessed path may be much longer than the shortest one.
        let guessed = matches!(constrained.text, PartialText::Other);
        match constrained.path.as_ref().map(Vec::len) {
            Some(needed) if needed > max_tokens && !guessed => Err(Error::Constraint(format!(
                "{what}: the shortest text found that satisfies it takes {needed} tokens, and \
                 {max_tokens} may be written; allow more"
            ))),
            None | Some(1..) if max_tokens == 0 => Err(constrained.unfinished()),
            _ => Ok(constrained),
        }
    }
}

fn of_schema(schema: &Value) -> Result<TopLevelGrammar> {
    let mut object = match schema {
        Value::Object(object) => object.clone(),
        Value::Bool(true) => serde_json::Map::new(),
        Value::Bool(false) => {
            let what = "JSON schema: no text satisfies it, since it is `false`";
            return Err(Error::Constraint(what.to_owned()));
        }
        other => {
            let what = format!("JSON schema: an object is needed, got `{}`", short(other));
            return Err(Error::Constraint(what));
        }
    };
    schema::separate_unions(&mut object);
    // White space is fixed, since a small model may otherwise generate nothing else.
    let layout = serde_json::json!({
        "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": ",
    });
    if object.insert("x-guidance".to_owned(), layout).is_some() {
        let what = "JSON schema: `x-guidance` cannot be set; leave it out";
        return Err(Error::Constraint(what.to_owned()));
    }
    Ok(TopLevelGrammar::from_json_schema(Value::Object(object)))
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// The parser's error message without its state and the compiled grammar.
fn first_part(error: &str) -> &str {
    let error = error.split_once("(in regex): ").map_or(error, |(_, rest)| rest);
    let error = error.split("\n   1 | ").next().unwrap_or(error);
    error.split("\n<").next().unwrap_or(error).trim()
}

/// State of a constraint on one sequence.
pub(super) struct Constrained {
    what: &'static str,
    matcher: Matcher,
    text: PartialText,
    bytes: Arc<VocabularyBytes>,
    ends: Arc<[u32]>,
    /// Number of tokens that may still be written.
    left: usize,
    /// Tokens from here to an end; `None` if no path was found, or none was searched for after the
    /// last token.
    path: Option<Vec<u32>>,
    /// Number of tokens until the next search for a path.
    look_in: usize,
    /// Rest of the path that is being forced; `None` if no path is forced.
    forced: Option<VecDeque<u32>>,
    finish: Option<Finish>,
}

impl Constrained {
    /// Sets the logits of all tokens that are not allowed next to minus infinity.
    ///
    /// # Errors
    /// No token is allowed.
    pub(super) fn mask(&mut self, logits: &mut [f32]) -> Result<()> {
        if let Some(next) = self.forced.as_ref().and_then(VecDeque::front) {
            logits.fill(f32::NEG_INFINITY);
            if let Some(logit) = logits.get_mut(*next as usize) {
                *logit = 0.0;
            }
            return Ok(());
        }
        let mask = self.matcher.compute_mask().map_err(|error| self.failed(&error))?;
        let words = mask.as_slice().iter().copied().chain(std::iter::repeat(0));
        for (logits, word) in logits.chunks_mut(32).zip(words) {
            match word {
                u32::MAX => {}
                0 => logits.fill(f32::NEG_INFINITY),
                word => {
                    for (i, logit) in logits.iter_mut().enumerate() {
                        if (word >> i) & 1 == 0 {
                            *logit = f32::NEG_INFINITY;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Accepts the sampled token and returns the token to write. The two differ if no end could be
    /// reached within the tokens left after the sampled token: then the path found before it is
    /// forced.
    ///
    /// # Errors
    /// The token is not allowed, or it is the last one and the constraint is not satisfied.
    pub(super) fn take(&mut self, id: u32) -> Result<u32> {
        if self.ends.contains(&id) {
            return self.end().map(|()| id);
        }
        if let Some(forced) = &mut self.forced {
            forced.pop_front();
            return self.consume(id).and_then(|()| self.settle(id));
        }
        let last_path = self.path.take();
        let fresh = last_path.filter(|path| self.look_in <= 1 && path.len() <= self.left);
        let before = fresh.map(|path| (path, self.matcher.clone(), self.text.clone()));
        self.consume(id)?;
        self.look_in -= 1;
        if self.look_in > 0 || self.matcher.is_stopped() {
            return self.settle(id);
        }
        self.look();
        if self.path.as_ref().is_some_and(|path| path.len() <= self.left) {
            return self.settle(id);
        }
        let Some((path, matcher, text)) = before else { return self.settle(id) };
        (self.matcher, self.text, self.left) = (matcher, text, self.left + 1);
        let mut forced = VecDeque::from(path);
        let next = forced.pop_front();
        self.forced = Some(forced);
        match next {
            Some(next) => self.consume(next).and_then(|()| self.settle(next)),
            // The path is empty: the text may end here.
            None => self.end().map(|()| self.ends[0]),
        }
    }

    /// Reason why the text has ended; `None` while it has not.
    pub(super) fn finish(&self) -> Option<Finish> {
        self.finish
    }

    fn consume(&mut self, id: u32) -> Result<()> {
        self.matcher.consume_token(id).map_err(|error| self.failed(&error))?;
        self.text.push(self.bytes.trie().token(id));
        self.left -= 1;
        Ok(())
    }

    /// Searches for a path to an end and schedules the next search: the fewer tokens are left
    /// beyond the path, the sooner.
    fn look(&mut self) {
        self.path = forced_end::closing_path(&self.matcher, &self.text, &self.bytes);
        self.look_in = match &self.path {
            Some(path) => (self.left.saturating_sub(path.len()) / TOKENS_AHEAD).max(1),
            None => TOKENS_AHEAD,
        };
    }

    /// Ends the text if this token was the last one; returns the token.
    fn settle(&mut self, id: u32) -> Result<u32> {
        let stopped = self.matcher.is_stopped();
        if stopped || self.left == 0 || self.forced.as_ref().is_some_and(VecDeque::is_empty) {
            self.end()?;
            let by_itself = stopped && self.forced.is_none();
            self.finish = Some(if by_itself { Finish::End } else { Finish::Length });
        }
        Ok(id)
    }

    /// Error if the text may not end here.
    fn end(&mut self) -> Result<()> {
        if !self.matcher.stop_reason().is_ok() {
            return Err(self.failed(&self.matcher.stop_reason()));
        }
        match self.matcher.is_accepting() {
            // `PartialText` checks the grammar's result independently.
            Ok(true) if self.text.may_end() => Ok(()),
            Ok(true) => Err(self.failed(&"two readings of it differ")),
            Ok(false) => Err(self.unfinished()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        let error = error.to_string();
        let why = match first_part(&error) {
            stop if stop == StopReason::NoExtensionBias.to_string() => "no token is allowed next",
            other => other,
        };
        Error::Constraint(format!("{}: the text could not go on: {why}", self.what))
    }

    fn unfinished(&self) -> Error {
        Error::Constraint(format!(
            "{}: no text that satisfies it came to an end within the tokens allowed; allow more",
            self.what
        ))
    }
}

#[cfg(test)]
#[path = "constraint_tests.rs"]
mod tests;
