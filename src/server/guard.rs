//! Checks that every request passes before any route: `Host`, `Origin`, the key.
//!
//! A page of another site can make a browser send requests to this machine. `Host` tells a page whose
//! name was bound to a loopback address (DNS rebinding), `Origin` any other.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::body::discard;
use crate::error::ApiError;
use crate::keys::Caller;
use crate::page;

/// The route that needs no key, besides the files of the page and addresses with a ticket.
pub(crate) const HEALTH: &str = "/health";

/// Checks a request, passes it on, and adds the CORS and safety headers to its answer.
pub(crate) async fn guard(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let origin = match allowed_origin(&app, &request) {
        Ok(origin) => origin,
        Err(error) => {
            discard(request.into_body()).await;
            return with_headers(error.into_response(), None);
        }
    };
    let response = match caller(&app, &request, origin.as_ref()) {
        // A browser asks before it sends a request with a key from a page of another origin.
        Ok(_) if origin.is_some() && is_preflight(&request) => {
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => {
            discard(request.into_body()).await;
            error.into_response()
        }
    };
    with_headers(response, origin)
}

/// The value of `Origin` that the answer allows to read it; `None` if there is none or it is the
/// server's own.
fn allowed_origin(app: &App, request: &Request) -> Result<Option<HeaderValue>, ApiError> {
    let host = host(request).filter(|host| is_allowed(app, host.host()));
    let Some(host) = host else {
        let what = "the `Host` of the request is not allowed; --allow-host NAME allows it";
        return Err(ApiError::forbidden(what, "host_not_allowed"));
    };
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(None) };
    let text = origin.to_str().unwrap_or_default();
    if text.strip_prefix("http://") == Some(host.as_str()) {
        return Ok(None);
    }
    if app.options.cors_origins.iter().any(|allowed| allowed == text) {
        return Ok(Some(origin.clone()));
    }
    let what = "pages of this `Origin` are not allowed; --cors-origin ORIGIN allows them";
    Err(ApiError::forbidden(what, "origin_not_allowed"))
}

/// Host and port that the request names. A request that names none, several, or two different ones
/// has none.
fn host(request: &Request) -> Option<Authority> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let host: Authority = named.next()?.to_str().ok()?.parse().ok()?;
    let of_uri = request.uri().authority();
    let is_one = named.next().is_none() && of_uri.is_none_or(|other| *other == host);
    (is_one && !host.as_str().contains('@')).then_some(host)
}

fn is_allowed(app: &App, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    };
    is_loopback || app.options.allowed_hosts.iter().any(|name| name.eq_ignore_ascii_case(bare))
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The sender of the request by its key.
fn caller(app: &App, request: &Request, origin: Option<&HeaderValue>) -> Result<Caller, ApiError> {
    let path = request.uri().path();
    let is_open =
        path == HEALTH || page::is_file(path) || (origin.is_some() && is_preflight(request));
    if app.options.keys.is_empty() || is_open {
        return Ok(Caller::default());
    }
    let Some(key) = bearer(request.headers()) else {
        // Tickets are given to callers who may read everybody's texts.
        let has_ticket = request.method() == Method::GET && app.tickets.take(request.uri());
        return if has_ticket { Ok(Caller::default()) } else { Err(ApiError::key()) };
    };
    app.options.keys.caller(key).cloned().ok_or_else(ApiError::key)
}

/// The key of the header `Authorization: Bearer KEY`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn with_headers(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        let list = HeaderValue::from_static;
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, list("GET, POST, PATCH, DELETE"));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            list("Authorization, Content-Type, X-Requested-With"),
        );
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, list("x-idiolect"));
    }
    response
}
