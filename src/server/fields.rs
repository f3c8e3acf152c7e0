//! The table of all fields of requests: for each route the fields that it applies, takes without use,
//! or refuses. It checks the values of a request and makes the OpenAPI document.
//!
//! A field that is not in the table is refused by name, so that no request is answered otherwise than
//! it asked for.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

mod table;

pub(crate) use table::TABLE;

/// A route with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRoute {
    Chat,
    Completions,
    Responses,
    Embeddings,
    Tokenize,
    Detokenize,
    Write,
    Score,
    Compare,
    Guess,
    Profile,
}

impl BodyRoute {
    pub(crate) const ALL: [Self; 11] = [
        Self::Chat,
        Self::Completions,
        Self::Responses,
        Self::Embeddings,
        Self::Tokenize,
        Self::Detokenize,
        Self::Write,
        Self::Score,
        Self::Compare,
        Self::Guess,
        Self::Profile,
    ];

    /// Path of the route.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
            Self::Tokenize => "/tokenize",
            Self::Detokenize => "/detokenize",
            Self::Write => "/api/write",
            Self::Score => "/api/score",
            Self::Compare => "/api/compare",
            Self::Guess => "/api/guess",
            Self::Profile => "/api/users/{id}/profile",
        }
    }

    /// HTTP method of the route, in lower case.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Profile => "patch",
            _ => "post",
        }
    }
}

/// One field of some routes.
pub(crate) struct BodyField {
    pub(crate) name: &'static str,
    pub(crate) routes: &'static [BodyRoute],
    pub(crate) kind: FieldKind,
    pub(crate) treatment: Treatment,
    /// Description, without a final period.
    pub(crate) about: &'static str,
}

/// Values that a field takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FieldKind {
    Text,
    Number(f64, f64),
    Integer(i64, i64),
    Flag,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A text, or a list of at most so many texts.
    TextOrTexts(usize),
    /// A list of token ids.
    Ids,
    /// A list, which its route reads.
    List,
    Object,
    /// A text or a list, which its route reads.
    TextOrList,
    /// Any value.
    Any,
}

/// Treatment of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Applied by plain and personal models alike; a request must have it.
    Required,
    /// Applied by plain and personal models alike.
    Applied,
    /// Applied by plain models; personal models take only this value, in JSON.
    PlainOnly(&'static str),
    /// Taken and not used.
    Unused,
    /// Not used; only this value, in JSON, is taken.
    Only(&'static str),
    /// Refused, whatever its value is.
    Refused,
}

/// The field of a route, if the table has it.
pub(crate) fn field(route: BodyRoute, name: &str) -> Option<&'static BodyField> {
    TABLE.iter().find(|field| field.name == name && field.routes.contains(&route))
}

/// Checks all fields of a request by the table. A value of `null` counts as absent.
///
/// # Errors
/// 400 that names the first field that is unknown, refused, missing or has a wrong value.
pub(crate) fn check(route: BodyRoute, body: &Map<String, Value>) -> Result<(), ApiError> {
    for (name, value) in body.iter().filter(|(_, value)| !value.is_null()) {
        let Some(field) = field(route, name) else {
            let message = format!("the field `{name}` is not known to {}", route.path());
            return Err(ApiError::field(name, message).with_code("unknown_parameter"));
        };
        field.check(value)?;
    }
    let is_missing = |field: &&BodyField| body.get(field.name).is_none_or(Value::is_null);
    let required = TABLE
        .iter()
        .filter(|field| field.routes.contains(&route) && field.treatment == Treatment::Required);
    match required.into_iter().find(is_missing) {
        Some(field) => {
            let message = format!("the field `{}` is missing", field.name);
            Err(ApiError::field(field.name, message).with_code("missing_required_parameter"))
        }
        None => Ok(()),
    }
}

/// Checks that a request to a personal model has no field that only plain models apply.
///
/// # Errors
/// 400 that names the first such field.
pub(crate) fn check_personal(route: BodyRoute, body: &Map<String, Value>) -> Result<(), ApiError> {
    for (name, value) in body.iter().filter(|(_, value)| !value.is_null()) {
        let Some(BodyField { treatment: Treatment::PlainOnly(neutral), .. }) = field(route, name)
        else {
            continue;
        };
        if !equals(value, neutral) {
            let message = format!("personal models do not apply `{name}`; leave it out");
            return Err(ApiError::field(name, message).with_code("unsupported_parameter"));
        }
    }
    Ok(())
}

