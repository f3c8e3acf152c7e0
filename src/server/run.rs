//! Runs the texts of a request and sends them, whole or as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::future::try_join_all;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::AbortHandle;

use crate::answer::{AnswerEvent, AnswerSink, AnswerText, TokenUsage};
use crate::app::{App, QueuePlace};
use crate::error::ApiError;
use crate::personal::PersonalText;
use crate::plain::PlainText;
use crate::sse::{AnswerFormat, SseMessage};

/// Time between comments that keep a silent stream open.
pub(crate) const PING: Duration = Duration::from_secs(10);

/// One text to generate.
pub(crate) enum TextWork {
    Plain(Box<PlainText>),
    Personal(Box<PersonalText>),
}

/// Runs all texts and returns them in their order. Dropping the future frees their rows.
///
/// # Errors
/// The first error of a text; 503 if they take longer than the server's timeout.
pub(crate) async fn run_all(
    app: &Arc<App>,
    works: Vec<TextWork>,
    sink: Option<AnswerSink>,
) -> Result<Vec<AnswerText>, ApiError> {
    let start = Instant::now();
    let texts = works.into_iter().enumerate().map(|(index, work)| {
        let (app, sink) = (Arc::clone(app), sink.clone());
        async move {
            match work {
                TextWork::Plain(text) => text.run(&app, index, sink).await,
                TextWork::Personal(text) => text.run(&app, index, sink).await,
            }
        }
    });
    let answers = within(app, try_join_all(texts)).await?;
    let usage = answers.iter().fold(TokenUsage::default(), |sum, answer| TokenUsage {
        prompt: sum.prompt + answer.usage.prompt,
        cached: sum.cached + answer.usage.cached,
        completion: sum.completion + answer.usage.completion,
    });
    app.metrics.count_answer(usage, start.elapsed());
    Ok(answers)
}

/// Waits for a result, at most the server's timeout.
///
/// # Errors
/// That of the work; 503 after the timeout.
pub(crate) async fn within<T>(
    app: &App,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let result = tokio::time::timeout(app.options.timeout, work).await;
    result.unwrap_or_else(|_| Err(ApiError::timeout()))
}

/// Tokens of all texts; each `n` consecutive ones have the same prompt, which counts once.
pub(crate) fn usage_of(answers: &[AnswerText], n: usize) -> TokenUsage {
    let mut sum = TokenUsage::default();
    for alike in answers.chunks(n.max(1)) {
        sum.prompt += alike.first().map_or(0, |answer| answer.usage.prompt);
        sum.cached += alike.iter().map(|answer| answer.usage.cached).min().unwrap_or(0);
        sum.completion += alike.iter().map(|answer| answer.usage.completion).sum::<usize>();
    }
    sum
}

/// Runs all texts and streams them. The answer begins with the first piece, so that errors before it
/// have their own status. The texts run in a task of their own, so that a slow reader keeps no row;
/// if the client hangs up, the task is aborted.
///
/// # Errors
/// An error before the first piece.
pub(crate) async fn stream_all(
    app: Arc<App>,
    place: QueuePlace,
    works: Vec<TextWork>,
    format: impl AnswerFormat,
) -> Result<Response, ApiError> {
    let n_texts = works.len();
    let (sink, mut events) = unbounded_channel();
    let task = tokio::spawn(async move {
        let _place = place;
        if let Err(error) = run_all(&app, works, Some(sink.clone())).await {
            drop(sink.send(AnswerEvent::Failed(error)));
        }
    });
    let task = AbortOnDrop(task.abort_handle());
    let first = match events.recv().await {
        Some(AnswerEvent::Failed(error)) => return Err(error),
        Some(event) => event,
        None => return Err(ApiError::internal("compute the answer", &"its task ended")),
    };
    let mut stream = AnswerStream {
        format: Box::new(format),
        events,
        ready: VecDeque::new(),
        n_open: n_texts,
        is_done: false,
        _task: task,
    };
    stream.ready.extend(stream.format.begin());
    stream.take(first);
    let messages = futures::stream::unfold(stream, |mut stream| async move {
        let message = stream.next().await?;
        Some((Ok::<Event, Infallible>(message.into_event()), stream))
    });
    let keep_alive = KeepAlive::new().interval(PING).text("ping");
    Ok(Sse::new(messages).keep_alive(keep_alive).into_response())
}

/// Aborts a task when it is dropped.
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The messages of an answer.
struct AnswerStream {
    format: Box<dyn AnswerFormat>,
    events: UnboundedReceiver<AnswerEvent>,
    ready: VecDeque<SseMessage>,
    /// Number of texts that have not ended.
    n_open: usize,
    is_done: bool,
    _task: AbortOnDrop,
}

impl AnswerStream {
    async fn next(&mut self) -> Option<SseMessage> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            if self.is_done {
                return None;
            }
            let lost =
                || AnswerEvent::Failed(ApiError::internal("compute the answer", &"its task ended"));
            let event = self.events.recv().await.unwrap_or_else(lost);
            self.take(event);
        }
    }

    fn take(&mut self, event: AnswerEvent) {
        match event {
            AnswerEvent::Piece { index, text, tokens } => {
                self.ready.extend(self.format.piece(index, &text, &tokens));
            }
            AnswerEvent::Ended { index, answer } => {
                self.ready.extend(self.format.ended(index, &answer));
                self.n_open = self.n_open.saturating_sub(1);
                if self.n_open == 0 {
                    self.ready.extend(self.format.finish());
                    self.is_done = true;
                }
            }
            AnswerEvent::Failed(error) => {
                self.ready.extend(self.format.failed(&error));
                self.is_done = true;
            }
        }
    }
}
