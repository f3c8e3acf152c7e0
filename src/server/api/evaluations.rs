//! `/api/evaluations`: reports of `idiolect evaluate` that the store keeps, and evaluations that run.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::{StoreWork, on_store};
use crate::app::App;
use crate::body::discard;
use crate::error::ApiError;
use crate::keys::Caller;
use crate::path_name::PathName;
use crate::tickets::TICKET_LIFE;

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

/// An address that shows a report once without a key, for a frame or a tab of a browser.
pub(super) async fn ticket(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let path = request.uri().path().to_owned();
    discard(request.into_body()).await;
    let shared = Arc::clone(&app);
    on_store(app, caller, move |work| {
        work.check_everybody()?;
        html(work, &id)?;
        let path = path.strip_suffix("ticket").unwrap_or(&path);
        let address = shared.tickets.address(&format!("{path}report"));
        Ok(Json(json!({ "address": address, "seconds": TICKET_LIFE.as_secs() })))
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
        html(work, &id)
    })
    .await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, html).into_response())
}

fn html(work: &StoreWork, id: &str) -> Result<String, ApiError> {
    let report = work.store()?.evaluation_report(id);
    let report = report.map_err(|error| work.of_store(&error))?;
    report.ok_or_else(|| ApiError::not_found("there is no such report"))
}
