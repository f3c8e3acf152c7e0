//! Changes of JSON documents within an input.

use serde_json::{Map, Value, json};

use super::random::Random;

/// Texts that mean something to a parser of this program.
const TEXTS: &[&str] = &[
    "",
    "a",
    "\u{0}",
    "\u{2581}",
    "<|im_end|>",
    "[CLS]",
    "../x",
    "-1",
    "1e999",
    "NaN",
    "2023-01-13T10:00:00Z",
    "1673604000.000100",
    "18446744073709551616",
    "object",
    "string",
    "array",
    "integer",
    "(a+)+$",
    "a{9999}",
    "message",
    "{{x}}",
    "\u{202e}\u{feff}",
    "marta",
    "kettle",
    "tiny",
    "tiny+idiolect@marta",
];

/// The input with one value of one of its JSON documents changed; `None` if it has none.
pub fn changed(input: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(input).ok()?;
    let starts: Vec<usize> = text.match_indices(['{', '[']).map(|(at, _)| at).take(400).collect();
    if starts.is_empty() {
        return None;
    }
    // Where documents begin is tried, a few times: outer ones as often as inner ones.
    for _ in 0..6 {
        let start = match random.below(3) {
            0 => starts[0],
            _ => *random.choice(&starts),
        };
        let mut documents = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        let Some(Ok(mut value)) = documents.next() else { continue };
        let end = start + documents.byte_offset();
        for _ in 0..=random.below(3) {
            change(&mut value, random);
        }
        return Some(
            [text[..start].as_bytes(), value.to_string().as_bytes(), text[end..].as_bytes()]
                .concat(),
        );
    }
    None
}

/// A safetensors file with its header changed, and with the header's length as it is or as it should be.
pub fn changed_header(input: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let (length, rest) = input.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|n| *n <= rest.len())?;
    let header = changed(&rest[..length], random)?;
    let stated = if random.one_in(8) { random.odd_number() } else { header.len() as u64 };
    Some([&stated.to_le_bytes()[..], &header, &rest[length..]].concat())
}

/// Changes one value in a tree.
fn change(value: &mut Value, random: &mut Random) {
    match value {
        Value::Array(list) if !list.is_empty() && !random.one_in(4) => {
            let at = random.below(list.len());
            match random.below(6) {
                0 => drop(list.remove(at)),
                1 => list.insert(at, list[at].clone()),
                2 => {
                    let other = random.below(list.len());
                    list.swap(at, other);
                }
                _ => change(&mut list[at], random),
            }
        }
        Value::Object(object) if !object.is_empty() && !random.one_in(4) => {
            let names: Vec<String> = object.keys().cloned().collect();
            let name = random.choice(&names).clone();
            match random.below(8) {
                0 => drop(object.shift_remove(&name)),
                1 => rename(object, &name, random),
                2 => {
                    let other = random.choice(&names).clone();
                    if let Some(copied) = object.get(&other).cloned() {
                        object.insert(name, copied);
                    }
                }
                _ => {
                    if let Some(child) = object.get_mut(&name) {
                        change(child, random);
                    }
                }
            }
        }
        other => *other = instead(other, random),
    }
}

fn rename(object: &mut Map<String, Value>, name: &str, random: &mut Random) {
    if let Some(child) = object.shift_remove(name) {
        object.insert((*random.choice(TEXTS)).to_owned(), child);
    }
}

/// Another value in the place of one.
fn instead(value: &Value, random: &mut Random) -> Value {
    match (random.below(10), value) {
        (0, _) => Value::Null,
        (1, _) => json!(random.one_in(2)),
        (2, _) => json!(random.odd_number()),
        (3, _) => json!(-(random.odd_number() as i64 / 2)),
        (4, _) => json!(random.next() as f64 / random.odd_number().max(1) as f64),
        (5, _) => json!([value.clone()]),
        (6, _) => json!({ *random.choice(TEXTS): value.clone() }),
        (7, _) => nested(value.clone(), random),
        (8, Value::String(text)) => json!(text.repeat(random.below(9))),
        (8, Value::Number(number)) => {
            let more = random.below(5) as i64 - 2;
            json!(number.as_i64().unwrap_or_default().wrapping_add(more))
        }
        _ => json!(*random.choice(TEXTS)),
    }
}

/// A value within many lists or objects.
fn nested(mut value: Value, random: &mut Random) -> Value {
    let (in_lists, depth) = (random.one_in(2), random.below(140));
    for _ in 0..depth {
        value = if in_lists { json!([value]) } else { json!({ "a": value }) };
    }
    value
}
