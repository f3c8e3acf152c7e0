//! Reads lines, or the elements of one long JSON array, from a byte stream; each has a bounded
//! size.

use std::io::{self, BufRead, Read};

/// Maximum length of a line or an array element, in bytes. A longer one is malformed: a real review
/// has a few thousand characters, so it is not a review and would only fill the memory.
pub(super) const MAX_LINE_BYTES: usize = 16 << 20;

/// A line or an array element, and the number of the line it begins on, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LinePiece {
    pub(super) line: u64,
    /// The bytes, or the reason why they cannot be read.
    pub(super) bytes: Result<Vec<u8>, String>,
}

/// Reads lines; line ends (LF or CR LF) are removed.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: u64,
}

impl Lines {
    /// Number of the last line that was read.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns the next line, which may be empty; `None` at the end.
    pub(super) fn next(&mut self, reader: &mut dyn BufRead) -> io::Result<Option<LinePiece>> {
        let mut bytes = Vec::new();
        reader.take(MAX_LINE_BYTES as u64 + 2).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let ended = bytes.pop_if(|b| *b == b'\n').is_some();
        bytes.pop_if(|b| *b == b'\r');
        if bytes.len() > MAX_LINE_BYTES {
            if !ended {
                reader.skip_until(b'\n')?;
            }
            return Ok(Some(LinePiece { line: self.line, bytes: Err(too_long("line")) }));
        }
        Ok(Some(LinePiece { line: self.line, bytes: Ok(bytes) }))
    }
}

/// Reads the elements of a top-level array. It parses only brackets and strings.
#[derive(Debug)]
pub(super) struct Elements {
    line: u64,
    state: LineState,
    /// Characters that open a string: `"`, and also `'` if Python literals are allowed.
    quotes: &'static [u8],
}

#[derive(Debug, PartialEq, Eq)]
enum LineState {
    BeforeArray,
    Inside,
    AfterArray,
    Done,
}

impl Elements {
    pub(super) fn new(quotes: &'static [u8]) -> Self {
        Self { line: 1, state: LineState::BeforeArray, quotes }
    }

    /// Number of the current line.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns the next element; `None` at the end.
    pub(super) fn next(&mut self, reader: &mut dyn BufRead) -> io::Result<Option<LinePiece>> {
        if self.state == LineState::BeforeArray {
            // The caller has seen that the first visible byte is `[`.
            let mut skipped = Vec::new();
            reader.read_until(b'[', &mut skipped)?;
            self.line += newlines(&skipped);
            self.state = LineState::Inside;
        }
        if self.state == LineState::Inside
            && let Some(piece) = self.element(reader)?
        {
            return Ok(Some(piece));
        }
        if self.state == LineState::AfterArray {
            self.state = LineState::Done;
            return self.rest(reader);
        }
        Ok(None)
    }

    fn element(&mut self, reader: &mut dyn BufRead) -> io::Result<Option<LinePiece>> {
        let mut scan = LineScan { quotes: self.quotes, open: None, escaped: false, depth: 0 };
        let (mut bytes, mut begins, mut length) = (Vec::new(), None, 0);
        loop {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                self.state = LineState::Done;
                let reason = "the array is not closed before the end of the file".to_owned();
                return Ok(Some(LinePiece {
                    line: begins.unwrap_or(self.line),
                    bytes: Err(reason),
                }));
            }
            let end = buffer.iter().position(|&byte| scan.ends_element(byte));
            let part = &buffer[..end.unwrap_or(buffer.len())];
            if begins.is_none()
                && let Some(first) = part.iter().position(|b| !b.is_ascii_whitespace())
            {
                begins = Some(self.line + newlines(&part[..first]));
            }
            self.line += newlines(part);
            length += part.len();
            if length <= MAX_LINE_BYTES {
                bytes.extend_from_slice(part);
            }
            let closes = end.map(|at| buffer[at] == b']');
            let used = part.len() + usize::from(end.is_some());
            reader.consume(used);
            let Some(closes) = closes else { continue };
            if closes {
                self.state = LineState::AfterArray;
            }
            let Some(line) = begins else {
                if closes {
                    return Ok(None);
                }
                let reason = "an element of the array is empty".to_owned();
                return Ok(Some(LinePiece { line: self.line, bytes: Err(reason) }));
            };
            let bytes = if length > MAX_LINE_BYTES { Err(too_long("element")) } else { Ok(bytes) };
            return Ok(Some(LinePiece { line, bytes }));
        }
    }

    /// Returns an error piece if anything but white space follows the array.
    fn rest(&mut self, reader: &mut dyn BufRead) -> io::Result<Option<LinePiece>> {
        loop {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let visible = buffer.iter().position(|b| !b.is_ascii_whitespace());
            let part = &buffer[..visible.unwrap_or(buffer.len())];
            self.line += newlines(part);
            if visible.is_some() {
                let reason = "the file goes on after the end of the array".to_owned();
                return Ok(Some(LinePiece { line: self.line, bytes: Err(reason) }));
            }
            let used = buffer.len();
            reader.consume(used);
        }
    }
}

/// Reads top-level objects that follow each other, each over several lines, with white space or commas
/// between them.
#[derive(Debug)]
pub(super) struct Objects {
    line: u64,
}

impl Default for Objects {
    fn default() -> Self {
        Self { line: 1 }
    }
}

