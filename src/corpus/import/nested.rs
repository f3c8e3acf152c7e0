//! Paths into rows with objects and lists: `author.name`, or `reviews.item_id` where `reviews` is a list
//! of objects, each of which is a row of its own.

use serde_json::Value;

/// Maximum number of lists within lists that are taken apart.
const MAX_LEVELS: usize = 4;
/// Maximum size of the rows that one row is taken apart into, in bytes as JSON. Each of them has all that
/// stands beside the list, so that a row of a few megabytes could become terabytes.
const MAX_ROWS_BYTES: usize = 256 << 20;

/// The value of a field, or of a path with dots into objects.
pub(super) fn lookup<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(value) = row.get(path) {
        return Some(value);
    }
    let mut value = row;
    for step in path.contains('.').then(|| path.split('.')).into_iter().flatten() {
        value = value.get(step)?;
    }
    (!std::ptr::eq(value, row)).then_some(value)
}

/// Takes a row apart where one of `paths` leads through a list of objects: one row for each element,
/// with the element in place of the list. An empty list gives no row. An error is the reason why the row is
/// malformed.
pub(super) fn rows(row: Value, paths: &[&str]) -> Result<Vec<Value>, String> {
    let mut rows = vec![row];
    for _ in 0..MAX_LEVELS {
        let Some(list) =
            rows.first().and_then(|row| paths.iter().find_map(|path| first_list(row, path)))
        else {
            break;
        };
        let mut apart = Vec::new();
        let mut left = MAX_ROWS_BYTES;
        for row in rows {
            apart.extend(elements(row, list, &mut left)?);
        }
        rows = apart;
    }
    Ok(rows)
}

/// The beginning of `path` that is a list of objects.
fn first_list<'a>(row: &Value, path: &'a str) -> Option<&'a str> {
    if !path.contains('.') || row.get(path).is_some() {
        return None;
    }
    let ends = path.match_indices('.').map(|(at, _)| &path[..at]);
    ends.into_iter().find(|begin| {
        let list = pointer(begin);
        row.pointer(&list).and_then(Value::as_array).is_some_and(|l| l.iter().all(Value::is_object))
    })
}

/// The rows of one row; `left` is the number of bytes that they may have, of which theirs are taken.
fn elements(mut row: Value, name: &str, left: &mut usize) -> Result<Vec<Value>, String> {
    let list = pointer(name);
    let taken = row.pointer_mut(&list).map(Value::take);
    match taken {
        Some(Value::Array(elements)) => {
            let size = size(&row).saturating_mul(elements.len());
            *left = left.checked_sub(size).ok_or_else(|| {
                format!(
                    "the list `{name}` has {} elements, each of which would be a row with all that \
                     stands beside it: more than {} MiB",
                    elements.len(),
                    MAX_ROWS_BYTES >> 20
                )
            })?;
            let row = |element| {
                let mut one = row.clone();
                if let Some(place) = one.pointer_mut(&list) {
                    *place = element;
                }
                one
            };
            Ok(elements.into_iter().map(row).collect())
        }
        Some(other) => {
            if let Some(place) = row.pointer_mut(&list) {
                *place = other;
            }
            Ok(vec![row])
        }
        None => Ok(vec![row]),
    }
}

/// Size of a value in bytes, about that of its JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().map(size).sum::<usize>() + 2,
        Value::Object(object) => {
            object.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>() + 2
        }
        _ => 8,
    }
}

/// JSON pointer of a path with dots.
fn pointer(path: &str) -> String {
    path.split('.').map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
}

/// The other place of the field `name` in a row, for the message that it is missing; empty if nowhere.
pub(super) fn hint(row: &Value, name: &str) -> String {
    let within = |value: &Value| match value {
        Value::Object(object) => object.contains_key(name),
        Value::Array(list) => list.first().is_some_and(|first| first.get(name).is_some()),
        _ => false,
    };
    let found = row.as_object().and_then(|row| row.iter().find(|(_, value)| within(value)));
    found.map_or(String::new(), |(outer, _)| {
        format!(" (the row has `{outer}.{name}`; name it so in --map)")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_into_objects_and_a_field_of_that_name_comes_first() {
        let row = json!({"a": {"b": {"c": 1}}, "a.b": 2, "d": [1]});
        assert_eq!(lookup(&row, "a.b.c"), Some(&json!(1)));
        assert_eq!(lookup(&row, "a.b"), Some(&json!(2)));
        for absent in ["a.x", "x", "a.b.c.d", "", ".", "d.0"] {
            assert_eq!(lookup(&row, absent), None, "{absent}");
        }
    }

    #[test]
    fn a_list_of_objects_becomes_rows() {
        let row = json!({"user": "ann", "of": {"reviews": [{"id": 1}, {"id": 2, "tags": [{"t": "x"}, {"t": "y"}]}]}});
        let rows = |row: Value, paths: &[&str]| rows(row, paths).unwrap();
        let split = rows(row.clone(), &["user", "of.reviews.id"]);
        let ids: Vec<_> = split.iter().map(|row| lookup(row, "of.reviews.id").cloned()).collect();
        assert_eq!(ids, [Some(json!(1)), Some(json!(2))]);
        assert!(split.iter().all(|row| lookup(row, "user") == Some(&json!("ann"))));
        assert_eq!(rows(row.clone(), &["user", "of"]), vec![row]);
        assert_eq!(rows(json!({"r": []}), &["r.x"]), Vec::<Value>::new());
        // A list of texts is a value, not rows.
        assert_eq!(rows(json!({"r": ["a"]}), &["r.x"]).len(), 1);
    }

    #[test]
    fn a_row_is_not_taken_apart_into_gigabytes() {
        let row = json!({"user": "x".repeat(1 << 20), "of": vec![json!({"t": 1}); 1000]});
        let reason = rows(row, &["user", "of.t"]).unwrap_err();
        assert!(reason.contains("`of` has 1000 elements"), "{reason}");
        let many = json!({"user": "x", "of": vec![json!({"t": 1}); 100_000]});
        assert_eq!(rows(many, &["user", "of.t"]).unwrap().len(), 100_000);
    }

    #[test]
    fn a_missing_field_is_pointed_to() {
        let row = json!({"reviews": [{"item_id": 1}], "author": {"name": "ann"}});
        assert!(hint(&row, "item_id").contains("`reviews.item_id`"));
        assert!(hint(&row, "name").contains("`author.name`"));
        assert_eq!(hint(&row, "text"), "");
    }
}
