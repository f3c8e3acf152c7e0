//! HTTP: JSON requests, server-sent events, and which failures are worth a repetition.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

/// Longest answer that is read, bytes.
const MAX_ANSWER: u64 = 1 << 28;
/// Longest line of a stream, bytes.
const MAX_LINE: u64 = 1 << 24;
/// Longest time until a connection is made.
const CONNECT: Duration = Duration::from_secs(10);
/// Number of characters of a server's own message that are shown.
const SHOWN: usize = 300;

/// Failure of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server refused the request, or its answer has no sense: a repetition would not help.
    Final(String),
    /// The connection failed or ended early.
    Lost(String),
    /// The server is busy or failed inside; it may ask to wait.
    Busy { what: String, wait: Option<Duration> },
}

/// A client with its key.
pub(crate) struct HttpClient {
    agent: Agent,
    authorization: Option<String>,
}

impl HttpClient {
    /// A client that talks to the named servers only: it uses no proxy of the environment and follows no
    /// redirections.
    pub(crate) fn new(key: Option<&str>, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(timeout))
            .user_agent(concat!("idiolect/", env!("CARGO_PKG_VERSION")))
            .build();
        let authorization = key.map(|key| format!("Bearer {key}"));
        Self { agent: config.into(), authorization }
    }

    /// The JSON value at an address.
    pub(crate) fn get(&self, url: &str) -> Result<Value, Failure> {
        let mut request = self.agent.get(url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        json_of(request.call().map_err(|error| lost(&error))?)
    }

    /// The JSON answer to a JSON value.
    pub(crate) fn post(&self, url: &str, body: &Value) -> Result<Value, Failure> {
        json_of(self.send(url, body)?)
    }

    /// Hands the events of a stream to `on_event` until `[DONE]`.
    ///
    /// # Errors
    /// [`Failure::Lost`] if the stream ends before; a failure that `on_event` returns ends it.
    pub(crate) fn post_stream(
        &self,
        url: &str,
        body: &Value,
        on_event: &mut dyn FnMut(Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let response = checked(self.send(url, body)?)?;
        let mut lines = BufReader::new(response.into_body().into_reader());
        let mut data = String::new();
        loop {
            let mut line = Vec::new();
            let read = (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line);
            let n = read.map_err(|error| Failure::Lost(format!("the stream broke: {error}")))?;
            if n == 0 {
                return Err(Failure::Lost("the stream ended early".to_owned()));
            }
            let Ok(line) = std::str::from_utf8(&line) else {
                return Err(Failure::Final("the stream is not UTF-8".to_owned()));
            };
            let line = line.trim_end_matches(['\n', '\r']);
            if let Some(piece) = line.strip_prefix("data:") {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(piece.strip_prefix(' ').unwrap_or(piece));
            } else if line.is_empty() && !data.is_empty() {
                if data == "[DONE]" {
                    return Ok(());
                }
                let event: Value = serde_json::from_str(&data)
                    .map_err(|error| Failure::Final(format!("an event is no JSON: {error}")))?;
                if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
                    return Err(of_event(error));
                }
                on_event(event)?;
                data.clear();
            }
        }
    }

    fn send(&self, url: &str, body: &Value) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.post(url).content_type("application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request.send(body.to_string()).map_err(|error| lost(&error))
    }
}

fn lost(error: &ureq::Error) -> Failure {
    Failure::Lost(error.to_string())
}

/// The JSON value of an answer.
fn json_of(response: Response<Body>) -> Result<Value, Failure> {
    let mut response = checked(response)?;
    let text = text_of(&mut response).map_err(|error| lost(&error))?;
    serde_json::from_str(&text).map_err(|error| match error.is_eof() {
        true => Failure::Lost("the answer ended early".to_owned()),
        false => Failure::Final(format!("the answer is no JSON: {error}")),
    })
}

fn text_of(response: &mut Response<Body>) -> Result<String, ureq::Error> {
    response.body_mut().with_config().limit(MAX_ANSWER).read_to_string()
}

/// The response if its status is one of success.
fn checked(mut response: Response<Body>) -> Result<Response<Body>, Failure> {
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(response);
    }
    let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    let text = text_of(&mut response).unwrap_or_default();
    let message = match serde_json::from_str::<Value>(&text) {
        Ok(value) => message_of(value.get("error").unwrap_or(&value)).unwrap_or(text),
        Err(_) => text,
    };
    let what = format!("HTTP {status}: {}", on_one_line(&message));
    Err(match is_temporary(status) {
        true => Failure::Busy { what, wait },
        false => Failure::Final(what),
    })
}

/// Failure of an error in a stream.
fn of_event(error: &Value) -> Failure {
    let message = message_of(error).unwrap_or_else(|| error.to_string());
    let what = format!("in the stream: {}", on_one_line(&message));
    let code = error.get("code").and_then(|code| match code {
        Value::String(code) => code.parse().ok(),
        code => code.as_u64().and_then(|code| u16::try_from(code).ok()),
    });
    match code {
        Some(code) if !is_temporary(code) => Failure::Final(what),
        _ => Failure::Busy { what, wait: None },
    }
}

/// Whether the same request may succeed later.
fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || (status >= 500 && !matches!(status, 501 | 505))
}

/// The message of an error object: OpenAI's `message`, or `detail` of other servers.
fn message_of(error: &Value) -> Option<String> {
    match error {
        Value::String(text) => Some(text.clone()),
        _ => ["message", "detail"]
            .iter()
            .find_map(|name| error.get(name)?.as_str())
            .map(str::to_owned),
    }
}

fn on_one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(SHOWN).collect()
}
