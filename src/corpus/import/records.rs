//! Reads rows of any supported file format as JSON objects, or as reasons why they cannot be read.

use std::collections::VecDeque;
use std::io;

use serde_json::Value;

use super::csv_row::CsvRow;
use super::delimiter::Delimiter;
use super::encoding::{EncodedFile, FileEncoding};
use super::input::{ImportInput, ImportSource};
use super::json_lines::{self, invalid_utf8};
use super::lines::{Elements, LinePiece, Lines, Objects};
use crate::{Error, Result};

/// Maximum length of a row of separated values over several lines, in bytes. If it is exceeded, the
/// quote that opened the field counts as a stray one.
const MAX_ROW_BYTES: usize = 4 << 20;

/// How files are read, whatever their format.
#[derive(Debug, Clone, Default)]
pub(super) struct FileSettings {
    pub(super) encoding: FileEncoding,
    pub(super) delimiter: Delimiter,
    /// Names of columns by which the delimiter is found.
    pub(super) columns: Vec<String>,
}

/// A row, or the reason why it cannot be read, and the number of the line it begins on, from 1.
#[derive(Debug)]
pub(super) struct ImportRecord {
    pub(super) line: u64,
    pub(super) row: Result<Value, String>,
}

/// The rows of one source.
pub(super) struct Records {
    source: ImportSource,
    input: ImportInput,
    shape: Shape,
}

enum Shape {
    Lines(Lines),
    Objects(Objects),
    Array(Elements),
    Separated(Separated),
}

/// Separated values, parsed with [`CsvRow`]; its module says why not with the crate `csv`.
struct Separated {
    lines: Lines,
    delimiter: u8,
    header: Vec<String>,
    /// Lines that were read in search of a closing quote and returned to be read again.
    given_back: VecDeque<LinePiece>,
    /// Number of rows with fewer fields than the header.
    n_short: u64,
}

impl Records {
    /// Opens a source. Its name, or else its first bytes, determine the format of the rows.
    pub(super) fn open(source: &ImportSource, settings: &FileSettings) -> Result<Self> {
        let input = ImportInput::open(source, settings.encoding)?;
        Self::of_input(source, input, settings)
    }

    /// Reads the rows of an open input, which comes from `source`.
    pub(super) fn of_input(
        source: &ImportSource,
        input: ImportInput,
        settings: &FileSettings,
    ) -> Result<Self> {
        let extension = source.extension();
        let first = input.head.iter().copied().find(|b| !b.is_ascii_whitespace());
        let shape = match (extension.as_str(), first) {
            ("csv", _) => Shape::Separated(Separated::new(b',')),
            ("tsv" | "tab", _) => Shape::Separated(Separated::new(b'\t')),
            ("jsonl" | "ndjson", _) => Shape::Lines(Lines::default()),
            (_, Some(b'[')) => Shape::Array(Elements::new(b"\"'")),
            // The first line of an object that was printed over several lines.
            (_, Some(b'{')) if first_line(&input.head) == b"{" => {
                Shape::Objects(Objects::default())
            }
            ("json", _) | (_, None | Some(b'{')) => Shape::Lines(Lines::default()),
            _ => Shape::Separated(Separated::new(b',')),
        };
        let mut records = Self { source: source.clone(), input, shape };
        if let Shape::Separated(separated) = &mut records.shape {
            separated.read_header(&mut records.input, source, settings)?;
        }
        Ok(records)
    }

    /// Name of the source for messages, with its encoding if that is not UTF-8.
    pub(super) fn name(&self) -> String {
        match self.encoded() {
            Some(encoded) => format!("{} (read as {})", self.source, encoded.encoding),
            None => self.source.to_string(),
        }
    }

    /// The encoding of the file, as far as it was read; `None` for UTF-8.
    pub(super) fn encoded(&self) -> Option<EncodedFile> {
        let (encoding, guessed) = self.input.encoding.get()?;
        let file = self.source.to_string();
        let encoded = EncodedFile { file, encoding: encoding.name(), guessed: *guessed };
        (*encoding != encoding_rs::UTF_8).then_some(encoded)
    }

    /// Number of rows so far that have fewer fields than the header.
    pub(super) fn n_short(&self) -> u64 {
        match &self.shape {
            Shape::Separated(separated) => separated.n_short,
            _ => 0,
        }
    }

    /// Returns the column names if the format has a header; empty for an empty file.
    pub(super) fn header(&self) -> Option<&[String]> {
        match &self.shape {
            Shape::Separated(separated) => Some(&separated.header),
            _ => None,
        }
    }

    pub(super) fn source(&self) -> &ImportSource {
        &self.source
    }

    /// Size on disk, if known.
    pub(super) fn size(&self) -> Option<u64> {
        self.input.size
    }

