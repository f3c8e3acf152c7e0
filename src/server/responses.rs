//! `POST /v1/responses`, without state: nothing is kept for later requests.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use idiolect_engine::lm::{Chat, Finish, Message, Prompt, Role, TokenLogprob};
use serde_json::{Map, Value, json};

use crate::ServedModels;
use crate::answer::{AnswerText, TokenUsage};
use crate::app::App;
use crate::body::read_object;
use crate::chat::{last_message, with_past};
use crate::choices;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::ids;
use crate::keys::Caller;
use crate::logprobs;
use crate::messages;
use crate::model_names::{NamedModel, named};
use crate::personal::{PersonalText, Sender};
use crate::plain::{self, PlainText};
use crate::run::{TextWork, run_all, stream_all};
use crate::sse::{AnswerFormat, SseMessage, ToldTokens};
use crate::text_options::{StreamOptions, TextOptions, max_tokens};

/// Answers an input.
pub(crate) async fn responses(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Responses, &body)?;
    let models = app.models()?;
    let name = fields.text("model").unwrap_or_default().to_owned();
    let stream = StreamOptions::of(&fields)?;
    let conversation = conversation(&fields)?;
    let n_top = fields.count("top_logprobs").filter(|n| *n > 0);
    let (work, done) = match named(models, &name)? {
        NamedModel::Plain => {
            if fields.object("idiolect").is_some_and(|own| !own.is_empty()) {
                let message = "only personal models apply `idiolect`";
                return Err(ApiError::field("idiolect", message));
            }
            let options = TextOptions::of(&fields)?;
            let prompt = plain::prompt_ids(models, &Prompt::Chat(conversation))?;
            let default = app.options.default_max_tokens;
            let max_tokens = plain::limit(models, prompt.len(), max_tokens(&fields), default);
            let text = PlainText { prompt, options, max_tokens, logprobs: n_top };
            let done = choices::done_plain(text.options.sampling.seed);
            (TextWork::Plain(Box::new(text)), done)
        }
        NamedModel::Personal { method, user } => {
            let sender = Sender { caller: &caller, headers: &headers };
            let about = last_message(&conversation);
            let text = PersonalText::of(&app, &fields, &sender, (method, user), about)?;
            let done = choices::done_personal(&text);
            (TextWork::Personal(Box::new(text)), done)
        }
        NamedModel::Encoder => {
            return Err(ApiError::field("model", "this model embeds texts only"));
        }
    };
    let head = ResponseHead::of(&fields, &name);
    let place = app.enter()?;
    if stream.stream {
        let (told, text) = (ToldTokens::default(), String::new());
        let tells = n_top.is_some();
        let app_of = Arc::clone(&app);
        let format = ResponseEvents { head, app: app_of, tells, told, n_sent: 0, text, last: None };
        let response = stream_all(Arc::clone(&app), place, vec![work], format).await?;
        return Ok(choices::with_header(response, &done));
    }
    let answers = run_all(&app, vec![work], None).await?;
    drop(place);
    let Some(answer) = answers.first() else {
        return Err(ApiError::internal("compute the answer", &"there is none"));
    };
    let tokens = content_logprobs(models, n_top.is_some(), &answer.tokens);
    let body = head.ended(answer, tokens);
    Ok(choices::answer(body, &with_past(done, &answers)))
}

/// The instructions and the input as a conversation.
fn conversation(fields: &Fields<'_>) -> Result<Chat, ApiError> {
    let mut chat = match fields.value("input") {
        Some(Value::String(text)) => Chat::default().with(Role::User, text.clone()),
        Some(Value::Array(items)) => messages::conversation("input", items)?,
        _ => return Err(ApiError::field("input", "`input` is no text and no list")),
    };
    if let Some(instructions) = fields.text("instructions") {
        let content = instructions.to_owned();
        chat.messages.insert(0, Message { role: Role::System, content });
    }
    Ok(chat)
}

fn content_logprobs(models: &ServedModels, tells: bool, tokens: &[TokenLogprob]) -> Value {
    match tells {
        true => logprobs::content(models.lm.tokenizer(), tokens),
        false => json!([]),
    }
}

/// Fields of a response that are known before its text.
struct ResponseHead {
    id: String,
    message_id: String,
    created: u64,
    fields: Map<String, Value>,
}

