//! Texts that keep to a form: a JSON schema or a regular expression decides, before each token, which
//! ones may come next (llguidance: an Earley parser over derivatives of regular expressions, walked
//! along a trie of the vocabulary).
//!
//! It fails closed. A constraint that is wrong is refused before any work; a sequence whose grammar
//! fails, or allows nothing, is an error; and a completion that is no error satisfies its
//! constraint. So that `max_tokens` does not cut a text in two, a way to its end ([`closing`]) is
//! kept in sight and taken by force once no other fits any more.
//!
//! Each sequence has a parser of its own, so that what it allows depends on its text alone.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use llguidance::api::{StopReason, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;

use super::closing::{self, Bytes, Text};
use super::shortest_match::Walk;
use super::{Error, Finish, Result};
use crate::model::tokenizer::Tokenizer;

/// What a completion must be.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// One JSON value that this schema describes, written on one line as `{"a": 1, "b": [2, 3]}`,
    /// the fields of an object in the schema's order. Schemas with keywords that cannot be kept to
    /// (`not`, `uniqueItems`, ...) are refused; words that are no keywords mean nothing, as the
    /// standard has it.
    JsonSchema(Value),
    /// A text that this regular expression matches as a whole: the syntax of the `regex` crate,
    /// without word boundaries and the like; `^` and `$` may stand at the ends.
    Regex(String),
}

/// Longest token, in bytes, that a trie takes.
const LONGEST_TOKEN: usize = 512;
/// Tokens that an end is expected to move away by with each token written, at most.
const TOKENS_AHEAD: usize = 16;

/// What all constraints on one model share: its vocabulary as a trie.
pub(super) struct Grammars {
    factory: ParserFactory,
    bytes: Arc<Bytes>,
    ends: Arc<[u32]>,
}

impl Grammars {
    /// # Errors
    /// The vocabulary cannot be made a trie.
    pub(super) fn new(tokenizer: &Tokenizer) -> Result<Self, String> {
        let n_vocab = tokenizer.n_vocab() as u32;
        let words: Vec<Vec<u8>> = (0..n_vocab)
            .map(|id| match tokenizer.bytes(id) {
                // 0xFF is no UTF-8, and to the trie it is the mark of a control token.
                bytes if bytes.first() == Some(&0xFF) || bytes.len() > LONGEST_TOKEN => Vec::new(),
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
            let bytes = Arc::new(Bytes::of(Arc::clone(&env)));
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

    /// A constraint on a text of at most `max_tokens` tokens.
    ///
    /// # Errors
    /// It is wrong, nothing satisfies it, or nothing that does is known to fit.
    pub(super) fn begin(&self, constraint: &Constraint, max_tokens: usize) -> Result<Constrained> {
        let (what, text, grammar) = match constraint {
            Constraint::JsonSchema(schema) => ("JSON schema", Text::JSON, of_schema(schema)?),
            Constraint::Regex(regex) => {
                let what = "regular expression";
                let walk = Walk::new(regex)
                    .map_err(|error| Error::Constraint(format!("{what}: {error}")))?;
                let text = walk.map_or(Text::Other, Text::Matching);
                (what, text, TopLevelGrammar::from_regex(regex))
            }
        };
        let wrong = |error: &str| Error::Constraint(format!("{what}: {}", first_part(error)));
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
            way: None,
            look_in: 0,
            forced: None,
            finish: None,
        };
        constrained.look();
        // A way that was guessed may be far from the shortest.
        let guessed = matches!(constrained.text, Text::Other);
        match constrained.way.as_ref().map(Vec::len) {
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
    // White space is fixed, since a small model may otherwise write nothing else.
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

/// Errors of the parser, without its state and the grammar that an expression was made into.
fn first_part(error: &str) -> &str {
    let error = error.split_once("(in regex): ").map_or(error, |(_, rest)| rest);
    let error = error.split("\n   1 | ").next().unwrap_or(error);
    error.split("\n<").next().unwrap_or(error).trim()
}

/// A constraint on one sequence, as far as it has come.
pub(super) struct Constrained {
    what: &'static str,
    matcher: Matcher,
    text: Text,
    bytes: Arc<Bytes>,
    ends: Arc<[u32]>,
    /// Tokens that may still be written.
    left: usize,
    /// Tokens from here to an end; `None` where none was found, or looked for.
    way: Option<Vec<u32>>,
    /// Tokens until a way is looked for again.
    look_in: usize,
    /// The rest of the way that is taken, once it must be.
    forced: Option<VecDeque<u32>>,
    finish: Option<Finish>,
}

impl Constrained {
    /// Takes what is not allowed next out of the logits.
    ///
    /// # Errors
    /// Nothing is allowed.
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

    /// Takes the token that was chosen; gives the one to be written, which is another where no end
    /// could be reached any more behind the chosen one.
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
        let last_way = self.way.take();
        let fresh = last_way.filter(|way| self.look_in <= 1 && way.len() <= self.left);
        let before = fresh.map(|way| (way, self.matcher.clone(), self.text.clone()));
        self.consume(id)?;
        self.look_in -= 1;
        if self.look_in > 0 || self.matcher.is_stopped() {
            return self.settle(id);
        }
        self.look();
        if self.way.as_ref().is_some_and(|way| way.len() <= self.left) {
            return self.settle(id);
        }
        let Some((way, matcher, text)) = before else { return self.settle(id) };
        (self.matcher, self.text, self.left) = (matcher, text, self.left + 1);
        let mut forced = VecDeque::from(way);
        let next = forced.pop_front();
        self.forced = Some(forced);
        match next {
            Some(next) => self.consume(next).and_then(|()| self.settle(next)),
            // It may end right here.
            None => self.end().map(|()| self.ends[0]),
        }
    }

    /// Why the text is over, once it is.
    pub(super) fn finish(&self) -> Option<Finish> {
        self.finish
    }

    fn consume(&mut self, id: u32) -> Result<()> {
        self.matcher.consume_token(id).map_err(|error| self.failed(&error))?;
        self.text.push(self.bytes.trie().token(id));
        self.left -= 1;
        Ok(())
    }

    /// Looks for a way, and says when to look again: the less room is left beside the way, the
    /// sooner.
    fn look(&mut self) {
        self.way = closing::way(&self.matcher, &self.text, &self.bytes);
        self.look_in = match &self.way {
            Some(way) => (self.left.saturating_sub(way.len()) / TOKENS_AHEAD).max(1),
            None => TOKENS_AHEAD,
        };
    }

    /// Whether the text is over with this token.
    fn settle(&mut self, id: u32) -> Result<u32> {
        let stopped = self.matcher.is_stopped();
        if stopped || self.left == 0 || self.forced.as_ref().is_some_and(VecDeque::is_empty) {
            self.end()?;
            let by_itself = stopped && self.forced.is_none();
            self.finish = Some(if by_itself { Finish::End } else { Finish::Length });
        }
        Ok(id)
    }

    /// Whether the text may end here.
    fn end(&mut self) -> Result<()> {
        if !self.matcher.stop_reason().is_ok() {
            return Err(self.failed(&self.matcher.stop_reason()));
        }
        match self.matcher.is_accepting() {
            // The automaton is a second opinion on the grammar.
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
