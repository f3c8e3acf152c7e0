//! Unions of JSON schemas: makes them disjoint where a constant tells the branches apart.
//!
//! A union of classes, as pydantic writes it, is a `oneOf` over objects with a property that is another
//! constant in each (`kind`). The property has a default, so it is not `required`, and a text without it
//! could match several branches. With the property required each text matches at most one branch, so that
//! `oneOf` and `anyOf` accept the same texts.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

/// Maximum number of references that are followed from one branch.
const MAX_REFERENCES: usize = 16;

/// Rewrites each `oneOf` whose branches are objects that differ in a constant property: an `anyOf` in which
/// this property is required.
pub(super) fn separate_unions(schema: &mut Map<String, Value>) {
    let root = Value::Object(schema.clone());
    let mut whole = Value::Object(std::mem::take(schema));
    separate(&mut whole, &root);
    if let Value::Object(object) = whole {
        *schema = object;
    }
}

fn separate(schema: &mut Value, root: &Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| separate(item, root)),
        Value::Object(object) => {
            let branches = object.get("oneOf").and_then(Value::as_array);
            let separated = branches.and_then(|branches| separated(branches, root));
            if let Some(branches) = separated
                && !object.contains_key("anyOf")
            {
                object.remove("oneOf");
                object.insert("anyOf".to_owned(), Value::Array(branches));
            }
            // Texts in `const`, `enum` and the like are no schemas.
            let values = object.iter_mut().filter(|(key, _)| !DATA.contains(&key.as_str()));
            values.for_each(|(_, value)| separate(value, root));
        }
        _ => {}
    }
}

const DATA: [&str; 5] = ["const", "enum", "default", "examples", "required"];

/// The branches with the property required that tells them apart; `None` if there is none.
fn separated(branches: &[Value], root: &Value) -> Option<Vec<Value>> {
    let objects: Vec<&Map<String, Value>> =
        branches.iter().map(|branch| resolved(branch, root)?.as_object()).collect::<Option<_>>()?;
    let properties = objects.first()?.get("properties")?.as_object()?;
    let tells_apart = |name: &&String| {
        let mut seen = HashSet::new();
        objects.iter().all(|object| constant(object, name).is_some_and(|value| seen.insert(value)))
    };
    let name = properties.keys().find(tells_apart)?;
    let with_required = objects.iter().map(|object| {
        let mut object = (*object).clone();
        let required = object.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut()
            && !required.iter().any(|required| required == name)
        {
            required.push(json!(name));
        }
        Value::Object(object)
    });
    Some(with_required.collect())
}

/// The only value that a property may have, as JSON text.
fn constant(object: &Map<String, Value>, property: &str) -> Option<String> {
    let schema = object.get("properties")?.get(property)?;
    let only = match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
        (Some(value), _) => value,
        (None, Some(values)) if values.len() == 1 => &values[0],
        _ => return None,
    };
    Some(only.to_string())
}

/// The schema that a branch refers to, or the branch itself.
fn resolved<'a>(branch: &'a Value, root: &'a Value) -> Option<&'a Value> {
    let mut schema = branch;
    for _ in 0..MAX_REFERENCES {
        let Some(reference) = schema.get("$ref") else { return Some(schema) };
        schema = root.pointer(reference.as_str()?.strip_prefix('#')?)?;
    }
    None
}

/// The parser's message with what to change in the schema, where the parser names its own options.
pub(super) fn in_own_words(message: &str) -> String {
    match message.contains("coerce_one_of") {
        true => "the branches of a `oneOf` do not exclude each other; give each a required property that \
                 is another `const` in each, or write `anyOf`"
            .to_owned(),
        false => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn separated(mut schema: Value) -> Value {
        separate_unions(schema.as_object_mut().unwrap());
        schema
    }

    #[test]
    fn a_union_with_a_constant_becomes_disjoint() {
        let branch = |kind: &str| json!({"type": "object", "properties": {"kind": {"const": kind}, "n": {"type": "integer"}}});
        let schema = json!({
            "$defs": {"A": branch("a"), "B": branch("b")},
            "type": "object",
            "properties": {"answer": {"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}},
        });
        let answer = separated(schema)["properties"]["answer"].clone();
        assert_eq!(answer.get("oneOf"), None);
        for (branch, kind) in answer["anyOf"].as_array().unwrap().iter().zip(["a", "b"]) {
            assert_eq!(branch["required"], json!(["kind"]));
            assert_eq!(branch["properties"]["kind"]["const"], json!(kind));
        }
    }

    #[test]
    fn other_unions_stay() {
        for schema in [
            json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
            json!({"oneOf": [{"properties": {"k": {"const": 1}}}, {"properties": {"k": {"const": 1}}}]}),
            json!({"oneOf": [{"properties": {"k": {"const": 1}}}, {"$ref": "#/$defs/absent"}]}),
            json!({"$defs": {"A": {"$ref": "#/$defs/A"}}, "oneOf": [{"$ref": "#/$defs/A"}]}),
            json!({"const": {"oneOf": [{"properties": {"k": {"const": 1}}}]}}),
        ] {
            assert_eq!(separated(schema.clone()), schema);
        }
        assert!(in_own_words("oneOf ... Enable 'coerce_one_of' option").contains("anyOf"));
    }
}
