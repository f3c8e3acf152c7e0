//! A plain HTTP client: one connection a request, so that a test sees every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Sends requests to one server.
#[derive(Debug, Clone)]
pub(super) struct Client {
    address: SocketAddr,
    key: Option<String>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, key: None }
    }

    pub(super) fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// The answer to a request for a map, after the map has been made.
    pub(super) fn made_map(&self, path: &str) -> Answer {
        loop {
            let answer = self.get(path);
            if answer.status != 202 {
                return answer;
            }
            assert!(answer.body.contains("\"computing\""), "{}", answer.body);
        }
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], &body.to_string())
    }

    /// Sends a request with further headers; one named `Host` replaces the right one.
    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut stream = self.connect();
        stream.write_all(self.request(method, path, headers, body).as_bytes()).unwrap();
        Answer::read(&mut stream)
    }

    /// The bytes of a request.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let host = headers.iter().find(|(name, _)| *name == "Host").map(|(_, host)| *host);
        let own = self.host();
        let host = host.unwrap_or(&own);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        if let Some(key) = &self.key {
            head.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        for (name, value) in headers.iter().filter(|(name, _)| *name != "Host") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
    }
}

impl Answer {
    /// Reads an answer until the server closes the connection.
    pub(super) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer is no fault of the answer.
        drop(stream.read_to_end(&mut bytes));
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        Self { status: status.unwrap_or(0), headers, body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The JSON of a successful answer.
    #[track_caller]
    pub(super) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// The error of an answer with this status.
    #[track_caller]
    pub(super) fn error(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let error = body["error"].clone();
        assert!(error["message"].is_string() && error["type"].is_string(), "{body}");
        error
    }

    /// The data of each message of a stream with its event's name; the last one's is `[DONE]`.
    #[track_caller]
    pub(super) fn messages(&self) -> Vec<(String, Value)> {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("text/event-stream"));
        let mut messages = Vec::new();
        for message in self.body.split("\n\n").filter(|message| !message.is_empty()) {
            let mut name = String::new();
            let mut data = None;
            for line in message.lines() {
                match line.split_once(": ") {
                    Some(("event", event)) => name = event.to_owned(),
                    Some(("data", text)) => data = Some(text),
                    _ => assert!(line.starts_with(':'), "{line}"),
                }
            }
            if let Some(data) = data {
                let value = serde_json::from_str(data).unwrap_or_else(|_| Value::from(data));
                messages.push((name, value));
            }
        }
        messages
    }

    /// The chunks of a stream, without `[DONE]`, which must come last.
    #[track_caller]
    pub(super) fn chunks(&self) -> Vec<Value> {
        let mut messages: Vec<Value> = self.messages().into_iter().map(|(_, data)| data).collect();
        assert_eq!(messages.pop(), Some(Value::from("[DONE]")), "{}", self.body);
        messages
    }
}

fn unchunked(body: &str) -> String {
    let mut rest = body;
    let mut text = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return text;
        }
        text.push_str(&more[..size]);
        rest = &more[size + 2..];
    }
    text
}
