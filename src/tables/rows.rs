//! Rows of Parquet files.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};

use crate::{Error, Result};

/// The first and the last bytes of a Parquet file.
const MAGIC: &[u8] = b"PAR1";

/// Whether a path is a Parquet file, or a folder with files named `*.parquet`.
#[must_use]
pub fn is_parquet(path: &Path) -> bool {
    match path.is_dir() {
        true => part_files(path).is_ok_and(|parts| !parts.is_empty()),
        false => {
            let mut head = [0; 4];
            // A pipe would lose what is read from it.
            path.is_file()
                && File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok()
                && head == MAGIC
        }
    }
}

/// A value of a file's metadata ([`ParquetTable::with_note`](crate::ParquetTable::with_note)); `None` if
/// there is no such value or no file.
///
/// # Errors
/// The file cannot be read or is no Parquet file.
pub fn note(path: &Path, name: &str) -> Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Error::File { operation: "open", path: path.to_owned(), source });
        }
    };
    guarded(path, || {
        let reader = SerializedFileReader::new(file)?;
        let notes = reader.metadata().file_metadata().key_value_metadata();
        let found = notes.into_iter().flatten().find(|note| note.key == name);
        Ok(found.and_then(|note| note.value.clone()))
    })
}

/// The files of a folder named `*.parquet`, by name; hidden ones and those that begin with `_` are the
/// writer's own.
fn part_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".parquet") && !name.starts_with(['.', '_']) {
            parts.push(path);
        }
    }
    parts.sort();
    Ok(parts)
}

/// The rows of a Parquet file or of a folder of part files as JSON objects, in their order. Timestamps
/// and dates are seconds since 1970, rounded down; decimals are texts; binary values are texts if they
/// are UTF-8, and null otherwise.
pub struct ParquetRows {
    parts: VecDeque<PathBuf>,
    /// The open part and its rows.
    current: Option<(PathBuf, RowIter<'static>)>,
}

impl ParquetRows {
    /// Opens a file or a folder.
    ///
    /// # Errors
    /// It cannot be opened, or the folder has no part files.
    pub fn open(path: &Path) -> Result<Self> {
        let open = |source| Error::File { operation: "open", path: path.to_owned(), source };
        let parts = match fs::metadata(path).map_err(open)?.is_dir() {
            true => part_files(path).map_err(open)?,
            false => vec![path.to_owned()],
        };
        if parts.is_empty() {
            return Err(open(io::Error::other("the folder has no files named *.parquet")));
        }
        Ok(Self { parts: parts.into(), current: None })
    }

    fn next_row(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some((path, rows)) = &mut self.current {
                let row = guarded(path, || rows.next().transpose())?;
                match row {
                    Some(row) => return Ok(Some(object_of(&row))),
                    None => self.current = None,
                }
            }
            let Some(path) = self.parts.pop_front() else { return Ok(None) };
            let file = File::open(&path);
            let file = file.map_err(|source| Error::File {
                operation: "open",
                path: path.clone(),
                source,
            })?;
            let rows = guarded(&path, || {
                let reader = SerializedFileReader::new(file)?;
                Ok(RowIter::from_file_into(Box::new(reader)))
            })?;
            self.current = Some((path, rows));
        }
    }
}

impl Iterator for ParquetRows {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_row();
        if row.is_err() {
            // What follows a damaged page cannot be told from it.
            (self.parts, self.current) = (VecDeque::new(), None);
        }
        row.transpose()
    }
}

/// Calls the reader of the crate, which panics on some damaged files.
fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, parquet::errors::ParquetError>,
) -> Result<T> {
    let failed = |what| Error::Content { operation: "read", path: path.to_owned(), what };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| failed(error.to_string())),
        Err(_) => Err(failed("the file is damaged".to_owned())),
    }
}

/// The rows of [`ParquetRows`] as JSON lines.
pub struct JsonLines {
    rows: ParquetRows,
    line: Vec<u8>,
    at: usize,
}

impl JsonLines {
    /// The lines of the rows.
    #[must_use]
    pub fn of(rows: ParquetRows) -> Self {
        Self { rows, line: Vec::new(), at: 0 }
    }
}

