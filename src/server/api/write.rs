//! `POST /api/write`: a text as a user would write it, in pieces, then its attribution and its cost.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use idiolect_core::client::OnText;
use idiolect_core::methods::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::stream::stream;
use crate::app::App;
use crate::body::read_object;
use crate::choices;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::keys::Caller;
use crate::personal::{OnTokens, PersonalResult, PersonalText, Subject, answers, settings};
use crate::run::{AbortOnDrop, within};
use crate::sse::SseMessage;
use crate::text_options::personal_options;

/// Writes a text. Events: `text` with `{piece}`; if `why` asks for attributions, `tokens` with those of
/// new tokens, before their text, and `why` with those of the whole text; `done` with the JSON of `idiolect write --json`, `error`.
pub(super) async fn write(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Write, &body)?;
    let text = text_of(&app, &caller, &fields)?;
    let why = fields.flag("why") == Some(true);
    let done = choices::done_personal(&text);
    let place = app.enter()?;
    let (sink, messages) = unbounded_channel::<Result<SseMessage, ApiError>>();
    let task = tokio::spawn(async move {
        let _place = place;
        let sends = sink.clone();
        let on_text: OnText = Box::new(move |piece: &str| {
            drop(sends.send(Ok(SseMessage::named("text", &json!({ "piece": piece })))));
        });
        let sends = sink.clone();
        let on_tokens: OnTokens = Box::new(move |tokens| {
            drop(sends.send(Ok(SseMessage::named("tokens", &json!({ "tokens": tokens })))));
        });
        let why = why.then_some(on_tokens);
        let target = text.clone();
        let last = within(&app, text.write(&app, on_text, why)).await.map(|mut result| {
            if let Some(why) = result.why.take() {
                drop(sink.send(Ok(SseMessage::named("why", &json!({ "tokens": why })))));
            }
            SseMessage::named("done", &told(&target, &result))
        });
        drop(sink.send(last));
    });
    let response = stream(AbortOnDrop(task.abort_handle()), messages).await?;
    Ok(choices::with_header(response, &done))
}

/// The text that a request with `method`, `user`, `item`, `rating`, `title`, `context`, `strength` and sampling
/// settings asks for, if the key may write as the user.
pub(super) fn text_of(
    app: &App,
    caller: &Caller,
    fields: &Fields<'_>,
) -> Result<PersonalText, ApiError> {
    let settings = settings(app)?;
    let (answers, _) = answers(settings, fields.text("context"), "context")?;
    let text = PersonalText {
        method: method(fields.text("method"))?,
        user: fields.text("user").unwrap_or_default().to_owned(),
        subject: Subject::Item(fields.text("item").unwrap_or_default().to_owned()),
        rating: fields.number("rating"),
        title: fields.text("title").map(str::to_owned),
        answers,
        options: personal_options(fields, &settings.options),
        strength: fields.number("strength").unwrap_or(1.0),
        also_hidden: Vec::new(),
        tells_names: false,
    };
    text.allowed(app, caller)
}

/// The method of this name, or the default one.
pub(super) fn method(name: Option<&str>) -> Result<Method, ApiError> {
    let Some(name) = name else { return Ok(Method::IDIOLECT) };
    let unknown = || ApiError::field("method", format!("there is no method `{name}`"));
    Method::named(name).ok_or_else(unknown)
}

/// The JSON of `idiolect write --json` without the settings.
pub(super) fn told(target: &PersonalText, result: &PersonalResult) -> Value {
    let mut told = json!(result.generated);
    told["user"] = json!(target.user);
    if let Subject::Item(item) = &target.subject {
        told["item"] = json!(item);
    }
    told["seed"] = json!(target.options.seed);
    told
}