/// Whether a value equals one in JSON; numbers are compared as such, so that 0 equals 0.0.
fn equals(value: &Value, json: &str) -> bool {
    let other: Value = serde_json::from_str(json).unwrap_or_default();
    match (value.as_f64(), other.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => *value == other,
    }
}

impl BodyField {
    fn check(&self, value: &Value) -> Result<(), ApiError> {
        let name = self.name;
        match self.treatment {
            Treatment::Refused => {
                let message = format!("`{name}` is not supported: {}", self.about);
                return Err(ApiError::field(name, message).with_code("unsupported_parameter"));
            }
            Treatment::Only(neutral) if !equals(value, neutral) => {
                let message = format!("`{name}` is not supported but as {neutral}: {}", self.about);
                return Err(ApiError::field(name, message).with_code("unsupported_parameter"));
            }
            _ => {}
        }
        if self.kind.takes(value) {
            return Ok(());
        }
        let got: String = value.to_string().chars().take(80).collect();
        let message = format!("`{name}` is {got}, expected {}", self.kind.in_words());
        Err(ApiError::field(name, message).with_code("invalid_value"))
    }
}

impl FieldKind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number(least, most) => {
                value.as_f64().is_some_and(|x| (least..=most).contains(&x))
            }
            Self::Integer(least, most) => whole(value).is_some_and(|n| (least..=most).contains(&n)),
            Self::Flag => value.is_boolean(),
            Self::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
            Self::TextOrTexts(most) => match value {
                Value::Array(texts) => texts.len() <= most && texts.iter().all(Value::is_string),
                other => other.is_string(),
            },
            Self::Ids => value.as_array().is_some_and(|ids| ids.iter().all(is_id)),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::TextOrList => value.is_string() || value.is_array(),
            Self::Any => true,
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::Integer(i64::MIN, i64::MAX) => "a whole number of 64 bits".to_owned(),
            Self::Integer(least, i64::MAX) => format!("a whole number from {least} on"),
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Flag => "true or false".to_owned(),
            Self::OneOf(names) => format!("one of {}", names.join(", ")),
            Self::TextOrTexts(most) => format!("a text or a list of up to {most} texts"),
            Self::Ids => "a list of token ids".to_owned(),
            Self::List => "a list".to_owned(),
            Self::Object => "an object".to_owned(),
            Self::TextOrList => "a text or a list".to_owned(),
            Self::Any => "a value".to_owned(),
        }
    }

    /// JSON schema of the values.
    pub(crate) fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Number(least, most) => {
                json!({ "type": "number", "minimum": least, "maximum": most })
            }
            Self::Integer(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::Flag => json!({ "type": "boolean" }),
            Self::OneOf(names) => json!({ "type": "string", "enum": names }),
            Self::TextOrTexts(most) => json!({ "oneOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "maxItems": most },
            ]}),
            Self::Ids => {
                json!({ "type": "array", "items": { "type": "integer", "minimum": 0 } })
            }
            Self::List => json!({ "type": "array", "items": {} }),
            Self::Object => json!({ "type": "object" }),
            Self::TextOrList => json!({ "oneOf": [
                { "type": "string" },
                { "type": "array", "items": {} },
            ]}),
            Self::Any => json!({}),
        }
    }
}

/// A whole number; one without a fraction, like 3.0, counts.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
    })
}

/// Whether a value is a token id.
pub(crate) fn is_id(value: &Value) -> bool {
    value.as_u64().is_some_and(|id| u32::try_from(id).is_ok())
}

/// The fields of a request, checked by the table.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) route: BodyRoute,
    pub(crate) body: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// Checks a body.
    ///
    /// # Errors
    /// As [`check`].
    pub(crate) fn checked(
        route: BodyRoute,
        body: &'a Map<String, Value>,
    ) -> Result<Self, ApiError> {
        check(route, body)?;
        Ok(Self { route, body })
    }

    /// The value of a field that is given and not `null`; `None` for fields that the route lacks.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.value(name)?.as_str()
    }

    pub(crate) fn number(&self, name: &str) -> Option<f32> {
        Some(self.value(name)?.as_f64()? as f32)
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        whole(self.value(name)?)
    }

    pub(crate) fn count(&self, name: &str) -> Option<usize> {
        usize::try_from(self.integer(name)?).ok()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    pub(crate) fn object(&self, name: &str) -> Option<&'a Map<String, Value>> {
        self.value(name)?.as_object()
    }

    /// The texts of a field that takes one or several.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(texts)) => {
                texts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Statuses that an answer of any route may have, with their meaning.
