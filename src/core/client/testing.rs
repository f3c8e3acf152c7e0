//! Stand-ins for tests: a language model whose answers depend on prompt and seed.

#![allow(missing_docs, clippy::new_without_default, clippy::unwrap_used)]

use std::cell::RefCell;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

use super::Model;
use crate::corpus::Key;
use crate::steering::Vocabulary;
use crate::task::Window;
use crate::task::testing::ByWords;
pub use crate::task::testing::text_of;
use idiolect_engine::lm::{
    self, Completion, Constraint, Distributions, Finish, Prompt, Request, Sampling, Score,
    ScoreRequest, TextToScore, TokenCounts,
};

/// Scripted language model: answers each request with a text that depends on the prompt and the
/// seed, scores each word by the prompt and the word, and records the requests.
pub struct Scripted {
    pub fingerprint: String,
    pub window: ByWords,
    pub requests: RefCell<Vec<ScriptedRequest>>,
    /// Contrast prompts of each steered request.
    pub contrast: RefCell<Vec<Vec<Prompt>>>,
    /// Prompt and continuation of each score.
    pub scores: RefCell<Vec<(Prompt, String)>>,
    /// Whether it tells distributions, as no model on a server does.
    pub tells_distributions: bool,
    /// Number of requests after which every further one fails.
    pub fails_after: usize,
}

/// A request that the scripted model answered.
#[derive(Debug, Clone)]
pub struct ScriptedRequest {
    /// The user's prompt.
    pub prompt: Prompt,
    pub sampling: Sampling,
    pub max_tokens: usize,
    pub constraint: Option<Constraint>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

impl Scripted {
    pub fn new() -> Self {
        Self {
            fingerprint: "scripted".to_owned(),
            window: ByWords(100_000),
            requests: RefCell::default(),
            contrast: RefCell::default(),
            scores: RefCell::default(),
            tells_distributions: true,
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

    /// Answers a request and records it.
    pub fn answer(&self, request: ScriptedRequest) -> lm::Result<Completion> {
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
                tokens: Vec::new(),
            });
        }
        let text = format!("{label} told {} \n", &key.as_str()[..12]);
        Ok(Completion {
            text,
            prompt_tokens,
            completion_tokens: 3,
            finish: Finish::End,
            tokens: Vec::new(),
        })
    }

    fn score_after(&self, prompt: Prompt, continuation: &str) -> lm::Result<Score> {
        let n_tokens = self.window.count(&prompt)? + self.window.count_text(continuation)?;
        assert!(n_tokens <= self.window.0, "the prompt does not fit");
        let logprob = |word: &str| {
            let key = Key::of("score").with("prompt", text_of(&prompt)).with("word", word);
            -f32::from(key.finish().as_str().as_bytes()[0])
        };
        let logprobs: Vec<f32> = continuation.split_whitespace().map(logprob).collect();
        let tokens = (0..logprobs.len() as u32).collect();
        self.scores.borrow_mut().push((prompt, continuation.to_owned()));
        Ok(Score { tokens, logprobs, ..Score::default() })
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

    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        async move {
            let Request {
                mut prompts,
                combine,
                sampling,
                max_tokens,
                constraint,
                stop,
                on_text,
                ..
            } = request;
            let contrast = prompts.split_off(1);
            if combine.is_some() {
                self.contrast.borrow_mut().push(contrast);
            }
            let prompt = prompts.remove(0);
            let request = ScriptedRequest { prompt, sampling, max_tokens, constraint, stop };
            let completion = self.answer(request)?;
            if let Some(mut on_text) = on_text {
                completion.text.split_inclusive(' ').for_each(&mut *on_text);
            }
            Ok(completion)
        }
        .boxed_local()
    }

    fn score(&self, request: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        async move {
            let ScoreRequest { prompts, combine, continuation, .. } = request;
            let TextToScore::Text(continuation) = continuation else {
                unreachable!("methods score texts")
            };
            let mut scores = Vec::new();
            for prompt in prompts {
                scores.push(self.score_after(prompt, &continuation)?);
            }
            let first = &scores[0];
            let combined = combine.into_iter().map(|combine| {
                let Some(mut combine) = combine else { return first.clone() };
                let logprobs = (0..first.tokens.len()).map(|position| {
                    let rows: Vec<[f32; 1]> =
                        scores.iter().map(|score| [score.logprobs[position]]).collect();
                    let rows: Vec<&[f32]> = rows.iter().map(<[f32; 1]>::as_slice).collect();
                    let mut combined = [0.0];
                    let step = Distributions::new(&first.tokens[..position], &rows);
                    combine.combine(&step, &mut combined);
                    combined[0]
                });
                Score {
                    tokens: first.tokens.clone(),
                    logprobs: logprobs.collect(),
                    details: Vec::new(),
                }
            });
            Ok(combined.collect())
        }
        .boxed_local()
    }

    fn tells_distributions(&self) -> bool {
        self.tells_distributions
    }

    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Ok(self)
    }
}

/// A vocabulary of one token, the word "the". Other words have ids outside of it.
impl Vocabulary for Scripted {
    fn n_tokens(&self) -> usize {
        1
    }

    fn end_tokens(&self) -> Vec<u32> {
        Vec::new()
    }

    fn tokenize(&self, text: &str) -> lm::Result<Vec<u32>> {
        Ok(text.split_whitespace().map(|word| u32::from(word != "the") * u32::MAX).collect())
    }

    fn token_bytes(&self, id: u32) -> Vec<u8> {
        if id == 0 { b"the".to_vec() } else { Vec::new() }
    }

    fn token_counts(&self, text: &str) -> lm::Result<TokenCounts> {
        Ok([(0, text.matches("the").count() as u32)].into())
    }
}
