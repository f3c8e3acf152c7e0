//! `POST /api/score`: the log-probabilities of a given text, as if a user wrote it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::write::text_of;
use crate::app::App;
use crate::body::read_object;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::keys::Caller;
use crate::run::within;

/// Scores a text under the prompt that `POST /api/write` would complete: its tokens with their
/// attribution, and their bits.
pub(super) async fn score(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Score, &body)?;
    let prompt = text_of(&app, &caller, &fields)?;
    let given = fields.text("text").unwrap_or_default().to_owned();
    if given.trim().is_empty() {
        return Err(ApiError::field("text", "`text` is empty"));
    }
    let _place = app.enter()?;
    let tokens = within(&app, prompt.attribute(&app, given)).await?;
    let total: f64 = tokens.iter().map(|token| f64::from(token.logprob)).sum();
    let bits = -total / std::f64::consts::LN_2;
    Ok(Json(json!({
        "tokens": tokens,
        "n_tokens": tokens.len(),
        "bits": bits,
        "bits_per_token": bits / tokens.len().max(1) as f64,
    })))
}
