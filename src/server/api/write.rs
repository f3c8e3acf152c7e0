//! `POST /api/write`: a text as a user would write it, in pieces, then its attribution and its cost.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use idiolect_core::client::OnText;
use idiolect_core::methods::Method;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use crate::app::App;
use crate::body::read_object;
use crate::choices;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::keys::Caller;
use crate::personal::{PersonalText, Subject, settings};
use crate::run::{AbortOnDrop, within};
use crate::sse::SseMessage;
use crate::text_options::personal_options;

/// Writes a text. Events: `text` with `{piece}`, `why` with the log-probabilities of each token, if
/// asked for, `done` with the JSON of `idiolect write --json`, `error`.
pub(crate) async fn write(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Write, &body)?;
    let name = fields.text("method").unwrap_or(Method::IDIOLECT.name());
    let unknown = || ApiError::field("method", format!("there is no method `{name}`"));
    let method = Method::named(name).ok_or_else(unknown)?;
    let item = fields.text("item").unwrap_or_default().to_owned();
    let user = fields.text("user").unwrap_or_default().to_owned();
    let text = PersonalText {
        method,
        user: user.clone(),
        subject: Subject::Item(item.clone()),
        rating: fields.number("rating"),
        title: fields.text("title").map(str::to_owned),
        options: personal_options(&fields, &settings(&app)?.options),
        tells_names: false,
    };
    let text = text.allowed(&app, &caller)?;
    let why = fields.flag("why") == Some(true);
    let done = choices::done_personal(&text);
    let seed = text.options.seed;
    let place = app.enter()?;
    let (sink, mut messages) = unbounded_channel::<Result<SseMessage, ApiError>>();
    let task = tokio::spawn(async move {
        let _place = place;
        let sends = sink.clone();
        let on_text: OnText = Box::new(move |piece: &str| {
            drop(sends.send(Ok(SseMessage::named("text", &json!({ "piece": piece })))));
        });
        let last = within(&app, text.write(&app, on_text, why)).await.map(|result| {
            if let Some(why) = result.why {
                drop(sink.send(Ok(SseMessage::named("why", &json!({ "tokens": why })))));
            }
            let mut told = json!(result.generated);
            told["user"] = json!(user);
            told["item"] = json!(item);
            told["seed"] = json!(seed);
            SseMessage::named("done", &told)
        });
        drop(sink.send(last));
    });
    let task = AbortOnDrop(task.abort_handle());
    // An error before the first piece has its own status.
    let lost = || Err(ApiError::internal("write the text", &"its task ended"));
    let first = messages.recv().await.unwrap_or_else(lost)?;
    let rest = futures::stream::poll_fn(move |context| {
        let _kept = &task;
        messages.poll_recv(context)
    });
    let failed = |error: ApiError| SseMessage::named("error", &error.to_json());
    let events = futures::stream::iter([first])
        .chain(rest.map(move |message| message.unwrap_or_else(failed)))
        .map(|message| Ok::<Event, Infallible>(message.into_event()));
    let response = Sse::new(events).keep_alive(KeepAlive::new().text("ping")).into_response();
    Ok(choices::with_header(response, &done))
}