    /// Number of bytes read so far, before decompression.
    pub(super) fn bytes_read(&self) -> u64 {
        self.input.bytes_read()
    }

    /// Returns the next row; blank lines are skipped.
    pub(super) fn next(&mut self) -> Result<Option<ImportRecord>> {
        let reader = self.input.reader.as_mut();
        let at = self.shape.line();
        let read = match &mut self.shape {
            Shape::Separated(separated) => separated.next(reader),
            Shape::Array(elements) => elements.next(reader).map(|p| p.map(ImportRecord::of_json)),
            Shape::Objects(objects) => objects.next(reader).map(|p| p.map(ImportRecord::of_json)),
            Shape::Lines(lines) => loop {
                match lines.next(reader) {
                    Ok(Some(LinePiece { bytes: Ok(bytes), .. }))
                        if bytes.trim_ascii().is_empty() => {}
                    read => break read.map(|p| p.map(ImportRecord::of_json)),
                }
            },
        };
        read.map_err(|error| failed(&self.source, at, error))
    }
}

impl Shape {
    fn line(&self) -> u64 {
        match self {
            Shape::Lines(lines) => lines.line(),
            Shape::Array(elements) => elements.line(),
            Shape::Objects(objects) => objects.line(),
            Shape::Separated(separated) => separated.lines.line(),
        }
    }
}

impl ImportRecord {
    fn of_json(piece: LinePiece) -> Self {
        let row = piece.bytes.and_then(|bytes| json_lines::parse(&bytes));
        Self { line: piece.line, row }
    }
}

impl Separated {
    fn new(delimiter: u8) -> Self {
        let (lines, header) = (Lines::default(), Vec::new());
        Self { lines, delimiter, header, given_back: VecDeque::new(), n_short: 0 }
    }

    fn read_header(
        &mut self,
        input: &mut ImportInput,
        source: &ImportSource,
        settings: &FileSettings,
    ) -> Result<()> {
        let reader = input.reader.as_mut();
        let mut delimiter = settings.delimiter;
        let (line, bytes) = loop {
            let Some(piece) = self.visible(reader).map_err(|e| failed(source, 0, e))? else {
                return Ok(());
            };
            match piece.bytes.as_deref().ok().and_then(Delimiter::declared) {
                Some(_) if delimiter != Delimiter::Detected => {}
                Some(declared) => delimiter = Delimiter::Named(declared),
                None => break (piece.line, piece.bytes),
            }
        };
        let fail = |reason| Error::Malformed { source_name: source.to_string(), line, reason };
        let bytes = bytes.map_err(fail)?;
        self.delimiter = delimiter.of_header(&bytes, &settings.columns, self.delimiter);
        let mut row = CsvRow::new(self.delimiter);
        row.take(&bytes);
        if row.is_open() {
            return Err(fail("a quote in the header is not closed".to_owned()));
        }
        let names: Result<Vec<String>, _> = row
            .finish()
            .into_iter()
            .map(|f| String::from_utf8(f).map(|f| f.trim().to_owned()))
            .collect();
        self.header = names.map_err(|error| fail(invalid_utf8(&error.utf8_error())))?;
        self.take_names_in_other_case(&settings.columns);
        Ok(())
    }

    /// Takes a column `User` for `user` if no other one can be meant.
    fn take_names_in_other_case(&mut self, wanted: &[String]) {
        for name in wanted {
            let alike = |column: &String| column.to_lowercase() == name.to_lowercase();
            let n_alike = self.header.iter().filter(|column| alike(column)).count();
            if n_alike == 1
                && let Some(column) = self.header.iter_mut().find(|column| alike(column))
            {
                column.clone_from(name);
            }
        }
    }

    fn next(&mut self, reader: &mut dyn io::BufRead) -> io::Result<Option<ImportRecord>> {
        let Some(LinePiece { line, bytes }) = self.visible(reader)? else {
            return Ok(None);
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(reason) => return Ok(Some(ImportRecord { line, row: Err(reason) })),
        };
        let (mut row, mut further) = self.row(CsvRow::new(self.delimiter), &bytes, reader)?;
        if (row.is_open() || row.is_irregular()) && bytes.windows(2).any(|pair| pair == br#"\""#) {
            // Databases escape quotes so.
            self.give_back(further);
            let other = CsvRow::with_backslashes(self.delimiter);
            let (escaped, rest) = self.row(other, &bytes, reader)?;
            if escaped.is_open() || escaped.is_irregular() {
                self.give_back(rest);
                (row, further) = self.row(CsvRow::new(self.delimiter), &bytes, reader)?;
            } else {
                (row, further) = (escaped, rest);
            }
        }
        let row = if row.is_open() {
            Err("a quote that opens here is never closed".to_owned())
        } else if row.is_irregular() && !further.is_empty() {
            Err("a stray quote: the next one has text after it".to_owned())
        } else {
            self.named(row.finish())
        };
        if row.is_err() {
            // Only the first line is dropped: the following ones may be complete rows that a stray
            // quote had joined to it.
            self.give_back(further);
        }
        Ok(Some(ImportRecord { line, row }))
    }

