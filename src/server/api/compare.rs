//! `POST /api/compare`: texts of several methods or users on one item, written side by side, and the
//! bits of a real text under each.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::future::join_all;
use idiolect_core::client::{OnText, Scored};
use idiolect_core::corpus::StoredReview;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::on_store;
use super::stream::{MessageSink, stream};
use super::write::{method, told};
use crate::app::App;
use crate::body::read_object;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::keys::Caller;
use crate::personal::{PersonalText, Subject, answers, on_thread, settings};
use crate::run::{AbortOnDrop, within};
use crate::sse::SseMessage;
use crate::text_options::personal_options;

/// Least and greatest number of columns.
const N_COLUMNS: std::ops::RangeInclusive<usize> = 2..=4;

/// Writes the texts. Events: `begin` with `{columns, seed, real}`, whether a real text will come; `text`
/// with `{column, piece}`; `done` with `{column, ...}` as of `/api/write`; `real` with a real text of one of
/// the users and its bits under each column's prompt, which does not hold it; `error` with
/// `{column, error}`; `end`.
pub(super) async fn compare(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Compare, &body)?;
    let columns = columns(&app, &caller, &fields)?;
    let real = real_text(&app, &caller, &columns).await?;
    let place = app.enter()?;
    let (sink, messages) = unbounded_channel();
    // The answer begins at once: a first piece may take a while.
    let begin = json!({
        "columns": columns.len(),
        "seed": columns[0].options.seed,
        "real": real.is_some(),
    });
    drop(sink.send(Ok(SseMessage::named("begin", &begin))));
    let task = tokio::spawn(async move {
        let _place = place;
        let all = async {
            let written = columns.iter().enumerate();
            let written = written.map(|(index, column)| write_column(&app, &sink, index, column));
            join_all(written).await;
            if let Some(real) = real {
                drop(sink.send(Ok(score_real(&app, &sink, &columns, real).await)));
            }
            Ok(())
        };
        let last = within(&app, all).await.map(|()| SseMessage::named("end", &json!({})));
        drop(sink.send(last));
    });
    stream(AbortOnDrop(task.abort_handle()), messages).await
}

/// The texts that the request asks for.
fn columns(app: &App, caller: &Caller, fields: &Fields<'_>) -> Result<Vec<PersonalText>, ApiError> {
    let wrong = |what: &str| ApiError::field("columns", format!("`columns` {what}"));
    let list = fields.value("columns").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !N_COLUMNS.contains(&list.len()) {
        return Err(wrong("has not 2 to 4 objects"));
    }
    let settings = settings(app)?;
    let options = personal_options(fields, &settings.options);
    let (answers, _) = answers(settings, fields.text("context"), "context")?;
    let column = |column: &Value| {
        let empty = Map::new();
        let object = column.as_object().unwrap_or(&empty);
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let is_known = |name: &String| matches!(name.as_str(), "method" | "user");
        let all_texts = object.values().all(Value::is_string);
        let (Some(user), true, true) = (text("user"), object.keys().all(is_known), all_texts)
        else {
            return Err(wrong("has an object that is not `method` and `user`"));
        };
        let text = PersonalText {
            method: method(text("method"))?,
            user: user.to_owned(),
            subject: Subject::Item(fields.text("item").unwrap_or_default().to_owned()),
            rating: fields.number("rating"),
            title: fields.text("title").map(str::to_owned),
            answers: answers.clone(),
            options: options.clone(),
            strength: fields.number("strength").unwrap_or(1.0),
            also_hidden: Vec::new(),
            tells_names: false,
        };
        text.allowed(app, caller)
    };
    list.iter().map(column).collect()
}

/// A real text of one of the columns' users on the item, the newest of the first who has one.
///
/// # Errors
/// 400 if a user or the item is unknown.
async fn real_text(
    app: &Arc<App>,
    caller: &Caller,
    columns: &[PersonalText],
) -> Result<Option<StoredReview>, ApiError> {
    let users: Vec<String> = columns.iter().map(|column| column.user.clone()).collect();
    let Some(PersonalText { subject: Subject::Item(item), .. }) = columns.first() else {
        return Ok(None);
    };
    let item = item.clone();
    on_store(Arc::clone(app), caller.clone(), move |work| {
        let store = work.store()?;
        store.item(&item).map_err(|error| work.of_store(&error))?;
        let mut real = None;
        for user in &users {
            let mut history = store.history(user).map_err(|error| work.of_store(&error))?;
            history.retain(|stored| stored.review.item == item);
            let newest =
                history.into_iter().rev().find(|stored| !stored.review.text.trim().is_empty());
            real = real.or(newest);
        }
        Ok(real)
    })
    .await
}

/// Writes the text of a column. An error ends this column alone.
async fn write_column(app: &Arc<App>, sink: &MessageSink, index: usize, column: &PersonalText) {
    let sends = sink.clone();
    let on_text: OnText = Box::new(move |piece: &str| {
        let piece = json!({ "column": index, "piece": piece });
        drop(sends.send(Ok(SseMessage::named("text", &piece))));
    });
    let message = match column.clone().write(app, on_text, None).await {
        Ok(result) => {
            let mut done = json!({ "column": index });
            if let Value::Object(told) = told(column, &result) {
                done.as_object_mut().into_iter().for_each(|done| done.extend(told.clone()));
            }
            SseMessage::named("done", &done)
        }
        Err(error) => failed(index, &error),
    };
    drop(sink.send(Ok(message)));
}

/// The event of a column that failed.
fn failed(index: usize, error: &ApiError) -> SseMessage {
    let mut told = error.to_json();
    told["column"] = json!(index);
    SseMessage::named("error", &told)
}

/// The real text and its bits under the prompt of each column.
async fn score_real(
    app: &Arc<App>,
    sink: &MessageSink,
    columns: &[PersonalText],
    real: StoredReview,
) -> SseMessage {
    let scores = columns.iter().map(|column| {
        let mut column = column.clone();
        if column.user != real.review.user {
            column.also_hidden = vec![(real.review.user.clone(), real.review.item.clone())];
        }
        score(app, column, real.clone())
    });
    let mut told = Vec::new();
    for (index, scored) in join_all(scores).await.into_iter().enumerate() {
        match scored {
            Ok(scored) => told.push(json!({
                "column": index,
                "bits": scored.bits(),
                "bits_per_token": scored.bits_per_token(),
                "n_tokens": scored.n_tokens,
            })),
            Err(error) => drop(sink.send(Ok(failed(index, &error)))),
        }
    }
    let real = json!({
        "user": real.review.user,
        "text": real.review.text,
        "rating": real.review.rating,
        "title": real.review.title,
        "columns": told,
    });
    SseMessage::named("real", &real)
}

/// Scores a stored text under the prompt of a text to write.
pub(super) async fn score(
    app: &Arc<App>,
    prompt: PersonalText,
    given: StoredReview,
) -> Result<Scored, ApiError> {
    on_thread(app, move |app, stop| {
        prompt.prepared(app, stop, async |prepared, inputs, options| {
            prepared.score(inputs, options, &given).await
        })
    })
    .await
}
