//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use idiolect_engine::lm::{Chat, Prompt, Role, TokenLogprob};
use serde_json::{Value, json};

use crate::ServedModels;
use crate::answer::{AnswerText, TokenUsage, finish_reason};
use crate::app::App;
use crate::body::read_object;
use crate::choices;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::keys::Caller;
use crate::logprobs;
use crate::messages;
use crate::model_names::{NamedModel, named};
use crate::personal::{PersonalText, Sender};
use crate::plain::{self, PlainText};
use crate::run::{TextWork, run_all, stream_all, usage_of};
use crate::sse::{AnswerFormat, SseMessage, ToldTokens, usage_chunk};
use crate::text_options::{StreamOptions, TextOptions, max_tokens};

/// Answers a conversation.
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Chat, &body)?;
    let models = app.models()?;
    let name = fields.text("model").unwrap_or_default().to_owned();
    let stream = StreamOptions::of(&fields)?;
    let list = fields.value("messages").and_then(Value::as_array);
    let conversation = messages::conversation("messages", list.map_or(&[], Vec::as_slice))?;
    let n = fields.count("n").unwrap_or(1);
    let (works, done): (Vec<TextWork>, _) = match named(models, &name)? {
        NamedModel::Plain => {
            let text = plain_text(&app, models, &fields, conversation)?;
            let done = choices::done_plain(text.options.sampling.seed);
            (text.times(n).map(Box::new).map(TextWork::Plain).collect(), done)
        }
        NamedModel::Personal { method, user } => {
            let sender = Sender { caller: &caller, headers: &headers };
            let about = last_message(&conversation);
            let text = PersonalText::of(&app, &fields, &sender, (method, user), about)?;
            let done = choices::done_personal(&text);
            (text.times(n).map(Box::new).map(TextWork::Personal).collect(), done)
        }
        NamedModel::Encoder => {
            return Err(ApiError::field("model", "this model embeds texts only"));
        }
    };
    let tells_logprobs = fields.flag("logprobs") == Some(true);
    let place = app.enter()?;
    if stream.stream {
        let format = ChatChunks {
            head: choices::head(models, "chatcmpl-", "chat.completion.chunk", &name),
            app: Arc::clone(&app),
            stream,
            tells_logprobs,
            begun: vec![false; works.len()],
            told: ToldTokens::default(),
            ended: Vec::new(),
        };
        let response = stream_all(Arc::clone(&app), place, works, format).await?;
        return Ok(choices::with_header(response, &done));
    }
    let answers = run_all(&app, works, None).await?;
    drop(place);
    let mut body = choices::head(models, "chatcmpl-", "chat.completion", &name);
    let choice = |(index, answer): (usize, &AnswerText)| {
        let tokens =
            tells_logprobs.then(|| logprobs::of_chat(models.lm.tokenizer(), &answer.tokens));
        json!({
            "index": index,
            "message": {
                "role": "assistant",
                "content": answer.text,
                "refusal": null,
                "annotations": [],
            },
            "logprobs": tokens,
            "finish_reason": finish_reason(answer.finish),
        })
    };
    body["choices"] = answers.iter().enumerate().map(choice).collect();
    body["usage"] = usage_of(&answers, n).to_json();
    body["service_tier"] = json!("default");
    Ok(choices::answer(body, &with_past(done, &answers)))
}

/// The header's value with the number of past texts, for personal models.
pub(crate) fn with_past(done: String, answers: &[AnswerText]) -> String {
    match answers.first().and_then(|answer| answer.n_past) {
        Some(n_past) => format!("{done}; past={n_past}"),
        None => done,
    }
}

/// The last message of the user, which a personal text is about.
pub(crate) fn last_message(conversation: &Chat) -> Option<String> {
    let of_user = conversation.messages.iter().rfind(|message| message.role == Role::User);
    of_user.map(|message| message.content.clone())
}

