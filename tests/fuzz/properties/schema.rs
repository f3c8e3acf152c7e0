//! Constraints: a JSON schema, or behind `/` a regular expression. A text of a tiny model satisfies it.

use std::sync::OnceLock;

use futures::executor::block_on;
use idiolect_engine::lm::tiny::Tiny;
use idiolect_engine::lm::{Constraint, Lm, Prompt, Request, Sampling};
use serde_json::Value;

/// Number of tokens of a text; each is a byte.
const MAX_TOKENS: usize = 48;

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let schema = match text.strip_prefix('/') {
        Some(_) => None,
        None => match serde_json::from_str::<Value>(&text) {
            Ok(schema) => Some(schema),
            Err(_) => return,
        },
    };
    let constraint = match &schema {
        Some(schema) => Constraint::JsonSchema(schema.clone()),
        None => Constraint::Regex(text[1..].to_owned()),
    };
    let request = Request {
        constraint: Some(constraint),
        sampling: Sampling { temperature: 1.0, seed: 7, ..Sampling::default() },
        ..Request::new(Prompt::Text("x".to_owned()), MAX_TOKENS)
    };
    let Ok(completion) = block_on(lm().generate(request)) else { return };
    if let Some(schema) = schema {
        let value: Value = match serde_json::from_str(&completion.text) {
            Ok(value) => value,
            // JSON has numbers of any size, which this parser has not.
            Err(error) if error.to_string().starts_with("number out of range") => return,
            Err(error) => panic!("{error}: {:?} of {schema}", completion.text),
        };
        assert!(satisfies(&value, &schema), "{value} of {schema}");
    }
}

/// The part of JSON schema that can be checked without effort; true of all else.
fn satisfies(value: &Value, schema: &Value) -> bool {
    let of_type = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    };
    let is_type = match schema.get("type") {
        Some(Value::String(name)) => of_type(name),
        Some(Value::Array(names)) if !names.is_empty() => {
            names.iter().filter_map(Value::as_str).any(of_type)
        }
        _ => true,
    };
    let in_enum = match schema.get("enum") {
        Some(Value::Array(values)) => values.contains(value),
        _ => true,
    };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let has_required = required
        .filter_map(Value::as_str)
        .all(|name| value.as_object().is_none_or(|object| object.contains_key(name)));
    is_type && in_enum && has_required
}

fn lm() -> &'static Lm {
    static LM: OnceLock<Lm> = OnceLock::new();
    LM.get_or_init(|| Tiny { n_layers: 1, context: 256, ..Tiny::new("llama") }.lm())
}
