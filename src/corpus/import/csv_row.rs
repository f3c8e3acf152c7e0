//! A row of comma- or tab-separated values, which may span several lines.
//!
//! The parser is our own because of stray quotes, as in `1,"two` without a closing quote, which are
//! common in exported reviews. The crate `csv` reads such a field up to the next quote, or to the
//! end of the file: all rows in between become one field, and they are lost together. Its reader
//! cannot be set back to the line after the stray quote. This parser is fed line by line, so its
//! caller (`Separated` in `records`) keeps the lines of an open row, drops only the first of them
//! if the row turns out malformed, and reads the rest again as rows of their own. The caller also
//! bounds the length of a row, which `csv` does not.

/// Parses a row line by line. Quotes work as in RFC 4180; in quoted fields a backslash may also escape
/// a quote ([`CsvRow::with_backslashes`]). A quote inside an unquoted field and text after a closing
/// quote are kept literally.
#[derive(Debug)]
pub(super) struct CsvRow {
    delimiter: u8,
    backslashes: bool,
    fields: Vec<Vec<u8>>,
    field: Vec<u8>,
    state: RowState,
    irregular: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowState {
    FieldStart,
    Plain,
    Quoted,
    /// After a backslash inside a quoted field that may escape a quote or a backslash.
    Escaped,
    /// After a quote inside a quoted field: either it closes the field, or it is the first half of
    /// a doubled quote.
    QuoteSeen,
}

impl CsvRow {
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            backslashes: false,
            fields: Vec::new(),
            field: Vec::new(),
            state: RowState::FieldStart,
            irregular: false,
        }
    }

    /// A row in whose quoted fields a backslash escapes a quote or a backslash, as databases write it.
    pub(super) fn with_backslashes(delimiter: u8) -> Self {
        Self { backslashes: true, ..Self::new(delimiter) }
    }

    /// Appends the row's next line, given without its line end. The row continues on the next line
    /// if [`Self::is_open`] afterwards.
    pub(super) fn take(&mut self, line: &[u8]) {
        if self.is_open() {
            self.end_escape();
            self.field.push(b'\n');
        }
        for &byte in line {
            self.state = match (self.state, byte) {
                (RowState::Escaped, b'"' | b'\\') => {
                    self.field.push(byte);
                    RowState::Quoted
                }
                (RowState::Escaped, _) => {
                    self.field.extend([b'\\', byte]);
                    RowState::Quoted
                }
                (RowState::Quoted, b'\\') if self.backslashes => RowState::Escaped,
                (RowState::Quoted, b'"') => RowState::QuoteSeen,
                (RowState::FieldStart, b'"') => RowState::Quoted,
                (RowState::QuoteSeen, b'"') => {
                    self.field.push(b'"');
                    RowState::Quoted
                }
                (RowState::Quoted, _) => {
                    self.field.push(byte);
                    RowState::Quoted
                }
                (_, _) if byte == self.delimiter => {
                    self.fields.push(std::mem::take(&mut self.field));
                    RowState::FieldStart
                }
                (state, _) => {
                    self.irregular |= state == RowState::QuoteSeen;
                    self.field.push(byte);
                    RowState::Plain
                }
            };
        }
    }

    /// Whether a quoted field is not closed yet, so that the next line belongs to this row.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, RowState::Quoted | RowState::Escaped)
    }

    /// Keeps a backslash at the end of a line.
    fn end_escape(&mut self) {
        if self.state == RowState::Escaped {
            self.field.push(b'\\');
            self.state = RowState::Quoted;
        }
    }

    /// Whether text followed a closing quote. This is harmless within one line; in a row of several
    /// lines it indicates that the quote that opened the field was a stray one.
    pub(super) fn is_irregular(&self) -> bool {
        self.irregular
    }

    /// Returns the fields.
    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        self.fields.push(self.field);
        self.fields
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn row(text: &str) -> Vec<String> {
        let mut row = CsvRow::new(b',');
        for line in text.split('\n') {
            row.take(line.as_bytes());
        }
        row.finish().into_iter().map(|f| String::from_utf8(f).unwrap()).collect()
    }

    #[test]
    fn quotes_commas_and_line_ends() {
        assert_eq!(row("a,,\"b \"\"c\"\", d\",12\" vinyl"), ["a", "", "b \"c\", d", "12\" vinyl"]);
        assert_eq!(row("\"one\ntwo\",3"), ["one\ntwo", "3"]);
        assert_eq!(row("\"a\"b,c"), ["ab", "c"]);
        assert_eq!(row(""), [""]);
    }

    #[test]
    fn backslashes_escape_quotes_if_asked() {
        let mut row = CsvRow::with_backslashes(b',');
        row.take(br#"a,"say \"no\", C:\\dir\x","end\"#);
        row.take(br#"of it""#);
        assert!(!row.is_open() && !row.is_irregular());
        let fields = row.finish().into_iter().map(|f| String::from_utf8(f).unwrap());
        assert_eq!(fields.collect::<Vec<_>>(), ["a", "say \"no\", C:\\dir\\x", "end\\\nof it"]);
    }

    proptest! {
        #[test]
        fn what_a_csv_writer_writes_is_read_back(
            fields in prop::collection::vec("[^\r]*", 2..6),
            style in prop::bool::ANY,
        ) {
            let style = if style { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
            let mut writer = csv::WriterBuilder::new().quote_style(style).from_writer(Vec::new());
            writer.write_record(&fields).unwrap();
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            prop_assert_eq!(row(text.strip_suffix('\n').unwrap()), fields);
        }

        #[test]
        fn any_line_is_some_row(line in prop::collection::vec(any::<u8>(), 0..99)) {
            let mut row = CsvRow::new(b',');
            row.take(&line);
            prop_assert!(!row.finish().is_empty());
        }
    }
}
