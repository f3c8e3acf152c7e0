//! Generated texts on their way to a client.

use idiolect_engine::lm::{Finish, TokenLogprob};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::error::ApiError;

/// One generated text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AnswerText {
    pub(crate) text: String,
    /// Its tokens, if the request asks for them.
    pub(crate) tokens: Vec<TokenLogprob>,
    pub(crate) finish: Finish,
    pub(crate) usage: TokenUsage,
    /// Number of the user's past texts in the prompt, for personal models.
    pub(crate) n_past: Option<usize>,
}

/// Numbers of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TokenUsage {
    pub(crate) prompt: usize,
    /// Prompt tokens that were not computed.
    pub(crate) cached: usize,
    pub(crate) completion: usize,
}

impl TokenUsage {
    /// OpenAI's `usage`.
    pub(crate) fn to_json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": { "cached_tokens": self.cached, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0 },
        })
    }
}

/// A step of the answer to a request with one or several texts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AnswerEvent {
    /// A piece of text `index` and its tokens, if asked for.
    Piece { index: usize, text: String, tokens: Vec<TokenLogprob> },
    /// Text `index` has ended.
    Ended { index: usize, answer: AnswerText },
    /// The request has failed.
    Failed(ApiError),
}

/// Receiver of the steps of an answer.
pub(crate) type AnswerSink = UnboundedSender<AnswerEvent>;

/// OpenAI's `finish_reason`.
pub(crate) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::End | Finish::Stop => "stop",
        Finish::Length => "length",
    }
}
