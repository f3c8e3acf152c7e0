//! Errors of the server itself, and errors that it answers with.

use std::path::PathBuf;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use idiolect_core::{client, corpus, difference, methods, peers, task};
use idiolect_engine::{encoder, lm, model};
use serde_json::{Value, json};

/// Errors of starting a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file of keys cannot be read.
    #[error("read keys {path}: {source}", path = path.display())]
    ReadKeys {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file of keys is malformed.
    #[error("keys {path}, line {line}: {what}", path = path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The mistake.
        what: &'static str,
    },
    /// The address can be reached from other machines, and no key is needed.
    #[error(
        "{address} can be reached from other machines, so that a key is needed; give \
         --api-key-file, or listen on 127.0.0.1"
    )]
    KeyNeeded {
        /// The address.
        address: std::net::IpAddr,
    },
    /// A header is to name the user, and no key is needed.
    #[error("--user-header lets a client choose whom it writes as; give --api-key-file as well")]
    HeaderWithoutKey,
    /// The address cannot be listened on.
    #[error("listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The threads of the server cannot be started.
    #[error("start the server: {source}")]
    Start {
        /// The system's error.
        source: std::io::Error,
    },
}

/// An error that a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// OpenAI's `type`.
    kind: &'static str,
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
    /// Seconds after which the request can be sent again.
    retry_after: Option<u32>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, kind, message, param: None, code: None, retry_after: None }
    }

    /// 400: the request is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// 400: a field is wrong.
    pub(crate) fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::invalid(message) }
    }

    /// 404: there is no such model.
    pub(crate) fn no_model(name: &str) -> Self {
        let message =
            format!("the model `{name}` does not exist; GET /v1/models lists those that do");
        Self {
            status: StatusCode::NOT_FOUND,
            code: Some("model_not_found"),
            ..Self::field("model", message)
        }
    }

    /// 401: no key, or a wrong one.
    pub(crate) fn key() -> Self {
        let message = "a valid key is needed: send `Authorization: Bearer KEY`";
        let error = Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message);
        Self { code: Some("invalid_api_key"), ..error }
    }

    /// 403: the request is not allowed.
    pub(crate) fn forbidden(message: impl Into<String>, code: &'static str) -> Self {
        let error = Self::new(StatusCode::FORBIDDEN, "permission_error", message);
        Self { code: Some(code), ..error }
    }

    /// 404: there is no such route, or no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message);
        Self { code: Some("not_found"), ..error }
    }

    /// 405: the route does not take this method.
    pub(crate) fn method(message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", message);
        Self { code: Some("method_not_allowed"), ..error }
    }

    /// 408: the body did not arrive in time.
    pub(crate) fn slow_body() -> Self {
        let message = "the body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", message)
    }

    /// 413: the body is too large.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    }

    /// 429: too many requests wait.
    pub(crate) fn queue_full() -> Self {
        let message = "too many requests are waiting; send it again later";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        Self { code: Some("queue_full"), retry_after: Some(1), ..error }
    }

    /// 503: the models are not loaded yet.
    pub(crate) fn loading() -> Self {
        let message = "the models are being loaded";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        Self { code: Some("loading"), retry_after: Some(1), ..error }
    }

    /// 503: the answer took too long.
    pub(crate) fn timeout() -> Self {
        let message = "the answer took longer than the server's --timeout";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        Self { code: Some("timeout"), retry_after: Some(10), ..error }
    }

    /// 503: something outside of the server keeps it from answering.
    pub(crate) fn unavailable(message: impl Into<String>, code: &'static str) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        Self { code: Some(code), ..error }
    }

    /// 500: a fault of the server. The cause is logged and not told.
    pub(crate) fn internal(what: &str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(what, %cause, "request failed");
        let message = format!("the server failed to {what}; its log has the cause");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// Whether the request, and not the server, is at fault.
    pub(crate) fn is_of_client(&self) -> bool {
        self.status.is_client_error()
    }

    pub(crate) fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Error of a language model: the client's fault or the server's.
    pub(crate) fn of_lm(error: &lm::Error) -> Self {
        use lm::Error as Lm;
        let message = error.to_string();
        match error {
            Lm::TooLong { .. } | Lm::Budget { .. } => {
                Self::invalid(message).with_code("context_length_exceeded")
            }
            Lm::Sampling { setting, .. } => Self::field(*setting, message),
            Lm::Constraint(_) => Self::field("response_format", message),
            Lm::EmptyPrompt | Lm::Token { .. } => Self::invalid(message),
            Lm::Model(
                model::Error::Chat(_) | model::Error::NoTemplate(_) | model::Error::Tokenizer(_),
            ) => Self::invalid(message),
            other => Self::internal("compute the answer", other),
        }
    }

    /// Error of a store. The names of users and items that it suggests are told on loopback only
    /// (`tells_names`).
    pub(crate) fn of_store(error: &corpus::Error, tells_names: bool) -> Self {
        match error {
            corpus::Error::UnknownUser { .. } => {
                Self::unknown_user(&error.to_string(), tells_names)
            }
            corpus::Error::UnknownItem { .. } => {
                let message = match tells_names {
                    true => error.to_string(),
                    false => "the item is not in the store".to_owned(),
                };
                Self::field("idiolect.item", message).with_code("item_unknown")
            }
            other => Self::internal("read the store", other),
        }
    }

    /// 400: the user to write as is missing or not in the store.
    pub(crate) fn unknown_user(message: &str, tells_names: bool) -> Self {
        let message = if tells_names { message } else { "the user is not in the store" };
        Self::field("user", message).with_code("user_unknown")
    }

    /// Error of a method: the client's fault or the server's.
    pub(crate) fn of_method(error: &methods::Error, tells_names: bool) -> Self {
        use methods::Error as Method;
        match error {
            Method::Corpus(error)
            | Method::Client(client::Error::Corpus(error))
            | Method::Peers(peers::Error::Corpus(error)) => Self::of_store(error, tells_names),
            Method::Lm(error)
            | Method::Client(client::Error::Lm(error))
            | Method::Difference(difference::Error::Client(client::Error::Lm(error))) => {
                Self::of_lm(error)
            }
            Method::Client(client::Error::Task(error @ task::Error::TooSmall { .. })) => {
                Self::invalid(error.to_string()).with_code("context_length_exceeded")
            }
            Method::NoHistory { .. } | Method::NoPeers { .. } | Method::NoReward { .. } => {
                Self::invalid(error.to_string())
            }
            other => Self::internal("write the text", other),
        }
    }

    /// Error of a sentence encoder.
    pub(crate) fn of_encoder(error: &encoder::Error) -> Self {
        Self::internal("embed the texts", error)
    }

    /// The body of the answer.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
