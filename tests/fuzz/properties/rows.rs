//! Rows: tables, JSON lines and arrays, Python literals, in all formats of reviews and items.

use std::fs;

use idiolect_core::corpus::KeptReviews;
use idiolect_core::corpus::import::{
    ColumnMap, Delimiter, FileEncoding, ImportFormat, ImportOptions, ImportSource, OnMalformed,
    PersonNames, testing,
};
use serde_json::Value;

use super::{import, scratch};

/// Three letters that choose the options, an optional line `map:...` with a map of columns, then the file.
/// The letters are described at [`options`].
pub fn check_table(input: &[u8]) {
    check_file(input, &["csv", "tsv", "txt", "tab", "csv.gz"]);
}

/// As [`check_table`], for files of objects. Each line that is read is read again as it is printed.
pub fn check_json_lines(input: &[u8]) {
    check_file(input, &["jsonl", "json", "ndjson", "txt", "json.gz"]);
    for line in input.split(|byte| *byte == b'\n') {
        check_row(line);
    }
}

/// A Python literal: what is read of it is read again as Python prints it, and as JSON.
pub fn check_python(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(value) = testing::python_literal(&text) {
        assert_eq!(testing::python_literal(&repr(&value)).as_ref(), Ok(&value), "{}", repr(&value));
    }
    check_row(input);
}

fn check_row(line: &[u8]) {
    let Ok(value) = testing::json_row(line) else { return };
    // A float may lose its last bit where JSON is parsed, so that it is compared after that.
    let once = testing::json_row(value.to_string().as_bytes()).unwrap();
    let twice = testing::json_row(once.to_string().as_bytes()).unwrap();
    assert_eq!(without_floats(&value), without_floats(&once));
    assert_eq!(without_floats(&once), without_floats(&twice));
}

fn without_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::Null,
        Value::Array(list) => list.iter().map(without_floats).collect(),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(k, v)| (k.clone(), without_floats(v))).collect())
        }
        other => other.clone(),
    }
}

/// A value as Python prints it.
fn repr(value: &Value) -> String {
    let list =
        |open: &str, items: Vec<String>, close: &str| format!("{open}{}{close}", items.join(", "));
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float:?}"),
            _ => number.to_string(),
        },
        Value::String(text) => quoted(text),
        Value::Array(items) => list("[", items.iter().map(repr).collect(), "]"),
        Value::Object(pairs) => {
            let pairs =
                pairs.iter().map(|(key, value)| format!("{}: {}", quoted(key), repr(value)));
            list("{", pairs.collect(), "}")
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = "'".to_owned();
    for c in text.chars() {
        match (c, u32::from(c)) {
            ('\\' | '\'', _) => quoted.extend(['\\', c]),
            (' '..='~', _) => quoted.push(c),
            (_, code @ 0..=0xff) => quoted.push_str(&format!("\\x{code:02x}")),
            (_, code @ 0..=0xffff) => quoted.push_str(&format!("\\u{code:04x}")),
            (_, code) => quoted.push_str(&format!("\\U{code:08x}")),
        }
    }
    quoted + "'"
}

fn check_file(input: &[u8], extensions: &[&str]) {
    let Some((letters, rest)) = input.split_first_chunk::<3>() else { return };
    let letters = letters.map(|letter| usize::from(letter.wrapping_sub(b'a')));
    let (map, content) = match rest.strip_prefix(b"map:") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let map = String::from_utf8_lossy(&rest[..end]).into_owned();
            (ColumnMap::parse(&map).ok(), &rest[(end + 1).min(rest.len())..])
        }
        None => (None, rest),
    };
    let folder = scratch();
    let extension = extensions[letters[2] / 8 % extensions.len()];
    let path = folder.path().join(format!("reviews.{extension}"));
    fs::write(&path, content).unwrap();
    let _ = ImportFormat::detect(&path);
    let options = options(letters, map.unwrap_or_default(), ImportSource::File(path));
    import::check(&options, content.len());
}

/// First letter: format, whether the file is one of items, which reviews are kept, whether a malformed row
/// ends the import. Second: the delimiter. Third: the encoding, and in steps of eight the extension.
fn options(letters: [usize; 3], map: ColumnMap, source: ImportSource) -> ImportOptions {
    let [first, second, third] = letters;
    let delimiters = [
        Delimiter::Detected,
        Delimiter::Named(b','),
        Delimiter::Named(b';'),
        Delimiter::Named(b'\t'),
        Delimiter::Named(b'|'),
        Delimiter::Named(b'^'),
    ];
    let encodings =
        ["auto", "utf-8", "utf-16", "utf-16be", "windows-1252", "shift_jis", "gbk", "iso-2022-jp"];
    let (reviews, items) = match first / 3 % 2 {
        0 => (Some(source), None),
        _ => (None, Some(source)),
    };
    ImportOptions {
        format: match first % 3 {
            0 => ImportFormat::Table(Box::new(map)),
            1 => ImportFormat::Amazon2014,
            _ => ImportFormat::Amazon2023,
        },
        reviews,
        items,
        kept: [KeptReviews::All, KeptReviews::Newest][first / 6 % 2],
        on_malformed: [OnMalformed::Skip, OnMalformed::Stop][first / 12 % 2],
        encoding: FileEncoding::of(encodings[third % encodings.len()]).unwrap(),
        delimiter: delimiters[second % delimiters.len()],
        people: PersonNames::default(),
    }
}
