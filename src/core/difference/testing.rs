//! A scripted language model and a fixed choice of peers, for tests.

#![allow(missing_docs, clippy::new_without_default, clippy::unwrap_used)]

use std::cell::RefCell;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

use super::{Model, OnText, Peers};
use crate::corpus::{Key, View};
use crate::peers::{self, Anchor, Choice, ChoiceOptions, OnItem, Origin, Representative};
use crate::task::Window;
use crate::task::testing::ByWords;
use idiolect_engine::lm::{
    self, Completion, Constraint, EndToken, Finish, Isa, Lexicon, Phrases, Prompt, Request, Rule,
    Score, SteeredRequest,
};

/// Scripted language model: answers each request with a text that depends on the prompt and the
/// seed, scores each word by the prompt and the word, and records the requests.
pub struct Scripted {
    pub fingerprint: String,
    pub window: ByWords,
    pub requests: RefCell<Vec<Request>>,
    /// Contrast prompts of each steered request.
    pub beside: RefCell<Vec<Vec<Prompt>>>,
    /// Prompt and continuation of each score.
    pub scores: RefCell<Vec<(Prompt, String)>>,
    /// Number of requests after which every further one fails.
    pub fails_after: usize,
}

impl Scripted {
    pub fn new() -> Self {
        Self {
            fingerprint: "scripted".to_owned(),
            window: ByWords(100_000),
            requests: RefCell::default(),
            beside: RefCell::default(),
            scores: RefCell::default(),
            fails_after: usize::MAX,
        }
    }

    pub fn n_requests(&self) -> usize {
        self.requests.borrow().len()
    }

    /// All messages of the `i`-th request.
    pub fn prompt(&self, i: usize) -> String {
        text_of(&self.requests.borrow()[i].prompt)
    }

    fn answer(&self, request: &Request) -> lm::Result<Completion> {
        let prompt = text_of(&request.prompt);
        let prompt_tokens = self.window.count(&request.prompt)?;
        assert!(prompt_tokens + request.max_tokens <= self.window.0, "the prompt does not fit");
        if self.n_requests() >= self.fails_after {
            return Err(lm::Error::Stopped);
        }
        let key = Key::of("answer")
            .with("prompt", &prompt)
            .with("seed", request.sampling.seed.to_le_bytes())
            .finish();
        self.requests.borrow_mut().push(request.clone());
        let asked = prompt.split_once("Begin your answer with [");
        let label = asked.and_then(|(_, rest)| rest.split_once("]:"));
        let label = label.map(|(label, _)| format!("[{label}]:")).unwrap_or_default();
        if let Some(Constraint::JsonSchema(schema)) = &request.constraint {
            let names = schema["properties"].as_object().into_iter().flatten();
            let told = format!("told {}", &key.as_str()[..12]);
            let fields: serde_json::Map<_, _> =
                names.map(|(name, _)| (name.clone(), told.clone().into())).collect();
            let text = serde_json::Value::Object(fields).to_string();
            return Ok(Completion {
                text,
                prompt_tokens,
                completion_tokens: 9,
                finish: Finish::End,
            });
        }
        let text = format!("{label} told {} \n", &key.as_str()[..12]);
        Ok(Completion { text, prompt_tokens, completion_tokens: 3, finish: Finish::End })
    }
}

impl Window for Scripted {
    fn context(&self) -> usize {
        self.window.context()
    }
    fn count(&self, prompt: &Prompt) -> lm::Result<usize> {
        self.window.count(prompt)
    }
    fn count_text(&self, text: &str) -> lm::Result<usize> {
        self.window.count_text(text)
    }
}

