//! The OpenAPI document, made from the table of fields.

use serde_json::{Map, Value, json};

use crate::fields::{BodyRoute, STATUSES, TABLE, Treatment};
use crate::route_list::{PLAIN_ROUTES, QUERIES};

/// The document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for (method, path, about) in PLAIN_ROUTES {
        let mut operation = json!({
            "summary": about,
            "responses": answers(path),
        });
        let parameters = parameters(path);
        if !parameters.is_empty() {
            operation["parameters"] = Value::Array(parameters);
        }
        let entry = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        entry[*method] = operation;
    }
    for route in BodyRoute::ALL {
        let operation = json!({
            "summary": summary(route),
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": body_schema(route) } },
            },
            "responses": answers(route.path()),
        });
        let mut operation = operation;
        let parameters = path_parameters(route.path());
        if !parameters.is_empty() {
            operation["parameters"] = Value::Array(parameters);
        }
        let entry = paths.entry(route.path().to_owned()).or_insert_with(|| json!({}));
        entry[route.method()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "idiolect",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "OpenAI's routes, and personal models NAME+METHOD that write as a user. \
                            A field that a route does not list is refused with 400.",
        },
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Error": error_schema() },
        },
        "security": [{ "key": [] }, {}],
        "paths": paths,
    })
}

fn summary(route: BodyRoute) -> &'static str {
    match route {
        BodyRoute::Chat => "answers a conversation",
        BodyRoute::Completions => "completes prompts; with `echo` scores them",
        BodyRoute::Responses => "answers an input, without state",
        BodyRoute::Embeddings => "embeds texts",
        BodyRoute::Tokenize => "token ids of a text or a conversation",
        BodyRoute::Detokenize => "text of token ids",
        BodyRoute::Write => "writes a text as a user, as server-sent events",
        BodyRoute::Score => "log-probabilities of a text, as if a user wrote it",
        BodyRoute::Compare => "writes texts side by side, as server-sent events",
        BodyRoute::Guess => "answers a question of GET /api/guess",
        BodyRoute::Profile => "edits the profile of a user",
    }
}

/// Schema of a body: its fields that are not refused.
fn body_schema(route: BodyRoute) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let of_route = TABLE.iter().filter(|field| field.routes.contains(&route));
    for field in of_route.filter(|field| field.treatment != Treatment::Refused) {
        let mut schema = match field.treatment {
            Treatment::Only(neutral) => {
                json!({ "const": serde_json::from_str::<Value>(neutral).unwrap_or_default() })
            }
            _ => field.kind.schema(),
        };
        let about = match field.treatment {
            Treatment::PlainOnly(_) => format!("{}. Plain models only.", field.about),
            _ => format!("{}.", field.about),
        };
        // A value of null counts as absent.
        if field.treatment != Treatment::Required {
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
        }
        schema["description"] = json!(about);
        if field.treatment == Treatment::Required {
            required.push(field.name);
        }
        properties.insert(field.name.to_owned(), schema);
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The variable parts of a path.
fn path_parameters(path: &str) -> Vec<Value> {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = parts.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    in_path.collect()
}

/// The variable parts of a path and the parameters of its address, which routes without a body have.
fn parameters(path: &str) -> Vec<Value> {
    let of_query = QUERIES.iter().filter(|query| query.path == path);
    let in_query = of_query.map(|query| {
        json!({
            "name": query.name,
            "in": "query",
            "required": query.is_required,
            "description": query.about,
            "schema": { "type": query.kind },
        })
    });
    path_parameters(path).into_iter().chain(in_query).collect()
}

fn answers(path: &str) -> Value {
    let mut answers = Map::new();
    let content = match path {
        "/metrics" => json!({ "application/openmetrics-text": {} }),
        "/api/write" | "/api/compare" => json!({ "text/event-stream": {} }),
        "/api/evaluations/{id}/report" => json!({ "text/html": {} }),
        "/v1/chat/completions" | "/v1/completions" | "/v1/responses" => {
            json!({ "application/json": {}, "text/event-stream": {} })
        }
        _ => json!({ "application/json": {} }),
    };
    answers.insert("200".to_owned(), json!({ "description": "the answer", "content": content }));
    if path == "/api/map" {
        let about =
            "the map is being made: `stage`, `done`, `of` (null if it is not known), `seconds`";
        let content = json!({ "application/json": {} });
        answers.insert("202".to_owned(), json!({ "description": about, "content": content }));
    }
    for (status, about) in STATUSES {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let content = json!({ "application/json": { "schema": schema } });
        let answer = json!({ "description": about, "content": content });
        answers.insert(status.as_u16().to_string(), answer);
    }
    Value::Object(answers)
}

fn error_schema() -> Value {
    let text_or_null = json!({ "type": ["string", "null"] });
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": { "type": "string" },
                "type": { "type": "string" },
                "param": text_or_null,
                "code": text_or_null,
            },
        }},
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Every field of the table stands in the document of its routes or is refused, and the document
    /// has no other field.
    #[test]
    fn document_and_table_have_the_same_fields() {
        let document = document();
        for route in BodyRoute::ALL {
            let body = &document["paths"][route.path()][route.method()]["requestBody"]["content"]["application/json"]
                ["schema"];
            let listed = body["properties"].as_object().unwrap();
            for field in TABLE.iter().filter(|field| field.routes.contains(&route)) {
                let is_refused = field.treatment == Treatment::Refused;
                assert_ne!(listed.contains_key(field.name), is_refused, "{}", field.name);
            }
            for name in listed.keys() {
                assert!(crate::fields::field(route, name).is_some(), "{name}");
            }
            let needs_none = matches!(route, BodyRoute::Tokenize | BodyRoute::Profile);
            assert_eq!(body["required"].as_array().unwrap().is_empty(), needs_none);
        }
    }
}
