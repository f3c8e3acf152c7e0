//! Generated texts: the request in the fields of each server, and its answer.

use idiolect_core::steering::SparseBias;
use idiolect_engine::lm::{Completion, Constraint, Eos, Finish, OnText, Sampling};
use serde_json::{Map, Value, json};

use crate::ServerKind;
use crate::http::Failure;

/// A request for one text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WireText {
    /// Token ids of the prompt, at least one.
    pub(crate) prompt: Vec<u32>,
    /// The settings; their own bias is part of `bias`.
    pub(crate) sampling: Sampling,
    pub(crate) bias: SparseBias,
    pub(crate) max_tokens: usize,
    pub(crate) stop: Vec<String>,
    pub(crate) eos: Eos,
    pub(crate) constraint: Option<Constraint>,
}

impl WireText {
    /// The body of `POST /v1/completions`. `ends` are the tokens that end a text.
    ///
    /// # Errors
    /// The server has no field for what is asked for.
    pub(crate) fn body(
        &self,
        kind: ServerKind,
        model: &str,
        ends: &[u32],
        stream: bool,
    ) -> Result<Value, String> {
        let Sampling { temperature, top_p, frequency_penalty, presence_penalty, seed, .. } =
            self.sampling;
        // Everything is given, since a server's defaults may be those of the model's files.
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        put("model", json!(model));
        put("prompt", json!(self.prompt));
        put("max_tokens", json!(self.max_tokens));
        put("temperature", json!(temperature));
        put("top_p", json!(top_p));
        put("frequency_penalty", json!(frequency_penalty));
        put("presence_penalty", json!(presence_penalty));
        // Servers read a signed number of 64 bits.
        put("seed", json!(seed as i64));
        if !self.stop.is_empty() {
            put("stop", json!(self.stop));
        }
        if stream {
            put("stream", json!(true));
            put("stream_options", json!({ "include_usage": true }));
        }
        if !self.bias.entries.is_empty() {
            let entries = self.bias.entries.iter();
            put(
                "logit_bias",
                match kind {
                    ServerKind::LlamaServer => entries.map(|(id, x)| json!([id, x])).collect(),
                    _ => Value::Object(entries.map(|(id, x)| (id.to_string(), json!(x))).collect()),
                },
            );
        }
        for (name, value) in self.own_fields(kind, ends)? {
            put(name, value);
        }
        Ok(Value::Object(body))
    }

    /// The fields that differ by server.
    fn own_fields(
        &self,
        kind: ServerKind,
        ends: &[u32],
    ) -> Result<Vec<(&'static str, Value)>, String> {
        let sampling = &self.sampling;
        let has_dry = sampling.dry_multiplier > 0.0;
        let repeats = sampling.repetition_penalty != 1.0;
        let window = sampling.penalty_window;
        let lacks =
            |what: &str, advice: &str| Err(format!("{} has no {what}; set {advice}", kind.name()));
        let ignores_end = self.eos == Eos::Ignore;
        // 0 keeps all tokens here, and is out of range there.
        let top_k_or_all = match sampling.top_k {
            0 => json!(-1),
            k => json!(k),
        };
        let mut fields = Vec::new();
        match kind {
            ServerKind::Idiolect => {
                fields.push(("top_k", json!(sampling.top_k)));
                fields.push(("min_p", json!(sampling.min_p)));
                fields.push(("repetition_penalty", json!(sampling.repetition_penalty)));
                if has_dry {
                    fields.push(("dry_multiplier", json!(sampling.dry_multiplier)));
                    fields.push(("dry_base", json!(sampling.dry_base)));
                    fields.push(("dry_allowed_length", json!(sampling.dry_allowed_length)));
                }
                if window > 0 {
                    fields.push(("penalty_window", json!(window)));
                }
            }
            ServerKind::Vllm | ServerKind::Sglang => {
                if has_dry {
                    return lacks("DRY penalty", "--dry-multiplier 0");
                }
                if repeats && window > 0 {
                    return lacks(
                        "window of the repetition penalty",
                        "--repetition-penalty 1, or penalty_window = 0 in the task",
                    );
                }
                fields.push(("top_k", top_k_or_all));
                fields.push(("min_p", json!(sampling.min_p)));
                fields.push(("repetition_penalty", json!(sampling.repetition_penalty)));
                fields.push(("stop_token_ids", json!(ends)));
            }
            ServerKind::LlamaServer => {
                // All tokens: -1 means that in some versions only, and others refuse it.
                let all = self.prompt.len() + self.max_tokens;
                let last_n = json!(if window > 0 { window } else { all });
                fields.push(("n_predict", json!(self.max_tokens)));
                fields.push(("cache_prompt", json!(true)));
                fields.push(("top_k", json!(sampling.top_k)));
                fields.push(("min_p", json!(sampling.min_p)));
                fields.push(("repeat_penalty", json!(sampling.repetition_penalty)));
                fields.push(("repeat_last_n", last_n.clone()));
                fields.push(("dry_multiplier", json!(sampling.dry_multiplier)));
                if has_dry {
                    fields.push(("dry_base", json!(sampling.dry_base)));
                    fields.push(("dry_allowed_length", json!(sampling.dry_allowed_length)));
                    fields.push(("dry_penalty_last_n", last_n));
                    // Our penalty has no breakers. An empty list is refused, so this is a code point
                    // that no text contains.
                    fields.push(("dry_sequence_breakers", json!(["\u{10FFFF}"])));
                }
                // The order of our sampler; by default the temperature comes last.
                let order = ["penalties", "dry", "temperature", "top_k", "min_p", "top_p"];
                fields.push(("samplers", json!(order)));
            }
            ServerKind::Other => {
                let others = [
                    (sampling.top_k != 0, "top-k", "--top-k 0"),
                    (sampling.min_p != 0.0, "min-p", "--min-p 0"),
                    (repeats, "repetition penalty", "--repetition-penalty 1"),
                    (has_dry, "DRY penalty", "--dry-multiplier 0"),
                ];
                if let Some((_, what, advice)) = others.iter().find(|(is_set, ..)| *is_set) {
                    return lacks(what, advice);
                }
            }
        }
        if ignores_end {
            match kind {
                ServerKind::Other => return lacks("way to ignore end tokens", "a shorter length"),
                _ => fields.push(("ignore_eos", json!(true))),
            }
        }
        if let Some(constraint) = &self.constraint {
            fields.push(constraint_field(kind, constraint)?);
        }
        Ok(fields)
    }
}