    /// Reads a row that begins with the line `first`. Returns it with its further lines.
    fn row(
        &mut self,
        mut row: CsvRow,
        first: &[u8],
        reader: &mut dyn io::BufRead,
    ) -> io::Result<(CsvRow, Vec<LinePiece>)> {
        row.take(first);
        let (mut further, mut length) = (Vec::new(), first.len());
        while row.is_open() && length <= MAX_ROW_BYTES {
            let Some(piece) = self.physical(reader)? else { break };
            if let Ok(bytes) = &piece.bytes {
                length += bytes.len();
                row.take(bytes);
                further.push(piece);
            } else {
                self.given_back.push_front(piece);
                break;
            }
        }
        Ok((row, further))
    }

    /// Returns lines to be read again.
    fn give_back(&mut self, lines: Vec<LinePiece>) {
        for piece in lines.into_iter().rev() {
            self.given_back.push_front(piece);
        }
    }

    /// Names the fields of a row. Missing last fields count as absent and empty ones behind the header
    /// do no harm; of columns of one name the first counts.
    fn named(&mut self, mut fields: Vec<Vec<u8>>) -> Result<Value, String> {
        let (n, expected) = (fields.len(), self.header.len());
        while fields.len() > expected && fields.last().is_some_and(|f| f.trim_ascii().is_empty()) {
            fields.pop();
        }
        if fields.len() > expected {
            return Err(format!(
                "{n} fields, the header has {expected}: quote texts with the delimiter"
            ));
        }
        let mut object = serde_json::Map::with_capacity(fields.len());
        for (name, field) in self.header.iter().zip(fields) {
            let field = String::from_utf8(field).map_err(|e| invalid_utf8(&e.utf8_error()))?;
            if !name.is_empty() {
                object.entry(name.as_str()).or_insert(Value::String(field));
            }
        }
        self.n_short += u64::from(n < expected);
        Ok(Value::Object(object))
    }

    fn visible(&mut self, reader: &mut dyn io::BufRead) -> io::Result<Option<LinePiece>> {
        loop {
            match self.physical(reader)? {
                Some(LinePiece { bytes: Ok(bytes), .. }) if bytes.is_empty() => {}
                piece => return Ok(piece),
            }
        }
    }

    fn physical(&mut self, reader: &mut dyn io::BufRead) -> io::Result<Option<LinePiece>> {
        match self.given_back.pop_front() {
            Some(piece) => Ok(Some(piece)),
            None => self.lines.next(reader),
        }
    }
}

/// The first line that is not blank, as far as `head` has it, without white space around it.
fn first_line(head: &[u8]) -> &[u8] {
    let visible = head.trim_ascii_start();
    visible.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii()
}

