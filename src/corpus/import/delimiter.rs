//! Delimiters of tables: named, or found from the header.

use super::csv_row::CsvRow;
use crate::{Error, Result};

/// Delimiters that are tried, in the order in which ties are decided.
const CANDIDATES: [u8; 4] = *b",;\t|";

/// Delimiter of the columns of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delimiter {
    /// The one of comma, semicolon, tab and bar that gives the header the most of the wanted columns,
    /// then the most columns; a first line `sep=X`, as spreadsheets write it, decides.
    #[default]
    Detected,
    /// A given ASCII character.
    Named(u8),
}

impl Delimiter {
    /// Returns the delimiter called `name`: `auto`, `tab`, or one ASCII character.
    ///
    /// # Errors
    /// [`Error::BadDelimiter`].
    pub fn of(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Detected),
            "tab" | "\\t" => Ok(Self::Named(b'\t')),
            _ => match name.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => {
                    Ok(Self::Named(*byte))
                }
                _ => Err(Error::BadDelimiter { name: name.to_owned() }),
            },
        }
    }

    /// The delimiter of a table with this header line. `wanted` are names of columns; `usual` is the
    /// delimiter by the file's name, which wins ties.
    pub(super) fn of_header(self, line: &[u8], wanted: &[String], usual: u8) -> u8 {
        if let Self::Named(delimiter) = self {
            return delimiter;
        }
        let value = |delimiter: u8| {
            let mut row = CsvRow::new(delimiter);
            row.take(line);
            let fields = row.finish();
            let is_wanted = |field: &Vec<u8>| {
                let name = String::from_utf8_lossy(field);
                wanted.iter().any(|wanted| wanted == name.trim())
            };
            (fields.iter().filter(|field| is_wanted(field)).count(), fields.len())
        };
        let mut best = usual;
        for delimiter in CANDIDATES {
            if value(delimiter) > value(best) {
                best = delimiter;
            }
        }
        best
    }

    /// The delimiter of a line `sep=X`, which is no header.
    pub(super) fn declared(line: &[u8]) -> Option<u8> {
        match line {
            [s, e, p, b'=', delimiter] if [s, e, p].map(u8::to_ascii_lowercase) == *b"sep" => {
                Some(*delimiter)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_header_shows_its_delimiter() {
        let wanted = ["user", "item", "text"].map(str::to_owned);
        for (header, usual, expected) in [
            ("user,item,text", b',', b','),
            ("user;item;text", b',', b';'),
            ("user\titem\ttext", b',', b'\t'),
            ("user|item|text", b'\t', b'|'),
            ("user;item;text;size, colour, weight, form", b',', b';'),
            ("\"user\";\"item, or thread\";\"text\"", b',', b';'),
            ("a,b,c;d", b',', b','),
            ("one", b'\t', b'\t'),
        ] {
            assert_eq!(
                Delimiter::Detected.of_header(header.as_bytes(), &wanted, usual),
                expected,
                "{header}"
            );
        }
        assert_eq!(Delimiter::declared(b"sep=;"), Some(b';'));
        assert_eq!(Delimiter::declared(b"SEP=\t"), Some(b'\t'));
        assert_eq!(Delimiter::declared(b"separator"), None);
    }

    #[test]
    fn delimiters_are_named_or_refused() {
        assert_eq!(Delimiter::of("tab").unwrap(), Delimiter::Named(b'\t'));
        assert_eq!(Delimiter::of("^").unwrap(), Delimiter::Named(b'^'));
        assert_eq!(Delimiter::of("auto").unwrap(), Delimiter::Detected);
        for name in ["", "ab", "\"", "\n", "é"] {
            assert!(matches!(Delimiter::of(name), Err(Error::BadDelimiter { .. })), "{name:?}");
        }
    }
}
