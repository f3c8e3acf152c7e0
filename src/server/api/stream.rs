//! Server-sent events of texts that a task writes.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::error::ApiError;
use crate::run::{AbortOnDrop, PING};
use crate::sse::SseMessage;

/// Takes the messages of an answer. An error becomes the event `error`; the first message alone, if it
/// is an error, becomes the status of the answer.
pub(super) type MessageSink = UnboundedSender<Result<SseMessage, ApiError>>;

/// Streams the messages of a task, which is aborted if the client hangs up. The answer begins with the
/// first message.
///
/// # Errors
/// The error that is the first message.
pub(super) async fn stream(
    task: AbortOnDrop,
    mut messages: UnboundedReceiver<Result<SseMessage, ApiError>>,
) -> Result<Response, ApiError> {
    let lost = || Err(ApiError::internal("compute the answer", &"its task ended"));
    let first = messages.recv().await.unwrap_or_else(lost)?;
    let rest = futures::stream::poll_fn(move |context| {
        let _kept = &task;
        messages.poll_recv(context)
    });
    let failed = |error: ApiError| SseMessage::named("error", &error.to_json());
    let events = futures::stream::iter([first])
        .chain(rest.map(move |message| message.unwrap_or_else(failed)))
        .map(|message| Ok::<Event, Infallible>(message.into_event()));
    let keep_alive = KeepAlive::new().interval(PING).text("ping");
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}