impl Model for Scripted {
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn complete(
        &self,
        request: Request,
        on_text: Option<OnText>,
    ) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        async move {
            let completion = self.answer(&request)?;
            if let Some(mut on_text) = on_text {
                completion.text.split_inclusive(' ').for_each(&mut *on_text);
            }
            Ok(completion)
        }
        .boxed_local()
    }

    fn complete_steered(
        &self,
        request: SteeredRequest,
        on_text: Option<OnText>,
    ) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        let SteeredRequest { mut prompts, sampling, max_tokens, stop, constraint, .. } = request;
        self.beside.borrow_mut().push(prompts.split_off(1));
        let (prompt, end_token) = (prompts.remove(0), EndToken::Ends);
        let request = Request { prompt, sampling, max_tokens, stop, end_token, constraint };
        self.complete(request, on_text)
    }

    fn score_steered(
        &self,
        prompts: Vec<Prompt>,
        rules: Vec<Box<dyn Rule>>,
        continuation: String,
    ) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        async move {
            let mut scores = Vec::new();
            for prompt in prompts {
                scores.push(self.score(prompt, continuation.clone()).await?);
            }
            let combined = |mut rule: Box<dyn Rule>| {
                let logprobs = (0..scores[0].tokens.len()).map(|position| {
                    let rows: Vec<[f32; 1]> =
                        scores.iter().map(|score| [score.logprobs[position]]).collect();
                    let rows: Vec<&[f32]> = rows.iter().map(<[f32; 1]>::as_slice).collect();
                    let mut combined = [0.0];
                    rule.combine(&scores[0].tokens[..position], &rows, &mut combined, Isa::PLAIN);
                    combined[0]
                });
                let logprobs = logprobs.collect();
                Score { tokens: scores[0].tokens.clone(), logprobs }
            };
            Ok(rules.into_iter().map(combined).collect())
        }
        .boxed_local()
    }

    fn lexicon(&self, texts: &mut dyn Iterator<Item = &str>) -> lm::Result<Lexicon> {
        // The vocabulary has one token: the word "the".
        let mut lexicon = Lexicon::new(1);
        let n: usize = texts.map(|text| text.matches("the").count()).sum();
        lexicon.add(0, n as u32);
        Ok(lexicon)
    }

    fn phrases(&self, _texts: &mut dyn Iterator<Item = &str>) -> lm::Result<Phrases> {
        Ok(Phrases::of(&[]))
    }

    fn score(&self, prompt: Prompt, continuation: String) -> LocalBoxFuture<'_, lm::Result<Score>> {
        async move {
            let n_tokens = self.window.count(&prompt)? + self.window.count_text(&continuation)?;
            assert!(n_tokens <= self.window.0, "the prompt does not fit");
            let logprob = |word: &str| {
                let key = Key::of("score").with("prompt", text_of(&prompt)).with("word", word);
                -f32::from(key.finish().as_str().as_bytes()[0])
            };
            let logprobs: Vec<f32> = continuation.split_whitespace().map(logprob).collect();
            let tokens = (0..logprobs.len() as u32).collect();
            self.scores.borrow_mut().push((prompt, continuation));
            Ok(Score { tokens, logprobs })
        }
        .boxed_local()
    }
}

pub fn text_of(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Chat(chat) => chat.messages.iter().map(|m| format!("{}\n", m.content)).collect(),
        Prompt::Text(text) | Prompt::Markup(text) => text.clone(),
        Prompt::Tokens(ids) => format!("{ids:?}"),
    }
}

/// Chooses the first K other reviewers of the item; the nearest users are the first in alphabetical
/// order.
pub struct FirstPeers;

impl Peers for FirstPeers {
    fn choose(
        &self,
        view: &View<'_>,
        user: &str,
        item: &str,
        options: &ChoiceOptions,
    ) -> peers::Result<Choice> {
        let mut others = view.reviews_of(item)?;
        others.retain(|r| r.review.user != user);
        let n_candidates = others.len();
        let representatives = others
            .into_iter()
            .take(options.k)
            .enumerate()
            .map(|(i, review)| Representative {
                review,
                cluster: Some(i),
                cluster_size: 1,
                similarity: 0.0,
                origin: Origin::SameItem,
            })
            .collect();
        Ok(Choice { representatives, n_candidates, n_dropped: 0, compared_with: Anchor::OwnReview })
    }

    fn nearest(&self, view: &View<'_>, user: &str, n: usize) -> peers::Result<Vec<String>> {
        let mut others = Vec::new();
        for other in view.store().users(1)? {
            if other.user != user && !view.history(&other.user)?.is_empty() {
                others.push(other.user);
            }
        }
        others.sort();
        others.truncate(n);
        Ok(others)
    }

    /// The share of items that somebody else wrote about.
    fn distinctness(&self, _: &View<'_>, items: &[OnItem]) -> peers::Result<f32> {
        let with_others = items.iter().filter(|item| !item.others.is_empty()).count();
        Ok(with_others as f32 / items.len().max(1) as f32)
    }
}
