//! Front matter of notes and posts: the block of YAML, TOML or JSON before the text.

use serde_json::{Map, Value};

/// Splits a text into its front matter and the rest. The names of fields are in lower case. A text without
/// front matter, or with one that is not closed, has no fields.
pub(super) fn split(text: &str) -> (Map<String, Value>, &str) {
    let first = text.lines().next().unwrap_or_default();
    let read = match first.trim_end() {
        "---" => block(text, first, &["---", "..."]).map(|(block, rest)| (yaml(block), rest)),
        "+++" => block(text, first, &["+++"]).map(|(block, rest)| (toml(block), rest)),
        line if line.starts_with('{') => json(text),
        _ => None,
    };
    let (fields, rest) = read.unwrap_or((Map::new(), text));
    (fields.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(), rest)
}

/// The lines between the first one and the next that is one of `ends`, and the text behind.
fn block<'a>(text: &'a str, first: &str, ends: &[&str]) -> Option<(&'a str, &'a str)> {
    let inner = text[first.len()..].strip_prefix('\r').unwrap_or(&text[first.len()..]);
    let inner = inner.strip_prefix('\n')?;
    let mut at = 0;
    for line in inner.split_inclusive('\n') {
        if ends.contains(&line.trim_end()) {
            return Some((&inner[..at], &inner[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

fn toml(block: &str) -> Map<String, Value> {
    let table = block.parse::<toml::Table>().unwrap_or_default();
    table.into_iter().map(|(name, value)| (name, of_toml(value))).collect()
}

fn of_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Array(values) => values.into_iter().map(of_toml).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(n, v)| (n, of_toml(v))).collect(),
        other => Value::String(other.to_string()),
    }
}

fn json(text: &str) -> Option<(Map<String, Value>, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    let fields = values.next()?.ok()?;
    Some((fields, &text[values.byte_offset()..]))
}

/// Reads the part of YAML that front matter is made of: texts, lists of texts and blocks of text. Nested
/// maps are passed over, except a `name` in a list of authors.
fn yaml(block: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut lines = block.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with([' ', '\t', '#', '-']) {
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        let mut further = Vec::new();
        while let Some(next) = lines.next_if(|next| {
            next.starts_with([' ', '\t']) || next.starts_with("- ") || next.trim().is_empty()
        }) {
            further.push(next.trim());
        }
        let value = match value.chars().next() {
            Some('|') => Value::String(further.join("\n").trim().to_owned()),
            Some('>') => Value::String(further.join(" ").trim().to_owned()),
            None => nested(&further),
            Some('[') => inline_list(&format!("{value} {}", further.join(" "))),
            // A long text goes on in the next lines.
            Some(_) => scalar(&[&[value], &further[..]].concat().join(" ")),
        };
        fields.insert(name.trim().trim_matches(['"', '\'']).to_owned(), value);
    }
    fields
}

/// A list whose items stand on lines of their own, or the name in a map.
fn nested(lines: &[&str]) -> Value {
    let named = |line: &str| {
        let (key, name) = line.split_once(": ")?;
        (key == "name").then(|| scalar(name))
    };
    let items = lines.iter().filter_map(|line| line.strip_prefix("- ")).map(str::trim);
    let items: Vec<Value> = items.map(|item| named(item).unwrap_or_else(|| scalar(item))).collect();
    match items.is_empty() {
        true => lines.iter().find_map(|line| named(line)).unwrap_or(Value::Null),
        false => Value::Array(items),
    }
}

fn inline_list(text: &str) -> Value {
    let inner = text.trim().trim_start_matches('[');
    let inner = inner.rsplit_once(']').map_or(inner, |(inner, _)| inner);
    let (mut items, mut item, mut quote) = (Vec::new(), String::new(), None);
    for c in inner.chars() {
        match (quote, c) {
            (None, ',') => items.push(std::mem::take(&mut item)),
            (None, '"' | '\'') if item.trim().is_empty() => {
                quote = Some(c);
                item.push(c);
            }
            (Some(open), c) if open == c => {
                quote = None;
                item.push(c);
            }
            (_, c) => item.push(c),
        }
    }
    items.push(item);
    items.iter().map(|item| scalar(item)).filter(|item| *item != Value::Null).collect()
}

/// A text, with or without quotes; nothing if it is empty or `null`.
fn scalar(text: &str) -> Value {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('"') {
        let end = inner.rfind('"').unwrap_or(inner.len());
        let quoted = format!("\"{}\"", &inner[..end]);
        // The escapes of YAML are those of JSON, and a few that nobody uses.
        let read = serde_json::from_str(&quoted);
        return read.unwrap_or_else(|_| Value::String(inner[..end].to_owned()));
    }
    if let Some(inner) = text.strip_prefix('\'') {
        let end = inner.rfind('\'').unwrap_or(inner.len());
        return Value::String(inner[..end].replace("''", "'"));
    }
    let text = text.split(" #").next().unwrap_or(text).trim_end();
    match text {
        "" | "null" | "~" => Value::Null,
        text => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn three_languages_of_front_matter() {
        let yaml = "---\ntitle: \"A \\\"fine\\\" day: at the lake\" # note\nDate: 2023-01-13\r\nauthor:\n  name: Anna\n  url: x\ntags: [lake, 'it''s cold', \"a, b\"]\nlist:\n- one\n  - two\nempty:\nabout: |\n  First\n  second\nlong: a text\n  that goes on\ndraft: true\n---\nBody\n---\n";
        let (fields, rest) = split(yaml);
        let expected = json!({
            "title": "A \"fine\" day: at the lake", "date": "2023-01-13", "author": "Anna",
            "tags": ["lake", "it's cold", "a, b"], "list": ["one", "two"], "empty": null,
            "about": "First\nsecond", "long": "a text that goes on", "draft": "true",
        });
        assert_eq!((Value::Object(fields), rest), (expected, "Body\n---\n"));
        let (fields, rest) = split(
            "+++\ntitle = 'A day'\ndate = 2023-01-13T10:00:00Z\ntags = ['x']\n[extra]\na = 1\n+++\nBody",
        );
        let expected = json!({"title": "A day", "date": "2023-01-13T10:00:00Z", "tags": ["x"], "extra": {"a": "1"}});
        assert_eq!((Value::Object(fields), rest), (expected, "Body"));
        let (fields, rest) = split("{\n \"title\": \"A day\"\n}\nBody");
        assert_eq!((Value::Object(fields), rest), (json!({"title": "A day"}), "\nBody"));
    }

    #[test]
    fn other_texts_have_none() {
        for text in [
            "",
            "Body",
            "---",
            "---\ntitle: x\nno end",
            "+++\nx",
            "{\"a\": ",
            "--- \ntext",
            "----\nx\n---\n",
        ] {
            let (fields, rest) = split(text);
            assert_eq!((fields.len(), rest), (0, text), "{text}");
        }
        let (fields, rest) = split("+++\nnot toml\n+++\nBody");
        assert_eq!((fields.len(), rest), (0, "Body"));
    }

    proptest! {
        #[test]
        fn any_text_is_split(text in "(---\n|\\+\\+\\+\n|title: |tags: |\\[|\\]|- |\"|'|\\{|\\}|:|,| |\n|.)*") {
            for text in [text.clone(), format!("---\n{text}\n---\nx"), format!("+++\n{text}\n+++\nx")] {
                let (_, rest) = split(&text);
                prop_assert!(text.ends_with(rest));
            }
        }
    }
}