fn failed(source: &ImportSource, line: u64, error: io::Error) -> Error {
    Error::Read { source_name: source.to_string(), line, source: error }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn records(name: &str, contents: &[u8]) -> Vec<(u64, Result<Value, String>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        let mut records =
            Records::open(&ImportSource::File(path), &FileSettings::default()).unwrap();
        std::iter::from_fn(|| records.next().unwrap()).map(|r| (r.line, r.row)).collect()
    }

    #[test]
    fn objects_over_several_lines_and_old_line_ends() {
        let row = json!({"a": "x, \"}{\"", "b": [1, {"c": 2}]});
        let pretty = serde_json::to_string_pretty(&row).unwrap();
        let two = format!("{pretty}\n\n{pretty},\n");
        let read = records("f.json", two.as_bytes());
        assert_eq!(read, [(1, Ok(row.clone())), (11, Ok(row))]);
        let cut = format!("{pretty}\n{{\n \"a\": 1");
        assert!(records("f", cut.as_bytes())[1].1.is_err());
        let expected = json!({"a": "1", "b": "2"});
        assert_eq!(records("f.csv", b"a,b\r1,2\r"), [(2, Ok(expected))]);
        let escaped = b"a,b\n1,\"say \\\"no\\\"\"\n2,\"C:\\\"\n";
        let read: Vec<_> = records("f.csv", escaped)
            .into_iter()
            .map(|(_, row)| row.unwrap()["b"].clone())
            .collect();
        assert_eq!(read, ["say \"no\"", "C:\\"]);
    }

    #[test]
    fn columns_in_other_case_are_taken_if_no_other_can_be_meant() {
        let header = |text: &str| {
            let mut separated = Separated::new(b',');
            separated.header = text.split(',').map(str::to_owned).collect();
            separated.take_names_in_other_case(&["user".to_owned(), "TEXT".to_owned()]);
            separated.header.join(",")
        };
        assert_eq!(header("User,text,Item"), "user,TEXT,Item");
        assert_eq!(header("User,user,Text,text"), "User,user,Text,text");
    }

    #[test]
    fn every_shape_gives_the_same_rows() {
        let row = json!({"a": "x, \"y\"", "b": "é"});
        let expected: Vec<_> = [2, 4].map(|line| (line, Ok(row.clone()))).into();
        let csv = "\u{feff}a,b\r\n\"x, \"\"y\"\"\",é\r\n\r\n\"x, \"\"y\"\"\",é";
        assert_eq!(records("f.csv", csv.as_bytes()), expected);
        assert_eq!(
            records("f.tsv", csv.replace("\",é", "\"\té").replace("a,", "a\t").as_bytes()),
            expected
        );
        assert_eq!(records("unnamed", csv.as_bytes()), expected);
        let lines = format!("\n{row}\r\n \n{{'a': 'x, \"y\"', 'b': '\\xe9'}}");
        assert_eq!(records("f.json", lines.as_bytes()), expected);
        assert_eq!(records("f.jsonl", lines.as_bytes()), expected);
        let array = format!("[\n{row},\n\n{row}\n]\n");
        assert_eq!(records("f.json", array.as_bytes()), expected);
    }

    #[test]
    fn a_stray_quote_costs_its_own_line_only() {
        let read = records("f.csv", b"a,b\n1,\"two\n3,4\n5,6\n");
        assert_eq!(
            read.iter().map(|(n, r)| (*n, r.is_ok())).collect::<Vec<_>>(),
            [(2, false), (3, true), (4, true)]
        );
        let read = records("f.csv", b"a,b\n1,\"two\n3,4\n5,\"six\"\n7,8");
        assert_eq!(read.iter().filter(|(_, r)| r.is_ok()).count(), 3, "{read:?}");
        let whole = records("f.csv", b"a,b\n1,\"two\n\nthree\"\n");
        assert_eq!(whole, [(2, Ok(json!({"a": "1", "b": "two\n\nthree"})))]);
    }

    #[test]
    fn the_csv_crate_loses_the_rows_after_a_stray_quote() {
        let contents = b"a,b\n1,\"two\n3,4\n5,6\n";
        let mut reader = csv::Reader::from_reader(&contents[..]);
        let read: Vec<_> = reader.records().map(|r| r.ok().map(|r| r.len())).collect();
        assert_eq!(read, [Some(2)], "one row, whose second field has the lines of the others");
        assert_eq!(records("f.csv", contents).iter().filter(|(_, r)| r.is_ok()).count(), 2);
    }

    #[test]
    fn what_is_no_row_says_why() {
        let read = records("f.jsonl", b"{\"a\": 1\n[1]\n{\"a\":\"\xff\"}\n{'a': }\n{\"a\": 1}");
        let reasons: Vec<String> = read.into_iter().filter_map(|(_, r)| r.err()).collect();
        assert_eq!(reasons.len(), 4);
        assert!(reasons[0].starts_with("not JSON"), "{reasons:?}");
        assert!(reasons[1].contains("a list where an object"), "{reasons:?}");
        assert!(reasons[2].contains("invalid UTF-8 after byte 6"), "{reasons:?}");
        assert!(reasons[3].contains("Python"), "{reasons:?}");
    }

    #[test]
    fn spreadsheets_write_semicolons_empty_columns_and_short_rows() {
        let table = "sep=;\nuser;text;;;\nann;\"a; b\";;;\nbo;c\ncy;d;;;;\ndi;e;;;f;g\n";
        let read = records("f.csv", table.as_bytes());
        let row = |user: &str, text: &str| Ok(json!({"user": user, "text": text}));
        let expected = [(3, row("ann", "a; b")), (4, row("bo", "c")), (5, row("cy", "d"))];
        assert_eq!(read[..3], expected);
        assert!(read[3].1.as_ref().is_err_and(|reason| reason.contains("6 fields")), "{read:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_rows_or_reasons(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\n'), Just(b','), Just(b'[')], 0..120),
            name in prop::sample::select(vec!["f.csv", "f.json", "f.jsonl", "f"]),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(mut records) = Records::open(&ImportSource::File(path), &FileSettings::default()) {
                let mut n = 0;
                while records.next().is_ok_and(|record| record.is_some()) {
                    n += 1;
                    prop_assert!(n <= bytes.len() + 1);
                }
            }
        }
    }
}
