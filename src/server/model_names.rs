//! Names of the models: `NAME` is the plain model, `NAME+METHOD` and `NAME+METHOD@USER` are personal.

use idiolect_core::methods::Method;
use serde_json::{Value, json};

use crate::ServedModels;
use crate::app::App;
use crate::error::ApiError;

/// The model that a request names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NamedModel {
    /// The language model alone.
    Plain,
    /// A method that writes as a user, and the user if the name has one.
    Personal { method: Method, user: Option<String> },
    /// The sentence encoder.
    Encoder,
}

/// The model of a name.
///
/// # Errors
/// 404 if there is none.
pub(crate) fn named(models: &ServedModels, name: &str) -> Result<NamedModel, ApiError> {
    if name == models.lm.name() {
        return Ok(NamedModel::Plain);
    }
    if models.encoder.as_ref().is_some_and(|encoder| encoder.name() == name) {
        return Ok(NamedModel::Encoder);
    }
    let personal = name.strip_prefix(models.lm.name()).and_then(|rest| rest.strip_prefix('+'));
    let Some(rest) = personal.filter(|_| models.personal.is_some()) else {
        return Err(ApiError::no_model(name));
    };
    let (method, user) = match rest.split_once('@') {
        Some((method, user)) => (method, Some(user.to_owned())),
        None => (rest, None),
    };
    let method = Method::named(method).ok_or_else(|| ApiError::no_model(name))?;
    Ok(NamedModel::Personal { method, user: user.filter(|user| !user.is_empty()) })
}

/// The names of all models without users: the plain one, the personal ones, the encoder.
pub(crate) fn names(models: &ServedModels) -> Vec<String> {
    let lm = models.lm.name();
    let personal = models.personal.iter().flat_map(|_| Method::all());
    let personal = personal.map(|method| format!("{lm}+{}", method.name()));
    let encoder = models.encoder.iter().map(|encoder| encoder.name().to_owned());
    std::iter::once(lm.to_owned()).chain(personal).chain(encoder).collect()
}

/// OpenAI's description of a model.
pub(crate) fn describe(app: &App, models: &ServedModels, name: &str) -> Result<Value, ApiError> {
    let model = named(models, name)?;
    let (about, max_len) = match &model {
        NamedModel::Plain => ("language model".to_owned(), models.lm.context()),
        NamedModel::Personal { method, .. } => {
            (format!("writes as a user: {}", method.about()), models.lm.context())
        }
        NamedModel::Encoder => {
            let max_len = models.encoder.as_ref().map_or(0, |encoder| encoder.max_tokens());
            ("sentence encoder".to_owned(), max_len)
        }
    };
    Ok(json!({
        "id": name,
        "object": "model",
        "created": app.started,
        "owned_by": "idiolect",
        "description": about,
        "max_model_len": max_len,
    }))
}