fn plain_text(
    app: &App,
    models: &ServedModels,
    fields: &Fields<'_>,
    conversation: Chat,
) -> Result<PlainText, ApiError> {
    if fields.object("idiolect").is_some_and(|own| !own.is_empty()) {
        let message = "only personal models apply `idiolect`; name one, `NAME+METHOD`, in `model`";
        return Err(ApiError::field("idiolect", message));
    }
    let continues = fields.flag("continue_final_message") == Some(true);
    if fields.flag("add_generation_prompt") == Some(continues) {
        let message = "`add_generation_prompt` is false with `continue_final_message` and true \
                       without it";
        return Err(ApiError::field("add_generation_prompt", message));
    }
    let conversation = if continues { messages::continued(conversation)? } else { conversation };
    let top = fields.count("top_logprobs").unwrap_or(0);
    let tells_logprobs = fields.flag("logprobs") == Some(true);
    if top > 0 && !tells_logprobs {
        return Err(ApiError::field("top_logprobs", "`top_logprobs` needs `logprobs: true`"));
    }
    let options = TextOptions::of(fields)?;
    let prompt = plain::prompt_ids(models, &Prompt::Chat(conversation))?;
    let default = app.options.default_max_tokens;
    let max_tokens = plain::limit(models, prompt.len(), max_tokens(fields), default);
    Ok(PlainText { prompt, options, max_tokens, logprobs: tells_logprobs.then_some(top) })
}

/// The chunks of a streamed answer.
struct ChatChunks {
    head: Value,
    app: Arc<App>,
    stream: StreamOptions,
    tells_logprobs: bool,
    /// Which texts have begun.
    begun: Vec<bool>,
    told: ToldTokens,
    ended: Vec<AnswerText>,
}

impl ChatChunks {
    fn chunk(
        &self,
        index: usize,
        delta: Value,
        tokens: &[TokenLogprob],
        finish: Option<&str>,
    ) -> SseMessage {
        let mut chunk = self.head.clone();
        let told = match self.app.models() {
            Ok(models) if self.tells_logprobs && !tokens.is_empty() => {
                logprobs::of_chat(models.lm.tokenizer(), tokens)
            }
            _ => Value::Null,
        };
        chunk["choices"] = json!([{
            "index": index,
            "delta": delta,
            "logprobs": told,
            "finish_reason": finish,
        }]);
        if self.stream.include_usage {
            chunk["usage"] = Value::Null;
        }
        SseMessage::json(&chunk)
    }

    /// The first chunk of a text, if it has not been sent.
    fn opening(&mut self, index: usize) -> Option<SseMessage> {
        let begun = self.begun.get_mut(index)?;
        if std::mem::replace(begun, true) {
            return None;
        }
        Some(self.chunk(index, json!({ "role": "assistant", "content": "" }), &[], None))
    }
}

impl AnswerFormat for ChatChunks {
    fn piece(&mut self, index: usize, text: &str, tokens: &[TokenLogprob]) -> Vec<SseMessage> {
        let opening = self.opening(index);
        self.told.add(index, tokens.len());
        let chunk = self.chunk(index, json!({ "content": text }), tokens, None);
        opening.into_iter().chain([chunk]).collect()
    }

    fn ended(&mut self, index: usize, answer: &AnswerText) -> Vec<SseMessage> {
        let opening = self.opening(index);
        let rest = self.told.rest(index, &answer.tokens);
        let chunk = self.chunk(index, json!({}), rest, Some(finish_reason(answer.finish)));
        self.ended.push(answer.clone());
        opening.into_iter().chain([chunk]).collect()
    }

    fn finish(&mut self) -> Vec<SseMessage> {
        let usage: TokenUsage = usage_of(&self.ended, self.ended.len());
        let usage = self
            .stream
            .include_usage
            .then(|| SseMessage::json(&usage_chunk(&self.head, usage.to_json())));
        usage.into_iter().chain([SseMessage::done()]).collect()
    }
}
