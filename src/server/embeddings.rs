//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde_json::{Value, json};

use crate::app::App;
use crate::body::read_object;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::model_names::{NamedModel, named};
use crate::run::within;

/// Maximum number of texts of a request.
const MAX_TEXTS: usize = 2048;

/// Embeds texts with the sentence encoder.
pub(crate) async fn embeddings(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Embeddings, &body)?;
    let models = app.models()?;
    let name = fields.text("model").unwrap_or_default().to_owned();
    let (NamedModel::Encoder, Some(encoder)) = (named(models, &name)?, &models.encoder) else {
        let message = format!("`{name}` is no sentence encoder; GET /v1/models lists it");
        return Err(ApiError::field("model", message));
    };
    let texts = texts(fields.value("input").unwrap_or(&Value::Null))?;
    let dimension = encoder.dimension();
    if fields.count("dimensions").is_some_and(|asked| asked != dimension) {
        let message = format!("the vectors of `{name}` have {dimension} dimensions");
        return Err(ApiError::field("dimensions", message));
    }
    let is_base64 = fields.text("encoding_format") == Some("base64");
    let place = app.enter()?;
    let shared = Arc::clone(&app);
    let work = tokio::task::spawn_blocking(move || {
        // The place is kept until the work ends, even if the client hangs up.
        let _place = place;
        let encoder = shared.models()?.encoder.as_ref();
        let encoder = encoder.ok_or_else(ApiError::loading)?;
        encoder.encode(&texts).map_err(|error| ApiError::of_encoder(&error))
    });
    let embedded = within(&app, async {
        work.await.unwrap_or_else(|error| Err(ApiError::internal("embed the texts", &error)))
    });
    let embedded = embedded.await?;
    let n_tokens: usize =
        embedded.iter().map(|embedding| embedding.n_tokens.min(encoder.max_tokens())).sum();
    let data = embedded.iter().enumerate().map(|(index, embedding)| {
        let vector = match is_base64 {
            true => Value::String(base64(&embedding.vector)),
            false => json!(embedding.vector),
        };
        json!({ "object": "embedding", "index": index, "embedding": vector })
    });
    Ok(Json(json!({
        "object": "list",
        "data": data.collect::<Value>(),
        "model": name,
        "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens },
    })))
}

fn texts(input: &Value) -> Result<Vec<String>, ApiError> {
    let wrong = |what: &str| ApiError::field("input", format!("`input` {what}"));
    let texts: Vec<String> = match input {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) if list.iter().any(|text| text.is_number() || text.is_array()) => {
            return Err(wrong(
                "has token ids, which depend on a tokenizer that this model does not have; send \
                 texts (LangChain: check_embedding_ctx_length=False)",
            ));
        }
        Value::Array(list) => {
            let texts = list.iter().map(|text| text.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(|| wrong("is no list of texts"))?
        }
        _ => return Err(wrong("is no text and no list of texts")),
    };
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        return Err(wrong("has no text or more than 2048"));
    }
    match texts.iter().any(|text| text.trim().is_empty()) {
        true => Err(wrong("has an empty text")),
        false => Ok(texts),
    }
}

/// Little-endian bytes of a vector in base64 (RFC 4648), with padding.
fn base64(vector: &[f32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let shown = digit <= chunk.len();
            out.push(if shown { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn vectors_in_base64() {
        // Python: base64.b64encode(struct.pack("<f", 1.0)), and so on.
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -0.5]), "AACAPwAAAL8=");
        assert_eq!(base64(&[0.1, 2.5, -3e8]), "zczMPQAAIEAYDY/N");
        assert_eq!(base64(&[]), "");
    }

    #[test]
    fn token_ids_are_refused_with_advice() {
        for ids in [json!([1, 2]), json!([[1, 2]])] {
            let error = texts(&ids).unwrap_err().to_json().to_string();
            assert!(error.contains("check_embedding_ctx_length=False"), "{error}");
        }
        assert!(texts(&json!([])).is_err() && texts(&json!(["a", " "])).is_err());
        assert_eq!(texts(&json!(["a", "b"])).unwrap(), ["a", "b"]);
    }
}
