//! Reads the JSON body of a request, of bounded size and in bounded time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Maximum size of a body, bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// Maximum time until the whole body has arrived.
const BODY_TIME: Duration = Duration::from_secs(20);

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

async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let limited = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIME, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::too_large(MAX_BODY)),
        Ok(Err(_)) => Err(ApiError::invalid("the body ended before its announced length")),
        Err(_) => Err(ApiError::slow_body()),
    }
}