/// The field of a constraint.
fn constraint_field(
    kind: ServerKind,
    constraint: &Constraint,
) -> Result<(&'static str, Value), String> {
    let lacks = |what: &str| {
        Err(format!("{} has no {what} in completions; choose a method without it", kind.name()))
    };
    match (constraint, kind) {
        (Constraint::JsonSchema(schema), ServerKind::Idiolect | ServerKind::Vllm) => {
            let named = json!({ "name": "answer", "schema": schema });
            Ok(("response_format", json!({ "type": "json_schema", "json_schema": named })))
        }
        (Constraint::JsonSchema(schema), ServerKind::Sglang) => {
            Ok(("json_schema", json!(schema.to_string())))
        }
        (Constraint::JsonSchema(schema), ServerKind::LlamaServer) => {
            Ok(("json_schema", schema.clone()))
        }
        (Constraint::JsonSchema(_), ServerKind::Other) => lacks("JSON schema"),
        (Constraint::Regex(regex), ServerKind::Vllm) => {
            Ok(("structured_outputs", json!({ "regex": regex })))
        }
        (Constraint::Regex(regex), ServerKind::Sglang) => Ok(("regex", json!(regex))),
        (Constraint::Regex(_), _) => lacks("regular expression"),
    }
}

/// The parts of an answer, whole or of a stream.
#[derive(Debug, Default)]
pub(crate) struct WireAnswer {
    pub(crate) text: String,
    finish: Option<String>,
    /// vLLM's `stop_reason`, SGLang's `matched_stop`.
    matched: Value,
    n_generated: Option<usize>,
}

impl WireAnswer {
    /// Adds the answer, or one event of a stream; returns the new text.
    ///
    /// # Errors
    /// The value has neither a choice nor usage.
    pub(crate) fn add(&mut self, value: &Value) -> Result<String, Failure> {
        let n_generated = value.get("usage").and_then(|usage| usage.get("completion_tokens"));
        if let Some(n) = n_generated.and_then(Value::as_u64) {
            self.n_generated = usize::try_from(n).ok();
        }
        let Some(choices) = value.get("choices").and_then(Value::as_array) else {
            return Err(Failure::Final("the answer has no `choices`".to_owned()));
        };
        let Some(choice) = choices.first() else { return Ok(String::new()) };
        let piece = choice.get("text").and_then(Value::as_str).unwrap_or_default();
        self.text.push_str(piece);
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish = Some(finish.to_owned());
            let matched = choice.get("stop_reason").or_else(|| choice.get("matched_stop"));
            self.matched = matched.cloned().unwrap_or_default();
        }
        Ok(piece.to_owned())
    }

    /// The completion after the last part. `count` counts the tokens of a text.
    ///
    /// # Errors
    /// The answer has no end.
    pub(crate) fn finish(
        self,
        kind: ServerKind,
        asked: &WireText,
        count: &dyn Fn(&str) -> Option<usize>,
    ) -> Result<Completion, Failure> {
        let finish = match self.finish.as_deref() {
            Some("length") => Finish::Length,
            // Not all servers tell a stop text from an end token; without stop texts it is one.
            Some("stop") if asked.stop.is_empty() => Finish::End,
            Some("stop") if kind == ServerKind::LlamaServer || self.matched.is_string() => {
                Finish::Stop
            }
            Some("stop") => Finish::End,
            Some(other) => {
                return Err(Failure::Final(format!("the text ended by `{other}`")));
            }
            None => return Err(Failure::Lost("the answer ended early".to_owned())),
        };
        let ended = usize::from(finish == Finish::End && kind.counts_end());
        let told = self.n_generated.map(|n| n.saturating_sub(ended));
        let completion_tokens = told.or_else(|| count(&self.text)).unwrap_or_default();
        Ok(Completion {
            text: self.text,
            prompt_tokens: asked.prompt.len(),
            completion_tokens,
            finish,
            tokens: Vec::new(),
        })
    }
}

/// Hands the pieces of a text to its receiver once, over several attempts.
pub(crate) struct ShownText {
    on_text: OnText,
    shown: String,
}

impl ShownText {
    pub(crate) fn new(on_text: OnText) -> Self {
        Self { on_text, shown: String::new() }
    }

    /// Shows what is new in the text of this attempt so far.
    ///
    /// # Errors
    /// An earlier attempt already showed another text.
    pub(crate) fn show(&mut self, text: &str) -> Result<(), Failure> {
        if let Some(new) = text.strip_prefix(self.shown.as_str()) {
            if !new.is_empty() {
                (self.on_text)(new);
                self.shown.push_str(new);
            }
            return Ok(());
        }
        match self.shown.starts_with(text) {
            true => Ok(()),
            false => Err(Failure::Final(
                "after a lost connection the server wrote another text than the one that was shown \
                 in part; run the command again"
                    .to_owned(),
            )),
        }
    }
}