impl Read for JsonLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            let Some(row) = self.rows.next() else { return Ok(0) };
            let row = row.map_err(io::Error::other)?;
            (self.line, self.at) = (format!("{row}\n").into_bytes(), 0);
        }
        let n = buffer.len().min(self.line.len() - self.at);
        buffer[..n].copy_from_slice(&self.line[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn object_of(row: &Row) -> Value {
    let fields = row.get_column_iter().map(|(name, field)| (name.clone(), value_of(field)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value_of(field: &Field) -> Value {
    let number = |x: f64| Number::from_f64(x).map_or(Value::Null, Value::Number);
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(*value),
        Field::Byte(n) => (*n).into(),
        Field::Short(n) => (*n).into(),
        Field::Int(n) => (*n).into(),
        Field::Long(n) => (*n).into(),
        Field::UByte(n) => (*n).into(),
        Field::UShort(n) => (*n).into(),
        Field::UInt(n) => (*n).into(),
        Field::ULong(n) => (*n).into(),
        Field::Float16(x) => number(f64::from(*x)),
        Field::Float(x) => number(f64::from(*x)),
        Field::Double(x) => number(*x),
        Field::Decimal(_) => Value::String(field.to_string()),
        Field::Str(text) => Value::String(text.clone()),
        Field::Bytes(bytes) => {
            bytes.as_utf8().map_or(Value::Null, |text| Value::String(text.to_owned()))
        }
        Field::Date(days) => (i64::from(*days) * 86_400).into(),
        Field::TimeMillis(time) => (*time).into(),
        Field::TimeMicros(time) => (*time).into(),
        Field::TimestampMillis(time) => time.div_euclid(1_000).into(),
        Field::TimestampMicros(time) => time.div_euclid(1_000_000).into(),
        Field::Group(row) => object_of(row),
        Field::ListInternal(list) => list.elements().iter().map(value_of).collect(),
        Field::MapInternal(map) => {
            let key = |key: &Field| match key {
                Field::Str(text) => text.clone(),
                other => value_of(other).to_string(),
            };
            let entries = map.entries().iter().map(|(name, value)| (key(name), value_of(value)));
            Value::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A file as other programs write it: nullable columns, a timestamp, a list.
    fn foreign_file(path: &Path, compression: Compression) {
        let schema = "message schema {
            OPTIONAL BYTE_ARRAY user (UTF8);
            OPTIONAL DOUBLE rating;
            OPTIONAL INT64 time (TIMESTAMP_MICROS);
            OPTIONAL GROUP categories (LIST) {
                REPEATED GROUP list { OPTIONAL BYTE_ARRAY element (UTF8); }
            }
        }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let file = File::create(path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let text = |text: &str| ByteArray::from(text);
        let mut column = group.next_column().unwrap().unwrap();
        let values = [text("ann"), text("bö")];
        column.typed::<ByteArrayType>().write_batch(&values, Some(&[1, 1]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&[4.5], Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let times = [1_600_000_000_999_999, -1];
        column.typed::<Int64Type>().write_batch(&times, Some(&[1, 1]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values = [text("a"), text("b")];
        let levels = (Some(&[3, 3, 0][..]), Some(&[0, 1, 0][..]));
        column.typed::<ByteArrayType>().write_batch(&values, levels.0, levels.1).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
    }

    fn foreign_rows() -> Vec<Value> {
        vec![
            json!({
                "user": "ann", "rating": 4.5, "time": 1_600_000_000, "categories": ["a", "b"],
            }),
            json!({ "user": "bö", "rating": null, "time": -1, "categories": null }),
        ]
    }

    #[test]
    fn rows_of_other_programs_are_read_whatever_the_compression() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.parquet");
        let zstd = Compression::ZSTD(parquet::basic::ZstdLevel::default());
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd] {
            foreign_file(&path, compression);
            assert!(is_parquet(&path));
            let rows: Vec<Value> =
                ParquetRows::open(&path).unwrap().collect::<Result<_>>().unwrap();
            assert_eq!(rows, foreign_rows());
            let mut lines = String::new();
            JsonLines::of(ParquetRows::open(&path).unwrap()).read_to_string(&mut lines).unwrap();
            let parsed: Vec<Value> =
                lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(parsed, foreign_rows());
        }
    }

    #[test]
    fn a_folder_of_part_files_is_one_table() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_parquet(folder.path()));
        assert!(ParquetRows::open(folder.path()).is_err());
        foreign_file(&folder.path().join("part-1.snappy.parquet"), Compression::SNAPPY);
        foreign_file(&folder.path().join("part-0.snappy.parquet"), Compression::SNAPPY);
        fs::write(folder.path().join("_SUCCESS"), "").unwrap();
        fs::write(folder.path().join(".part-1.snappy.parquet.crc"), "x").unwrap();
        assert!(is_parquet(folder.path()));
        let rows = ParquetRows::open(folder.path()).unwrap();
        assert_eq!(rows.collect::<Result<Vec<_>>>().unwrap().len(), 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn damaged_files_are_errors(at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f.parquet");
            foreign_file(&path, Compression::SNAPPY);
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            match cut {
                true => bytes.truncate(at),
                false => bytes[at] ^= byte,
            }
            fs::write(&path, &bytes).unwrap();
            let mut n = 0;
            if let Ok(rows) = ParquetRows::open(&path) {
                for row in rows.take(1000) {
                    n += usize::from(row.is_ok());
                }
            }
            prop_assert!(n < 1000);
        }
    }
}
