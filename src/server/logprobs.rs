//! Log-probabilities of tokens in the forms of OpenAI and vLLM.

use idiolect_engine::lm::TokenLogprob;
use idiolect_engine::model::tokenizer::{Tokenizer, Utf8Stream};
use serde_json::{Map, Value, json};

/// The value in place of minus infinity, which JSON cannot express; OpenAI's.
const LOWEST: f32 = -9999.0;

/// Text of one token: its bytes, with U+FFFD for those that are no whole character, or the marker of
/// a control token.
pub(crate) fn token_text(tokenizer: &Tokenizer, id: u32) -> String {
    match tokenizer.bytes(id) {
        [] => tokenizer.marker_text(id).unwrap_or_default().to_owned(),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Text of one token in OpenAI's old shape, where texts are keys: bytes that are no whole character
/// become `bytes:\\xf0\\x9f`, so that different tokens have different texts.
fn key_text(tokenizer: &Tokenizer, id: u32) -> String {
    let bytes = tokenizer.bytes(id);
    match std::str::from_utf8(bytes) {
        Ok(_) => token_text(tokenizer, id),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("bytes:{digits}")
        }
    }
}

/// A log-probability that JSON can express. The number of the JSON is that of the `f32`, bit for bit.
fn finite(logprob: f32) -> Value {
    json!(logprob.max(LOWEST))
}

/// The chat's form: `{content: [{token, logprob, bytes, top_logprobs}], refusal}`.
pub(crate) fn of_chat(tokenizer: &Tokenizer, tokens: &[TokenLogprob]) -> Value {
    json!({ "content": content(tokenizer, tokens), "refusal": null })
}

/// The list of tokens of a chat or a response.
pub(crate) fn content(tokenizer: &Tokenizer, tokens: &[TokenLogprob]) -> Value {
    let entry = |id: u32, logprob: f32| {
        json!({
            "token": token_text(tokenizer, id),
            "logprob": finite(logprob),
            "bytes": tokenizer.bytes(id),
        })
    };
    tokens
        .iter()
        .map(|token| {
            let top: Vec<Value> = token.top.iter().map(|(id, x)| entry(*id, *x)).collect();
            let mut told = entry(token.id, token.logprob);
            told["top_logprobs"] = Value::Array(top);
            told
        })
        .collect()
}

/// The form of completions, filled token by token.
pub(crate) struct CompletionLogprobs<'a> {
    tokenizer: &'a Tokenizer,
    tokens: Vec<Value>,
    token_logprobs: Vec<Value>,
    top_logprobs: Vec<Value>,
    text_offset: Vec<usize>,
    /// Whole characters of the tokens so far.
    offset: usize,
    utf8: Utf8Stream,
}

impl<'a> CompletionLogprobs<'a> {
    /// An empty list whose first token begins at character `offset` of the text.
    pub(crate) fn new(tokenizer: &'a Tokenizer, offset: usize) -> Self {
        Self {
            tokenizer,
            tokens: Vec::new(),
            token_logprobs: Vec::new(),
            top_logprobs: Vec::new(),
            text_offset: Vec::new(),
            offset,
            utf8: Utf8Stream::default(),
        }
    }

    /// Adds the first token of a prompt, which has no probability.
    pub(crate) fn first(&mut self, id: u32) {
        self.push(id, Value::Null, Value::Null);
    }

    /// Adds tokens.
    pub(crate) fn extend(&mut self, tokens: &[TokenLogprob]) {
        for token in tokens {
            let mut top = Map::new();
            for (id, logprob) in &token.top {
                // Of tokens with the same text the likelier one stays.
                let text = key_text(self.tokenizer, *id);
                top.entry(text).or_insert_with(|| finite(*logprob));
            }
            // As vLLM: the token itself is always among them.
            let text = key_text(self.tokenizer, token.id);
            top.entry(text).or_insert_with(|| finite(token.logprob));
            self.push(token.id, finite(token.logprob), Value::Object(top));
        }
    }

    fn push(&mut self, id: u32, logprob: Value, top: Value) {
        self.text_offset.push(self.offset);
        self.offset += self.utf8.push(self.tokenizer.bytes(id)).chars().count();
        self.tokens.push(Value::String(key_text(self.tokenizer, id)));
        self.token_logprobs.push(logprob);
        self.top_logprobs.push(top);
    }

    /// Character after the last token.
    pub(crate) fn end(&self) -> usize {
        self.offset
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "tokens": self.tokens,
            "token_logprobs": self.token_logprobs,
            "top_logprobs": self.top_logprobs,
            "text_offset": self.text_offset,
        })
    }
}

/// vLLM's `prompt_logprobs`: `[null, {ID: {logprob, rank, decoded_token}}, ...]`, the token itself
/// and the likeliest ones of each position. The first `n_unscored` tokens, at least one, have none.
pub(crate) fn of_prompt(
    tokenizer: &Tokenizer,
    n_unscored: usize,
    scores: &[TokenLogprob],
) -> Value {
    let entry = |id: u32, logprob: f32, rank: usize| {
        let decoded = token_text(tokenizer, id);
        json!({ "logprob": finite(logprob), "rank": rank, "decoded_token": decoded })
    };
    let position = |token: &TokenLogprob| {
        let mut told = Map::new();
        told.insert(token.id.to_string(), entry(token.id, token.logprob, token.rank));
        for (rank, (id, logprob)) in token.top.iter().enumerate() {
            told.entry(id.to_string()).or_insert_with(|| entry(*id, *logprob, rank + 1));
        }
        Value::Object(told)
    };
    std::iter::repeat_n(Value::Null, n_unscored).chain(scores.iter().map(position)).collect()
}
