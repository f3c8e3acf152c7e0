//! `/tokenize`, `/detokenize` and `/tokenizer_info`, in vLLM's shapes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use idiolect_engine::lm::Prompt;
use serde_json::{Value, json};

use crate::ServedModels;
use crate::app::App;
use crate::body::read_object;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::logprobs::token_text;
use crate::messages;
use crate::model_names::{NamedModel, named};
use crate::plain;

/// Checks that the model, if one is named, is one that texts are written with.
fn check_model(models: &ServedModels, fields: &Fields<'_>) -> Result<(), ApiError> {
    match fields.text("model").map(|name| named(models, name)).transpose()? {
        Some(NamedModel::Encoder) => {
            Err(ApiError::field("model", "the tokenizer of this model is not served"))
        }
        _ => Ok(()),
    }
}

/// Token ids of a text or of a conversation.
pub(crate) async fn tokenize(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Tokenize, &body)?;
    let models = app.models()?;
    check_model(models, &fields)?;
    let tokenizer = models.lm.tokenizer();
    let ids = match (fields.text("prompt"), fields.value("messages").and_then(Value::as_array)) {
        (Some(text), None) => {
            let adds = fields.flag("add_special_tokens") != Some(false);
            let bos = tokenizer.bos().filter(|_| adds);
            // A marker alone is no text of a user: clients ask for its id by its text.
            let marker = tokenizer.marker(text);
            let ids = match marker {
                Some(id) => vec![id],
                None => models.lm.tokenize(text).map_err(|error| ApiError::of_lm(&error))?,
            };
            bos.filter(|bos| marker != Some(*bos)).into_iter().chain(ids).collect()
        }
        (None, Some(list)) => {
            let conversation = messages::conversation("messages", list)?;
            plain::prompt_ids(models, &Prompt::Chat(conversation))?
        }
        _ => return Err(ApiError::field("prompt", "give either `prompt` or `messages`")),
    };
    let texts = (fields.flag("return_token_strs") == Some(true))
        .then(|| ids.iter().map(|id| token_text(tokenizer, *id)).collect::<Vec<_>>());
    Ok(Json(json!({
        "count": ids.len(),
        "max_model_len": models.lm.context(),
        "tokens": ids,
        "token_strs": texts,
    })))
}

/// Text of token ids, with the markers of control tokens.
pub(crate) async fn detokenize(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let body = read_object(request).await?;
    let fields = Fields::checked(BodyRoute::Detokenize, &body)?;
    let models = app.models()?;
    check_model(models, &fields)?;
    let tokenizer = models.lm.tokenizer();
    let list = fields.value("tokens").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut bytes = Vec::new();
    for id in list.iter().filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok()) {
        if id as usize >= tokenizer.n_vocab() {
            let message =
                format!("token id {id} is not one of the model's {}", tokenizer.n_vocab());
            return Err(ApiError::field("tokens", message));
        }
        match tokenizer.bytes(id) {
            [] => bytes.extend_from_slice(token_text(tokenizer, id).as_bytes()),
            of_token => bytes.extend_from_slice(of_token),
        }
    }
    Ok(Json(json!({ "prompt": String::from_utf8_lossy(&bytes) })))
}

/// The tokenizer's special tokens and size.
pub(crate) async fn tokenizer_info(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let models = app.models()?;
    let tokenizer = models.lm.tokenizer();
    let marker = |id: Option<u32>| id.map(|id| token_text(tokenizer, id));
    let end = models.lm.end_token().or_else(|| tokenizer.ends().next());
    Ok(Json(json!({
        "tokenizer_class": "idiolect",
        "bos_token": marker(tokenizer.bos().or(models.lm.start_token())),
        "eos_token": marker(end),
        "eos_token_id": end,
        "end_tokens": tokenizer.ends().map(|id| token_text(tokenizer, id)).collect::<Vec<_>>(),
        "add_bos_token": tokenizer.bos().is_some(),
        "add_eos_token": false,
        "model_max_length": models.lm.context(),
        "vocab_size": tokenizer.n_vocab(),
    })))
}
