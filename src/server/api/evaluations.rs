//! `/api/evaluations`: reports of `idiolect evaluate` that the store keeps, and evaluations that run.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::on_store;
use crate::app::App;
use crate::error::ApiError;
use crate::keys::Caller;
use crate::path_name::PathName;

/// Content security policy of a report: its own styles and script, and no way to any address, to
/// another frame or to what the server's pages keep in the browser.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'; \
                      sandbox allow-scripts";

/// The reports, the newest first, and the evaluations that run.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, ApiError> {
    on_store(app, caller, |work| {
        // Figures were made from everybody's texts.
        work.check_everybody()?;
        let store = work.store()?;
        let reports = store.evaluations().map_err(|error| work.of_store(&error))?;
        let running = store.running_evaluations().map_err(|error| work.of_store(&error))?;
        Ok(Json(json!({ "reports": reports, "running": running })))
    })
    .await
}

/// The HTML of a report.
pub(super) async fn report(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
) -> Result<Response, ApiError> {
    let html = on_store(app, caller, move |work| {
        work.check_everybody()?;
        let report = work.store()?.evaluation_report(&id);
        let report = report.map_err(|error| work.of_store(&error))?;
        report.ok_or_else(|| ApiError::not_found("there is no such report"))
    })
    .await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, html).into_response())
}
