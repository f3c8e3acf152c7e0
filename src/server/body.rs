//! Reads the JSON body of a request, of bounded size and in bounded time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Maximum size of a body, bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// Maximum time until the whole body has arrived.
const BODY_TIME: Duration = Duration::from_secs(20);

/// Maximum size of a discarded body, bytes.
const MAX_DISCARDED: usize = 8 << 20;

/// Maximum time for discarding a body.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Reads a body that is a JSON object.
///
/// # Errors
/// 400 if it is no JSON object or the connection fails, 408 if it does not arrive in time, 413 if it
/// is larger than [`MAX_BODY`].
pub(crate) async fn read_object(request: Request) -> Result<Map<String, Value>, ApiError> {
    let bytes = read(request.into_body()).await?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(ApiError::invalid("the body is no JSON object")),
        Err(error) => {
            // The message of the parser may quote the body.
            let (line, column) = (error.line(), error.column());
            let what = format!("the body is no JSON: mistake at line {line}, column {column}");
            Err(ApiError::invalid(what))
        }
    }
}

async fn read(mut body: Body) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let whole = async {
        while let Some(frame) = body.frame().await {
            let cut = |_| ApiError::invalid("the body ended before its announced length");
            if let Some(data) = frame.map_err(cut)?.data_ref() {
                if bytes.len() + data.len() > MAX_BODY {
                    return Err(ApiError::too_large(MAX_BODY));
                }
                bytes.extend_from_slice(data);
            }
        }
        Ok(())
    };
    let read = tokio::time::timeout(BODY_TIME, whole).await;
    match read.unwrap_or_else(|_| Err(ApiError::slow_body())) {
        Ok(()) => Ok(bytes),
        Err(error) => {
            discard(body).await;
            Err(error)
        }
    }
}

/// Reads what is left of a body, within bounds, for an answer that does not depend on it. A client
/// that still sends would otherwise lose the answer, or find the connection closed at its next
/// request.
pub(crate) async fn discard(mut body: Body) {
    let rest = async {
        let mut n_bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            n_bytes += frame.data_ref().map_or(0, |data| data.len());
            if n_bytes > MAX_DISCARDED {
                return;
            }
        }
    };
    drop(tokio::time::timeout(DISCARD_TIME, rest).await);
}
