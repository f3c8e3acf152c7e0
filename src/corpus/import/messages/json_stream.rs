//! Reads chosen values of one huge JSON document, such as the messages of all chats of an account, without
//! holding the document.
//!
//! Only brackets, strings and keys on the way to the chosen values are parsed here. A value that is no
//! JSON costs itself only; the document is left where its own structure breaks or ends.

use std::io::{self, BufRead};

use serde_json::Value;

use crate::import::json_lines;
use crate::import::lines::MAX_LINE_BYTES;
use crate::{Error, Result};

/// Treatment of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonWant {
    /// Pass over it.
    Skip,
    /// Ask for each of its members or elements; a value that has none is passed over.
    Enter,
    /// Parse it and hand it over.
    Take,
}

/// Receives the chosen values of a document. A path is made of names with points between them, and of
/// `[]` for the elements of a list: `chats.list[].messages[]`. The path of the document is empty.
pub(super) trait JsonVisitor {
    /// Decides about the value at `path`.
    fn wants(&mut self, path: &str) -> JsonWant;

    /// Is told that the value at `path` is entered.
    fn enter(&mut self, _path: &str) {}

    /// Takes a value that begins on `line`, or the reason why it cannot be read. Where the document itself
    /// breaks, the path is that of the last value. Returns whether to go on.
    ///
    /// # Errors
    /// Any; it ends the walk.
    fn take(&mut self, path: &str, line: u64, value: Result<Value, String>) -> Result<bool>;
}

/// Walks through the document that `reader` reads. Returns false if the visitor asked to stop.
///
/// # Errors
/// An error of the visitor.
pub(super) fn walk(reader: &mut dyn BufRead, visitor: &mut dyn JsonVisitor) -> Result<bool> {
    let mut walk = JsonWalk { reader, line: 1, visitor, path: String::new() };
    let reason = match walk.value() {
        Ok(()) => return Ok(true),
        Err(Stop::Asked) => return Ok(false),
        Err(Stop::Visitor(error)) => return Err(error),
        Err(Stop::Told) => return Ok(true),
        Err(Stop::Ended) => "the file ends before its last bracket is closed".to_owned(),
        Err(Stop::Syntax(reason)) => reason,
        Err(Stop::Io(error)) => error.to_string(),
    };
    walk.visitor.take(&walk.path, walk.line, Err(reason))
}

/// Reason to leave the document.
enum Stop {
    /// The visitor asked for it.
    Asked,
    Visitor(Error),
    /// A value was cut off, which the visitor knows.
    Told,
    Ended,
    Syntax(String),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

struct JsonWalk<'a> {
    reader: &'a mut dyn BufRead,
    /// Number of the current line, from 1.
    line: u64,
    visitor: &'a mut dyn JsonVisitor,
    path: String,
}

/// The bytes of a value.
struct RawValue {
    /// The bytes, unless they are not wanted or too many.
    bytes: Vec<u8>,
    length: usize,
    /// Whether the file goes on until the end of the value.
    whole: bool,
}