impl Objects {
    /// Number of the current line.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns the next object; `None` at the end.
    pub(super) fn next(&mut self, reader: &mut dyn BufRead) -> io::Result<Option<LinePiece>> {
        let mut scan = LineScan { quotes: b"\"", open: None, escaped: false, depth: 0 };
        let (mut bytes, mut begins, mut length) = (Vec::new(), None, 0);
        loop {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                let unclosed =
                    || Err("the object is not closed before the end of the file".to_owned());
                return Ok(begins.map(|line| LinePiece { line, bytes: unclosed() }));
            }
            let mut used = 0;
            let mut ends = false;
            for &byte in buffer {
                used += 1;
                self.line += u64::from(byte == b'\n');
                if begins.is_none() {
                    if byte.is_ascii_whitespace() || byte == b',' {
                        continue;
                    }
                    begins = Some(self.line);
                }
                length += 1;
                if length <= MAX_LINE_BYTES {
                    bytes.push(byte);
                }
                scan.ends_element(byte);
                // What is no object ends with its line.
                ends = scan.depth == 0 && scan.open.is_none() && matches!(byte, b'}' | b'\n');
                if ends {
                    break;
                }
            }
            reader.consume(used);
            if ends && let Some(line) = begins {
                let bytes =
                    if length > MAX_LINE_BYTES { Err(too_long("object")) } else { Ok(bytes) };
                return Ok(Some(LinePiece { line, bytes }));
            }
        }
    }
}

struct LineScan {
    quotes: &'static [u8],
    open: Option<u8>,
    escaped: bool,
    depth: usize,
}

impl LineScan {
    /// Whether `byte` is the comma or bracket that ends a top-level element.
    fn ends_element(&mut self, byte: u8) -> bool {
        if let Some(quote) = self.open {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                _ if byte == quote => self.open = None,
                _ => {}
            }
            return false;
        }
        match byte {
            _ if self.quotes.contains(&byte) => self.open = Some(byte),
            b',' | b']' if self.depth == 0 => return true,
            b'[' | b'{' | b'(' => self.depth += 1,
            b']' | b'}' | b')' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

fn too_long(what: &str) -> String {
    format!("the {what} is longer than {} MiB", MAX_LINE_BYTES >> 20)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn elements(text: &[u8], capacity: usize) -> Vec<LinePiece> {
        let mut reader = BufReader::with_capacity(capacity, text);
        let mut elements = Elements::new(b"\"");
        std::iter::from_fn(|| elements.next(&mut reader).unwrap()).collect()
    }

    #[test]
    fn lines_of_both_ends_and_a_last_one_without() {
        let mut reader = &b"one\r\n\ntwo\nthree"[..];
        let mut lines = Lines::default();
        let read: Vec<_> = std::iter::from_fn(|| lines.next(&mut reader).unwrap())
            .map(|p| (p.line, String::from_utf8(p.bytes.unwrap()).unwrap()))
            .collect();
        let expected = [(1, "one"), (2, ""), (3, "two"), (4, "three")];
        assert_eq!(read, expected.map(|(n, s)| (n, s.to_owned())));
    }

    #[test]
    fn an_endless_line_is_passed_over_without_being_held() {
        let long = std::io::repeat(b'x').take(MAX_LINE_BYTES as u64 * 2);
        let mut reader = BufReader::new(long.chain(&b"\nnext\n"[..]));
        let mut lines = Lines::default();
        assert!(lines.next(&mut reader).unwrap().unwrap().bytes.is_err());
        let next = lines.next(&mut reader).unwrap().unwrap();
        assert_eq!(next, LinePiece { line: 2, bytes: Ok(b"next".to_vec()) });
    }

    #[test]
    fn array_elements_know_their_lines() {
        let text = b"\n[ {\"a\": \"],[\\\"\"},\n\n 2 , [3,\n4]]\n";
        for capacity in [1, 2, 3, 100] {
            let read: Vec<_> = elements(text, capacity)
                .into_iter()
                .map(|p| (p.line, String::from_utf8(p.bytes.unwrap()).unwrap().trim().to_owned()))
                .collect();
            let expected = [(2, "{\"a\": \"],[\\\"\"}"), (4, "2"), (4, "[3,\n4]")];
            assert_eq!(read, expected.map(|(n, s)| (n, s.to_owned())));
        }
        assert_eq!(elements(b"[]", 8), []);
        assert!(elements(b"[1,", 8)[1].bytes.is_err());
        assert!(elements(b"[1]\n2", 8)[1].bytes.is_err());
    }

    proptest! {
        #[test]
        fn any_objects_come_to_an_end(text in prop::collection::vec(any::<u8>(), 0..200), capacity in 1..9_usize) {
            let mut reader = BufReader::with_capacity(capacity, &text[..]);
            let mut objects = Objects::default();
            let read = std::iter::from_fn(|| objects.next(&mut reader).unwrap()).count();
            prop_assert!(read <= text.len());
        }

        #[test]
        fn any_bytes_come_to_an_end(text in prop::collection::vec(any::<u8>(), 0..200), capacity in 1..9_usize) {
            let text = [b"[".as_slice(), &text].concat();
            prop_assert!(elements(&text, capacity).len() <= text.len() + 1);
        }

        #[test]
        fn arrays_come_apart_into_what_they_were_made_of(
            values in prop::collection::vec(".*", 0..9),
            capacity in 1..40_usize,
        ) {
            let text = serde_json::to_vec_pretty(&values).unwrap();
            let read: Vec<String> = elements(&text, capacity)
                .into_iter()
                .map(|p| serde_json::from_slice(&p.bytes.unwrap()).unwrap())
                .collect();
            prop_assert_eq!(read, values);
        }
    }
}
