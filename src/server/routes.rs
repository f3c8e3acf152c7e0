//! The routes.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::body::discard;
use crate::error::ApiError;
use crate::fields::BodyRoute;
use crate::guard::{HEALTH, guard};
use crate::model_names::{describe, names};
use crate::path_name::PathName;
use crate::{api, chat, completions, embeddings, openapi, page, responses, tokens};

/// All routes behind the guard.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(HEALTH, get(health))
        .route("/metrics", get(metrics))
        .route("/v1/models", get(list_models))
        .route("/v1/models/{id}", get(one_model))
        .route("/v1/openapi.json", get(openapi_document))
        .route("/tokenizer_info", get(tokens::tokenizer_info))
        .route(BodyRoute::Chat.path(), post(chat::chat))
        .route(BodyRoute::Completions.path(), post(completions::completions))
        .route(BodyRoute::Responses.path(), post(responses::responses))
        .route(BodyRoute::Embeddings.path(), post(embeddings::embeddings))
        .route(BodyRoute::Tokenize.path(), post(tokens::tokenize))
        .route(BodyRoute::Detokenize.path(), post(tokens::detokenize))
        .merge(api::routes())
        .merge(page::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), count))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// Counts the answer by route and status. Addresses that are no route count as one, so that a
/// client cannot make any number of counters.
async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let path = path.as_deref().unwrap_or("other");
    app.metrics.count_request(path, response.status().as_u16());
    response
}

async fn health(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    app.models()?;
    Ok(Json(json!({ "status": "ok" })))
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let lm = app.models().ok().map(|models| &models.lm);
    ([(header::CONTENT_TYPE, kind)], app.metrics.text(lm))
}

async fn list_models(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let models = app.models()?;
    let list = names(models).into_iter().map(|name| describe(&app, models, &name));
    let list: Vec<Value> = list.collect::<Result<_, _>>()?;
    Ok(Json(json!({ "object": "list", "data": list })))
}

async fn one_model(
    State(app): State<Arc<App>>,
    PathName(id): PathName,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(describe(&app, app.models()?, &id)?))
}

async fn openapi_document() -> Json<Value> {
    Json(openapi::document())
}

async fn unknown(request: Request) -> ApiError {
    let (head, body) = request.into_parts();
    discard(body).await;
    let path = head.uri.path();
    // Clients of Ollama ask for these; their users should know why they fail.
    let is_ollama = ["/api/version", "/api/tags", "/api/ps", "/api/chat", "/api/generate"]
        .iter()
        .any(|known| path.ends_with(known));
    match is_ollama {
        true => ApiError::not_found(
            "this is an OpenAI-compatible server and not Ollama; use its address with /v1 as an \
             OpenAI connection",
        ),
        false => ApiError::not_found("there is no such route; GET /v1/openapi.json lists them"),
    }
}

async fn wrong_method(request: Request) -> ApiError {
    let (head, body) = request.into_parts();
    discard(body).await;
    ApiError::method(format!("this route does not take {}", head.method))
}