impl JsonWalk<'_> {
    fn value(&mut self) -> Result<(), Stop> {
        let first = self.visible()?.ok_or(Stop::Ended)?;
        match (self.visitor.wants(&self.path), first) {
            (JsonWant::Enter, b'{') => self.object(),
            (JsonWant::Enter, b'[') => self.list(),
            (JsonWant::Enter | JsonWant::Skip, _) => match self.raw(first, false)?.whole {
                true => Ok(()),
                false => Err(Stop::Ended),
            },
            (JsonWant::Take, _) => self.taken(first),
        }
    }

    fn taken(&mut self, first: u8) -> Result<(), Stop> {
        let line = self.line;
        let raw = self.raw(first, true)?;
        let value = if !raw.whole {
            Err("the file ends within this value".to_owned())
        } else if raw.length > MAX_LINE_BYTES {
            Err(format!("the value is longer than {} MiB", MAX_LINE_BYTES >> 20))
        } else {
            json_lines::value(&raw.bytes)
        };
        let goes_on = self.visitor.take(&self.path, line, value).map_err(Stop::Visitor)?;
        match (goes_on, raw.whole) {
            (false, _) => Err(Stop::Asked),
            (true, false) => Err(Stop::Told),
            (true, true) => Ok(()),
        }
    }

    fn object(&mut self) -> Result<(), Stop> {
        self.visitor.enter(&self.path);
        self.consume(1);
        let length = self.path.len();
        loop {
            let first = match self.visible()?.ok_or(Stop::Ended)? {
                b'}' => {
                    self.consume(1);
                    return Ok(());
                }
                b',' => {
                    self.consume(1);
                    continue;
                }
                first => first,
            };
            if first != b'"' {
                return Err(unexpected(first, "a name in quotes"));
            }
            let key = self.raw(first, true)?;
            if !key.whole {
                return Err(Stop::Ended);
            }
            match self.visible()?.ok_or(Stop::Ended)? {
                b':' => self.consume(1),
                other => return Err(unexpected(other, "`:`")),
            }
            if length > 0 {
                self.path.push('.');
            }
            match json_lines::value(&key.bytes) {
                Ok(Value::String(key)) if !key.is_empty() => self.path.push_str(&key),
                // A path must not be that of what it leads through, or nesting would have no bound.
                _ => self.path.push('\0'),
            }
            self.value()?;
            self.path.truncate(length);
        }
    }

    fn list(&mut self) -> Result<(), Stop> {
        self.visitor.enter(&self.path);
        self.consume(1);
        let length = self.path.len();
        loop {
            match self.visible()?.ok_or(Stop::Ended)? {
                b']' => {
                    self.consume(1);
                    return Ok(());
                }
                b',' => {
                    self.consume(1);
                    continue;
                }
                _ => {}
            }
            self.path.push_str("[]");
            self.value()?;
            self.path.truncate(length);
        }
    }

    /// Reads to the end of a value that begins with `first`.
    fn raw(&mut self, first: u8, keep: bool) -> Result<RawValue, Stop> {
        if matches!(first, b'}' | b']' | b':' | b',') {
            return Err(unexpected(first, "a value"));
        }
        let mut raw = RawValue { bytes: Vec::new(), length: 0, whole: false };
        let is_scalar = !matches!(first, b'{' | b'[' | b'"');
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        while !raw.whole {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                // A number at the end of the file is whole.
                raw.whole = is_scalar && raw.length > 0;
                break;
            }
            let mut used = buffer.len();
            for (at, byte) in buffer.iter().enumerate() {
                if is_scalar {
                    if matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace() {
                        (used, raw.whole) = (at, true);
                        break;
                    }
                    continue;
                }
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth == 0 && !in_string && !escaped {
                    (used, raw.whole) = (at + 1, true);
                    break;
                }
            }
            raw.length += used;
            if keep && raw.length <= MAX_LINE_BYTES {
                raw.bytes.extend_from_slice(&buffer[..used]);
            }
            self.line += buffer[..used].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.reader.consume(used);
        }
        Ok(raw)
    }

    /// The next byte that is no white space, which stays; `None` at the end of the file.
    fn visible(&mut self) -> io::Result<Option<u8>> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let at = buffer.iter().position(|byte| !byte.is_ascii_whitespace());
            let used = at.unwrap_or(buffer.len());
            let found = at.map(|at| buffer[at]);
            self.line += buffer[..used].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.reader.consume(used);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
    }
}

