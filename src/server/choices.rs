//! Parts that all answers have: identifier, time, model, fingerprint, and the header that says what
//! was done.

use axum::Json;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ServedModels;
use crate::ids;
use crate::personal::PersonalText;

/// Header that says what was done.
const HEADER: HeaderName = HeaderName::from_static("x-idiolect");

/// First fields of an answer: `id`, `object`, `created`, `model`, `system_fingerprint`.
pub(crate) fn head(models: &ServedModels, prefix: &str, object: &str, model: &str) -> Value {
    json!({
        "id": ids::new(prefix),
        "object": object,
        "created": ids::now(),
        "model": model,
        "system_fingerprint": fingerprint(models),
    })
}

/// Hash of everything besides the request that determines an answer: the model's fingerprint, under
/// which answers are stored, and the version of the program.
fn fingerprint(models: &ServedModels) -> String {
    let mut hash = Sha256::new();
    hash.update(models.lm.fingerprint());
    hash.update(env!("CARGO_PKG_VERSION"));
    let hex: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("fp_{hex}")
}

/// Value of the header for a plain model.
pub(crate) fn done_plain(seed: u64) -> String {
    format!("seed={seed}")
}

/// Value of the header for a personal model, without the number of past texts.
pub(crate) fn done_personal(text: &PersonalText) -> String {
    let (method, seed) = (text.method.name(), text.options.seed);
    format!("method={method}; user={}; seed={seed}", percent_encoded(&text.user))
}

/// Adds the header to an answer.
pub(crate) fn with_header(mut response: Response, done: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(done) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// A JSON answer with the header.
pub(crate) fn answer(body: Value, done: &str) -> Response {
    with_header(Json(body).into_response(), done)
}

/// A name as a header can hold it: characters other than letters, digits and `-._~` as `%XX`.
fn percent_encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_users_become_header_values() {
        assert_eq!(super::percent_encoded("marta-1"), "marta-1");
        assert_eq!(super::percent_encoded("Jörg; a=1\n"), "J%C3%B6rg%3B%20a%3D1%0A");
    }
}
