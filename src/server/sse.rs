//! Server-sent events of an answer.

use axum::response::sse::Event;
use idiolect_engine::lm::TokenLogprob;
use serde_json::{Value, json};

use crate::answer::AnswerText;
use crate::error::ApiError;

/// One message of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SseMessage {
    event: Option<&'static str>,
    data: String,
}

impl SseMessage {
    /// A message with JSON.
    pub(crate) fn json(data: &Value) -> Self {
        Self { event: None, data: data.to_string() }
    }

    /// A message with a name and JSON.
    pub(crate) fn named(event: &'static str, data: &Value) -> Self {
        Self { event: Some(event), data: data.to_string() }
    }

    /// The last message of OpenAI's streams.
    pub(crate) fn done() -> Self {
        Self { event: None, data: "[DONE]".to_owned() }
    }

    pub(crate) fn into_event(self) -> Event {
        let event = match self.event {
            Some(name) => Event::default().event(name),
            None => Event::default(),
        };
        // JSON on one line has no line break that would end the data.
        event.data(self.data)
    }
}

/// Form of a streamed answer.
pub(crate) trait AnswerFormat: Send + 'static {
    /// Messages before the first piece.
    fn begin(&mut self) -> Vec<SseMessage> {
        Vec::new()
    }

    /// A piece of text `index` and its tokens, if asked for.
    fn piece(&mut self, index: usize, text: &str, tokens: &[TokenLogprob]) -> Vec<SseMessage>;

    /// Text `index` has ended.
    fn ended(&mut self, index: usize, answer: &AnswerText) -> Vec<SseMessage>;

    /// All texts have ended.
    fn finish(&mut self) -> Vec<SseMessage>;

    /// The request has failed.
    fn failed(&mut self, error: &ApiError) -> Vec<SseMessage> {
        vec![SseMessage::json(&error.to_json()), SseMessage::done()]
    }
}

/// Number of tokens that each text's messages have told so far, so that the last one tells the rest:
/// tokens whose text was held back.
#[derive(Debug, Clone, Default)]
pub(crate) struct ToldTokens(Vec<usize>);

impl ToldTokens {
    /// Counts the tokens of a piece of text `index`.
    pub(crate) fn add(&mut self, index: usize, n: usize) {
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] += n;
    }

    /// The tokens of text `index` that no piece had.
    pub(crate) fn rest<'a>(&self, index: usize, tokens: &'a [TokenLogprob]) -> &'a [TokenLogprob] {
        let told = self.0.get(index).copied().unwrap_or(0);
        tokens.get(told..).unwrap_or(&[])
    }
}

/// The last chunk of a stream that asked for usage.
pub(crate) fn usage_chunk(head: &Value, usage: Value) -> Value {
    let mut chunk = head.clone();
    chunk["choices"] = json!([]);
    chunk["usage"] = usage;
    chunk
}