pub(crate) const STATUSES: &[(StatusCode, &str)] = &[
    (
        StatusCode::BAD_REQUEST,
        "a field is wrong, missing, unknown or not supported; `param` names it",
    ),
    (StatusCode::UNAUTHORIZED, "no key, or a wrong one"),
    (StatusCode::FORBIDDEN, "the host, the origin or the user is not allowed"),
    (StatusCode::NOT_FOUND, "no such route, model, user or item"),
    (StatusCode::METHOD_NOT_ALLOWED, "the route does not take this method"),
    (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
    (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB"),
    (
        StatusCode::TOO_MANY_REQUESTS,
        "too many requests wait; `Retry-After` says when to come again",
    ),
    (StatusCode::INTERNAL_SERVER_ERROR, "a fault of the server"),
    (StatusCode::SERVICE_UNAVAILABLE, "the models are being loaded, or the answer took too long"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(route: BodyRoute, body: &Value) -> Option<String> {
        let error = check(route, body.as_object().unwrap()).err()?;
        Some(error.to_json()["error"]["param"].as_str().unwrap().to_owned())
    }

    #[test]
    fn wrong_unknown_refused_and_missing_fields_are_named() {
        let base = json!({ "model": "m", "messages": [] });
        for (name, value, is_refused) in [
            ("temperature", json!(0.5), false),
            ("temperature", json!(2.5), true),
            ("temperature", json!("hot"), true),
            ("temperature", json!(null), false),
            ("n", json!(8), false),
            ("n", json!(9), true),
            ("n", json!(1.5), true),
            ("seed", json!(-5), false),
            ("stop", json!(["a", "b"]), false),
            ("stop", json!([1]), true),
            ("bogus", json!(1), true),
            ("tools", json!([{}]), true),
            ("tools", json!([]), false),
            ("parallel_tool_calls", json!(true), false),
            ("parallel_tool_calls", json!(false), true),
            ("store", json!(true), false),
        ] {
            let mut body = base.clone();
            body[name] = value.clone();
            let wanted = is_refused.then(|| name.to_owned());
            assert_eq!(error(BodyRoute::Chat, &body), wanted, "{name}: {value}");
        }
        assert_eq!(error(BodyRoute::Chat, &json!({ "model": "m" })).unwrap(), "messages");
        assert_eq!(error(BodyRoute::Chat, &json!({ "messages": [] })).unwrap(), "model");
    }

    #[test]
    fn each_field_stands_once_for_a_route_and_its_neutral_value_is_taken() {
        for route in BodyRoute::ALL {
            let fields: Vec<&BodyField> =
                TABLE.iter().filter(|field| field.routes.contains(&route)).collect();
            assert!(fields.len() > 1, "{route:?}");
            for (index, field) in fields.iter().enumerate() {
                assert!(!fields[..index].iter().any(|f| f.name == field.name), "{}", field.name);
                assert!(!field.about.ends_with('.'), "{}", field.about);
                if let Treatment::Only(neutral) | Treatment::PlainOnly(neutral) = field.treatment {
                    let value: Value = serde_json::from_str(neutral).unwrap();
                    assert!(value.is_null() || field.kind.takes(&value), "{}", field.name);
                }
            }
        }
    }

    #[test]
    fn personal_models_take_only_neutral_values_of_what_they_do_not_apply() {
        let body = |json: Value| json.as_object().unwrap().clone();
        let check = |json| check_personal(BodyRoute::Chat, &body(json));
        assert!(check(json!({ "temperature": 0.3, "frequency_penalty": 0 })).is_ok());
        assert!(check(json!({ "frequency_penalty": 0.5 })).is_err());
        assert!(check(json!({ "stop": ["x"] })).is_err());
        assert!(check(json!({ "response_format": { "type": "text" } })).is_ok());
    }
}
