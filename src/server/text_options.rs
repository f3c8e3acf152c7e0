//! Options of a generated text, from the fields of a request.

use std::collections::BTreeMap;

use idiolect_core::methods::{MethodOptions, SamplingOverrides};
use idiolect_engine::lm::{Constraint, Eos, Sampling};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};

/// Maximum number of biased tokens.
const MAX_BIASES: usize = 1024;

/// Options of the texts that a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct TextOptions {
    /// The sampling settings, with the seed of the first text.
    pub(crate) sampling: Sampling,
    pub(crate) stop: Vec<String>,
    pub(crate) eos: Eos,
    pub(crate) constraint: Option<Constraint>,
}

/// How the answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamOptions {
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
}

impl TextOptions {
    /// Options for a plain model.
    ///
    /// # Errors
    /// 400 if a bias or the form of the answer is malformed.
    pub(crate) fn of(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let neutral = Sampling::default();
        let number = |name: &str| fields.number(name);
        let count = |name: &str| fields.count(name);
        let sampling = Sampling {
            temperature: number("temperature").unwrap_or(1.0),
            top_k: count("top_k").unwrap_or(0),
            top_p: number("top_p").unwrap_or(1.0),
            min_p: number("min_p").unwrap_or(0.0),
            repetition_penalty: number("repetition_penalty").unwrap_or(1.0),
            dry_multiplier: number("dry_multiplier").unwrap_or(0.0),
            dry_base: number("dry_base").unwrap_or(neutral.dry_base),
            dry_allowed_length: count("dry_allowed_length").unwrap_or(neutral.dry_allowed_length),
            penalty_window: count("penalty_window").unwrap_or(neutral.penalty_window),
            frequency_penalty: number("frequency_penalty").unwrap_or(0.0),
            presence_penalty: number("presence_penalty").unwrap_or(0.0),
            logit_bias: match fields.object("logit_bias") {
                Some(biases) => logit_bias(biases)?,
                None => BTreeMap::new(),
            },
            seed: seed(fields),
        };
        let ignores_end = fields.flag("ignore_eos") == Some(true);
        let stop = fields.texts("stop");
        if stop.iter().any(String::is_empty) {
            return Err(ApiError::field("stop", "`stop` has an empty text"));
        }
        Ok(Self {
            sampling,
            stop,
            eos: if ignores_end { Eos::Ignore } else { Eos::Stop },
            constraint: constraint(fields)?,
        })
    }
}

impl StreamOptions {
    /// Whether and how the answer is streamed.
    ///
    /// # Errors
    /// 400 if `stream_options` has an unknown field, or is given without `stream`.
    pub(crate) fn of(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let stream = fields.flag("stream") == Some(true);
        let mut include_usage = false;
        for (name, value) in fields.object("stream_options").into_iter().flatten() {
            match (name.as_str(), value) {
                ("include_usage", Value::Bool(asked)) => include_usage = *asked,
                // Padding against eavesdroppers is needless on a loopback connection.
                ("include_obfuscation", Value::Bool(_)) => {}
                _ => {
                    let param = format!("stream_options.{name}");
                    let message = format!("`{param}` is not known or has a wrong value");
                    return Err(ApiError::field(param, message));
                }
            }
        }
        if include_usage && !stream {
            let message = "`stream_options` needs `stream: true`";
            return Err(ApiError::field("stream_options", message));
        }
        Ok(Self { stream, include_usage })
    }
}

/// The seed of the request, or a random one that every client can repeat exactly.
pub(crate) fn seed(fields: &Fields<'_>) -> u64 {
    let given = fields.integer("seed");
    given.map_or_else(|| u64::from(rand::random::<u32>()), |seed| seed as u64)
}

/// Settings of a personal model with the fields of the request: those that it does not give stay the
/// task's, as `idiolect write` takes them.
pub(crate) fn personal_options(fields: &Fields<'_>, base: &MethodOptions) -> MethodOptions {
    let number = |name: &str| fields.number(name);
    let given = base.sampling;
    let sampling = SamplingOverrides {
        temperature: number("temperature").or(given.temperature),
        // -1 keeps all tokens, as 0 does.
        top_k: fields.integer("top_k").map(|k| usize::try_from(k).unwrap_or(0)).or(given.top_k),
        top_p: number("top_p").or(given.top_p),
        min_p: number("min_p").or(given.min_p),
        repetition_penalty: number("repetition_penalty").or(given.repetition_penalty),
        dry_multiplier: number("dry_multiplier").or(given.dry_multiplier),
    };
    let max_tokens = max_tokens(fields).or(base.max_tokens);
    MethodOptions { sampling, seed: seed(fields), max_tokens, ..base.clone() }
}

/// The maximum number of tokens that a request gives.
pub(crate) fn max_tokens(fields: &Fields<'_>) -> Option<usize> {
    match fields.route {
        BodyRoute::Chat => {
            fields.count("max_completion_tokens").or_else(|| fields.count("max_tokens"))
        }
        BodyRoute::Responses => fields.count("max_output_tokens"),
        _ => fields.count("max_tokens"),
    }
}

fn logit_bias(biases: &Map<String, Value>) -> Result<BTreeMap<u32, f32>, ApiError> {
    let wrong = |what: String| ApiError::field("logit_bias", what);
    if biases.len() > MAX_BIASES {
        let n = biases.len();
        return Err(wrong(format!("`logit_bias` has {n} tokens, expected at most {MAX_BIASES}")));
    }
    let bias = |(id, bias): (&String, &Value)| {
        let known = id.parse::<u32>().ok();
        let bias = bias.as_f64().filter(|bias| (-100.0..=100.0).contains(bias));
        known.zip(bias.map(|bias| bias as f32)).ok_or_else(|| {
            wrong(format!(
                "`logit_bias` of `{id}`: expected a token id and a number from -100 to 100"
            ))
        })
    };
    biases.iter().map(bias).collect()
}

/// The form that the answer must have.
fn constraint(fields: &Fields<'_>) -> Result<Option<Constraint>, ApiError> {
    let (param, format) = match fields.route {
        BodyRoute::Responses => {
            let text = fields.object("text");
            let is_unknown = |name: &&String| !matches!(name.as_str(), "format" | "verbosity");
            if let Some(name) = text.and_then(|text| text.keys().find(is_unknown)) {
                let param = format!("text.{name}");
                return Err(ApiError::field(param.clone(), format!("`{param}` is not known")));
            }
            let format = text.and_then(|text| text.get("format")).filter(|f| !f.is_null());
            ("text.format", format)
        }
        _ => ("response_format", fields.value("response_format")),
    };
    let Some(format) = format else { return Ok(None) };
    let kind = format.get("type").and_then(Value::as_str);
    match kind {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Constraint::JsonSchema(json!({ "type": "object" })))),
        Some("json_schema") => {
            let holder = match fields.route {
                BodyRoute::Responses => Some(format),
                _ => format.get("json_schema"),
            };
            let schema = holder.and_then(|holder| holder.get("schema"));
            match schema.filter(|schema| schema.is_object()) {
                Some(schema) => Ok(Some(Constraint::JsonSchema(schema.clone()))),
                None => Err(ApiError::field(param, format!("`{param}` has no `schema`"))),
            }
        }
        _ => {
            let message = format!("the type of `{param}` is text, json_object or json_schema");
            Err(ApiError::field(param, message))
        }
    }
}