impl ResponseHead {
    fn of(fields: &Fields<'_>, name: &str) -> Self {
        let or = |field: &str, default: Value| fields.value(field).cloned().unwrap_or(default);
        let format = fields.object("text").and_then(|text| text.get("format"));
        let format = format.filter(|format| !format.is_null()).cloned();
        let told = json!({
            "model": name,
            "instructions": or("instructions", Value::Null),
            "max_output_tokens": or("max_output_tokens", Value::Null),
            "max_tool_calls": null,
            "metadata": or("metadata", json!({})),
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "prompt_cache_key": or("prompt_cache_key", Value::Null),
            "reasoning": { "effort": null, "summary": null },
            "safety_identifier": or("safety_identifier", Value::Null),
            "service_tier": "default",
            "store": false,
            "temperature": or("temperature", json!(1.0)),
            "text": { "format": format.unwrap_or_else(|| json!({ "type": "text" })) },
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": or("top_logprobs", json!(0)),
            "top_p": or("top_p", json!(1.0)),
            "presence_penalty": or("presence_penalty", json!(0.0)),
            "frequency_penalty": or("frequency_penalty", json!(0.0)),
            "truncation": "disabled",
            "user": or("user", Value::Null),
            "background": false,
        });
        let fields = match told {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let (id, message_id) = (ids::new("resp_"), ids::new("msg_"));
        Self { id, message_id, created: ids::now(), fields }
    }

    /// The response with a status; `rest` are its further fields.
    fn response(&self, status: &str, rest: Value) -> Value {
        let mut response = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": null,
            "status": status,
            "error": null,
            "incomplete_details": null,
            "output": [],
            "usage": null,
        });
        for (name, value) in self.fields.iter().chain(rest.as_object().into_iter().flatten()) {
            response[name] = value.clone();
        }
        response
    }

    /// The response after its text has ended.
    fn ended(&self, answer: &AnswerText, tokens: Value) -> Value {
        let status = status_of(answer);
        let usage = usage_of(answer.usage);
        let incomplete = match answer.finish {
            Finish::Length => json!({ "reason": "max_output_tokens" }),
            _ => Value::Null,
        };
        // Completed is the word for an answer that reached its own end.
        let completed = match answer.finish {
            Finish::Length => Value::Null,
            _ => json!(ids::now()),
        };
        let rest = json!({
            "completed_at": completed,
            "incomplete_details": incomplete,
            "output": [self.message(status, &[self.part(&answer.text, tokens)])],
            "usage": usage,
        });
        self.response(status, rest)
    }

    fn message(&self, status: &str, content: &[Value]) -> Value {
        json!({
            "id": self.message_id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        })
    }

    fn part(&self, text: &str, tokens: Value) -> Value {
        json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": tokens })
    }
}

fn status_of(answer: &AnswerText) -> &'static str {
    match answer.finish {
        Finish::Length => "incomplete",
        Finish::End | Finish::Stop => "completed",
    }
}

fn usage_of(usage: TokenUsage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.completion,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": usage.prompt + usage.completion,
    })
}

/// The named events of a streamed response.
struct ResponseEvents {
    head: ResponseHead,
    app: Arc<App>,
    tells: bool,
    told: ToldTokens,
    /// Number of events so far.
    n_sent: u64,
    text: String,
    last: Option<AnswerText>,
}

impl ResponseEvents {
    fn event(&mut self, name: &'static str, rest: Value) -> SseMessage {
        let mut data = json!({ "type": name, "sequence_number": self.n_sent });
        self.n_sent += 1;
        for (field, value) in rest.as_object().into_iter().flatten() {
            data[field] = value.clone();
        }
        SseMessage::named(name, &data)
    }

    /// An event of the text part, with its place.
    fn of_part(&mut self, name: &'static str, mut rest: Value) -> SseMessage {
        rest["item_id"] = json!(self.head.message_id);
        rest["output_index"] = json!(0);
        rest["content_index"] = json!(0);
        self.event(name, rest)
    }

    fn tokens(&self, tokens: &[TokenLogprob]) -> Value {
        match self.app.models() {
            Ok(models) => content_logprobs(models, self.tells, tokens),
            Err(_) => json!([]),
        }
    }
}

impl AnswerFormat for ResponseEvents {
    fn begin(&mut self) -> Vec<SseMessage> {
        let response = json!({ "response": self.head.response("in_progress", json!({})) });
        let item = self.head.message("in_progress", &[]);
        let part = self.head.part("", json!([]));
        vec![
            self.event("response.created", response.clone()),
            self.event("response.in_progress", response),
            self.event("response.output_item.added", json!({ "output_index": 0, "item": item })),
            self.of_part("response.content_part.added", json!({ "part": part })),
        ]
    }

    fn piece(&mut self, index: usize, text: &str, tokens: &[TokenLogprob]) -> Vec<SseMessage> {
        self.told.add(index, tokens.len());
        self.text.push_str(text);
        let tokens = self.tokens(tokens);
        let rest = json!({ "delta": text, "logprobs": tokens });
        vec![self.of_part("response.output_text.delta", rest)]
    }

    fn ended(&mut self, _index: usize, answer: &AnswerText) -> Vec<SseMessage> {
        let tokens = self.tokens(&answer.tokens);
        let status = status_of(answer);
        let part = self.head.part(&answer.text, tokens.clone());
        let item = self.head.message(status, std::slice::from_ref(&part));
        let text = json!({ "text": answer.text, "logprobs": tokens });
        self.last = Some(answer.clone());
        vec![
            self.of_part("response.output_text.done", text),
            self.of_part("response.content_part.done", json!({ "part": part })),
            self.event("response.output_item.done", json!({ "output_index": 0, "item": item })),
        ]
    }

    fn finish(&mut self) -> Vec<SseMessage> {
        let Some(answer) = self.last.take() else { return Vec::new() };
        let tokens = self.tokens(&answer.tokens);
        let response = self.head.ended(&answer, tokens);
        let name = match answer.finish {
            Finish::Length => "response.incomplete",
            Finish::End | Finish::Stop => "response.completed",
        };
        vec![self.event(name, json!({ "response": response })), SseMessage::done()]
    }

    fn failed(&mut self, error: &ApiError) -> Vec<SseMessage> {
        let told = error.to_json()["error"].clone();
        let error = json!({ "code": "server_error", "message": told["message"] });
        let response = self.head.response("failed", json!({ "error": error }));
        vec![
            self.event("error", told),
            self.event("response.failed", json!({ "response": response })),
            SseMessage::done(),
        ]
    }
}