fn unexpected(found: u8, expected: &str) -> Stop {
    Stop::Syntax(format!("not JSON: `{}` where {expected} was expected", found.escape_ascii()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::BufReader;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[derive(Default)]
    struct Taken {
        entered: Vec<String>,
        values: Vec<(String, u64, Result<Value, String>)>,
        most: Option<usize>,
    }

    impl JsonVisitor for Taken {
        fn wants(&mut self, path: &str) -> JsonWant {
            match path {
                "" | "chats" | "chats[]" | "chats[].messages" => JsonWant::Enter,
                "name" | "chats[].id" | "chats[].messages[]" => JsonWant::Take,
                _ => JsonWant::Skip,
            }
        }

        fn enter(&mut self, path: &str) {
            self.entered.push(path.to_owned());
        }

        fn take(&mut self, path: &str, line: u64, value: Result<Value, String>) -> Result<bool> {
            self.values.push((path.to_owned(), line, value));
            Ok(self.most.is_none_or(|most| self.values.len() < most))
        }
    }

    fn walked(text: &[u8], capacity: usize, most: Option<usize>) -> (Taken, bool) {
        let mut taken = Taken { most, ..Taken::default() };
        let goes_on = walk(&mut BufReader::with_capacity(capacity, text), &mut taken).unwrap();
        (taken, goes_on)
    }

    const TEXT: &str = "{\"about\": {\"name\": [\"}\"]}, \"name\": \"a\\\"]\",\n \"chats\": [\n{\"id\": 7,\n\"messages\": [{\"x\": [1]}, 5, \"s\",\ntrue]}, {\"messages\": []}, 3]}";

    #[test]
    fn chosen_values_are_taken_with_their_lines() {
        for capacity in [1, 2, 7, 1000] {
            let (taken, _) = walked(TEXT.as_bytes(), capacity, None);
            let value = |path: &str, line, value| (path.to_owned(), line, Ok(value));
            let expected = [
                value("name", 1, json!("a\"]")),
                value("chats[].id", 3, json!(7)),
                value("chats[].messages[]", 4, json!({"x": [1]})),
                value("chats[].messages[]", 4, json!(5)),
                value("chats[].messages[]", 4, json!("s")),
                value("chats[].messages[]", 5, json!(true)),
            ];
            assert_eq!(taken.values, expected);
            let entered =
                ["", "chats", "chats[]", "chats[].messages", "chats[]", "chats[].messages"];
            assert_eq!(taken.entered, entered);
        }
        let (taken, goes_on) = walked(TEXT.as_bytes(), 16, Some(2));
        assert_eq!((taken.values.len(), goes_on), (2, false));
    }

    #[test]
    fn a_broken_value_costs_itself_and_a_broken_document_its_rest() {
        let text = br#"{"chats": [{"messages": [{"a": nul}, {"a": "\ud83d"}, {"b": 1}]}]}"#;
        let (taken, _) = walked(text, 8, None);
        let read: Vec<bool> = taken.values.iter().map(|(.., value)| value.is_ok()).collect();
        assert_eq!(read, [false, true, true]);
        for (text, reason) in [
            (&TEXT.as_bytes()[..TEXT.len() - 2], "last bracket"),
            (&TEXT.as_bytes()[..TEXT.find("[1]").unwrap()], "ends within"),
            (b"{\"name\" 5}", "`:`"),
            (b"{name: 5}", "a name in quotes"),
            (b"{\"name\": ]}", "a value"),
            (b"", "last bracket"),
        ] {
            let (taken, _) = walked(text, 16, None);
            let (.., last) = taken.values.last().unwrap();
            assert!(last.as_ref().is_err_and(|e| e.contains(reason)), "{reason}: {last:?}");
            let n_errors = taken.values.iter().filter(|(.., value)| value.is_err()).count();
            assert_eq!(n_errors, 1, "{reason}");
        }
    }

    #[test]
    fn empty_names_lead_nowhere() {
        for name in ["\"\"", "\"\\x\""] {
            let text = format!("{{{name}:").repeat(1 << 20);
            let (taken, _) = walked(text.as_bytes(), 1 << 16, None);
            assert_eq!(taken.entered, [""]);
        }
        let (taken, _) = walked(br#"{"": {"name": 1}, "name": 2}"#, 16, None);
        assert_eq!(taken.values, [("name".to_owned(), 1, Ok(json!(2)))]);
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(), Just(b'"'), Just(b'{'), Just(b'['), Just(b'}'), Just(b']'), Just(b','), Just(b':'),
            ], 0..200),
            capacity in 1..9_usize,
        ) {
            for text in [bytes.clone(), [b"{\"chats\":[{\"messages\":[".as_slice(), &bytes].concat()] {
                let (taken, _) = walked(&text, capacity, None);
                prop_assert!(taken.values.len() <= text.len() + 1);
            }
        }

        #[test]
        fn documents_come_apart_into_what_they_were_made_of(
            texts in prop::collection::vec(".*", 0..9),
            capacity in 1..40_usize,
        ) {
            let document = serde_json::to_vec_pretty(&json!({"chats": [{"messages": texts}]})).unwrap();
            let (taken, _) = walked(&document, capacity, None);
            let read: Vec<_> = taken.values.into_iter().map(|(.., value)| value.unwrap()).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
