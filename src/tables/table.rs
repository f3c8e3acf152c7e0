//! Tables of plain columns, written as Parquet files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use crate::{Error, Result};

/// Number of rows of a row group.
const ROWS_IN_GROUP: usize = 100_000;

/// A column with its name; each value may be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its values, one a row.
    pub values: ColumnValues,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// Texts.
    Texts(Vec<Option<String>>),
    /// Whole numbers.
    Integers(Vec<Option<i64>>),
    /// Numbers.
    Numbers(Vec<Option<f64>>),
    /// Yes or no.
    Flags(Vec<Option<bool>>),
    /// Lists of texts.
    TextLists(Vec<Vec<String>>),
    /// Vectors, one after the other; none is missing.
    Vectors {
        /// Numbers of each, at least 1.
        width: usize,
        /// All numbers.
        numbers: Vec<f32>,
    },
}

impl TableColumn {
    /// A column of texts.
    #[must_use]
    pub fn texts(name: &str, values: Vec<Option<String>>) -> Self {
        Self { name: name.to_owned(), values: ColumnValues::Texts(values) }
    }

    /// A column of whole numbers.
    #[must_use]
    pub fn integers(name: &str, values: Vec<Option<i64>>) -> Self {
        Self { name: name.to_owned(), values: ColumnValues::Integers(values) }
    }

    /// A column of numbers.
    #[must_use]
    pub fn numbers(name: &str, values: Vec<Option<f64>>) -> Self {
        Self { name: name.to_owned(), values: ColumnValues::Numbers(values) }
    }

    /// A column of flags.
    #[must_use]
    pub fn flags(name: &str, values: Vec<Option<bool>>) -> Self {
        Self { name: name.to_owned(), values: ColumnValues::Flags(values) }
    }

    /// A column of lists of texts.
    #[must_use]
    pub fn text_lists(name: &str, values: Vec<Vec<String>>) -> Self {
        Self { name: name.to_owned(), values: ColumnValues::TextLists(values) }
    }

    /// A column of vectors of `width` numbers, one after the other.
    #[must_use]
    pub fn vectors(name: &str, width: usize, numbers: Vec<f32>) -> Self {
        Self { name: name.to_owned(), values: ColumnValues::Vectors { width, numbers } }
    }

    fn len(&self) -> usize {
        match &self.values {
            ColumnValues::Vectors { width, numbers } => numbers.len() / width.max(&1),
            ColumnValues::TextLists(values) => values.len(),
            ColumnValues::Texts(values) => values.len(),
            ColumnValues::Integers(values) => values.len(),
            ColumnValues::Numbers(values) => values.len(),
            ColumnValues::Flags(values) => values.len(),
        }
    }

    /// Whether the last vector is shorter than the others.
    fn is_ragged(&self) -> bool {
        match &self.values {
            ColumnValues::Vectors { width, numbers } => {
                *width == 0 || !numbers.len().is_multiple_of(*width)
            }
            _ => false,
        }
    }

    fn schema(&self) -> Result<TypePtr, ParquetError> {
        let physical = match &self.values {
            ColumnValues::TextLists(_) => return list_schema(&self.name, text_element()?),
            ColumnValues::Vectors { .. } => return list_schema(&self.name, number_element()?),
            ColumnValues::Texts(_) => PhysicalType::BYTE_ARRAY,
            ColumnValues::Integers(_) => PhysicalType::INT64,
            ColumnValues::Numbers(_) => PhysicalType::DOUBLE,
            ColumnValues::Flags(_) => PhysicalType::BOOLEAN,
        };
        let builder = Type::primitive_type_builder(&self.name, physical)
            .with_repetition(Repetition::OPTIONAL);
        let builder = match &self.values {
            ColumnValues::Texts(_) => builder
                .with_logical_type(Some(LogicalType::String))
                .with_converted_type(ConvertedType::UTF8),
            _ => builder,
        };
        Ok(Arc::new(builder.build()?))
    }
}

/// A table. The same columns give the same bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ParquetTable {
    columns: Vec<TableColumn>,
    /// Name and value of the file's metadata.
    notes: Vec<(String, String)>,
}

impl ParquetTable {
    /// A table of columns of equal length.
    #[must_use]
    pub fn new(columns: Vec<TableColumn>) -> Self {
        Self { columns, notes: Vec::new() }
    }

    /// Adds a value to the file's metadata.
    #[must_use]
    pub fn with_note(mut self, name: &str, value: &str) -> Self {
        self.notes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the table under another name and renames it to `path`, so that the file is whole if it is
    /// there.
    ///
    /// # Errors
    /// The columns differ in length, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        // Workers that make the same file do not write into each other's.
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let done = self.write_to(&partial).and_then(|()| {
            let rename =
                |source| Error::File { operation: "rename", path: partial.clone(), source };
            fs::rename(&partial, path).map_err(rename)
        });
        if done.is_err() {
            drop(fs::remove_file(&partial));
        }
        done
    }

    fn write_to(&self, path: &PathBuf) -> Result<()> {
        let io = |operation| move |source| Error::File { operation, path: path.clone(), source };
        let failed = |error: ParquetError| Error::Content {
            operation: "write",
            path: path.clone(),
            what: error.to_string(),
        };
        let n_rows = self.columns.first().map_or(0, TableColumn::len);
        if self.columns.iter().any(|column| column.len() != n_rows || column.is_ragged()) {
            return Err(failed(ParquetError::General("columns differ in length".to_owned())));
        }
        let file = File::create(path).map_err(io("create"))?;
        let synced = file.try_clone().map_err(io("create"))?;
        self.write_rows(file, n_rows).map_err(failed)?;
        // Renamed before its bytes are on the disk, the file could be empty after a power failure.
        synced.sync_all().map_err(io("write"))
    }

    fn write_rows(&self, file: File, n_rows: usize) -> Result<(), ParquetError> {
        let columns = self.columns.iter().map(TableColumn::schema).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("schema").with_fields(columns).build()?;
        let note = |(name, value): &(String, String)| KeyValue::new(name.clone(), value.clone());
        let notes: Vec<KeyValue> = self.notes.iter().map(note).collect();
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("idiolect ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata((!notes.is_empty()).then_some(notes));
        for column in &self.columns {
            if let ColumnValues::Vectors { .. } = column.values {
                // Hardly a number occurs twice.
                let path = [column.name.as_str(), "list", "element"].map(str::to_owned).to_vec();
                properties = properties.set_column_dictionary_enabled(ColumnPath::new(path), false);
            }
        }
        let properties = properties.build();
        let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        let mut begin = 0;
        while begin < n_rows {
            let rows = begin..(begin + ROWS_IN_GROUP).min(n_rows);
            let mut group = writer.next_row_group()?;
            for column in &self.columns {
                match &column.values {
                    ColumnValues::Texts(values) => {
                        let bytes = |text: &String| ByteArray::from(text.as_str());
                        put::<ByteArrayType, _>(&mut group, &values[rows.clone()], bytes)?;
                    }
                    ColumnValues::TextLists(values) => {
                        put_lists(&mut group, &values[rows.clone()])?;
                    }
                    ColumnValues::Vectors { width, numbers } => {
                        let numbers = &numbers[rows.start * width..rows.end * width];
                        put_vectors(&mut group, *width, numbers)?;
                    }
                    ColumnValues::Integers(values) => {
                        put::<Int64Type, _>(&mut group, &values[rows.clone()], |n| *n)?;
                    }
                    ColumnValues::Numbers(values) => {
                        put::<DoubleType, _>(&mut group, &values[rows.clone()], |x| *x)?;
                    }
                    ColumnValues::Flags(values) => {
                        put::<BoolType, _>(&mut group, &values[rows.clone()], |flag| *flag)?;
                    }
                }
            }
            group.close()?;
            begin = rows.end;
        }
        writer.close()?;
        Ok(())
    }
}

/// The element of a list of texts.
fn text_element() -> Result<Type, ParquetError> {
    Type::primitive_type_builder("element", PhysicalType::BYTE_ARRAY)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::String))
        .with_converted_type(ConvertedType::UTF8)
        .build()
}

/// The element of a vector.
fn number_element() -> Result<Type, ParquetError> {
    Type::primitive_type_builder("element", PhysicalType::FLOAT)
        .with_repetition(Repetition::REQUIRED)
        .build()
}

/// A list in the form of the standard.
fn list_schema(name: &str, element: Type) -> Result<TypePtr, ParquetError> {
    let list = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element)])
        .build()?;
    let column = Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_converted_type(ConvertedType::LIST)
        .with_fields(vec![Arc::new(list)])
        .build()?;
    Ok(Arc::new(column))
}

/// Writes a column of lists of a row group.
fn put_lists(
    group: &mut SerializedRowGroupWriter<'_, File>,
    lists: &[Vec<String>],
) -> Result<(), ParquetError> {
    let (mut present, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for list in lists {
        if list.is_empty() {
            // The list is there and has no element.
            defined.push(1);
            repeated.push(0);
        }
        for (i, text) in list.iter().enumerate() {
            present.push(ByteArray::from(text.as_str()));
            defined.push(3);
            repeated.push(i16::from(i > 0));
        }
    }
    let missing = || ParquetError::General("a column is missing in the schema".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<ByteArrayType>().write_batch(&present, Some(&defined), Some(&repeated))?;
    column.close()
}

/// Writes a column of vectors of a row group.
fn put_vectors(
    group: &mut SerializedRowGroupWriter<'_, File>,
    width: usize,
    numbers: &[f32],
) -> Result<(), ParquetError> {
    // The list is there, and has an element.
    let defined = vec![2; numbers.len()];
    let repeated: Vec<i16> = (0..numbers.len()).map(|i| i16::from(i % width > 0)).collect();
    let missing = || ParquetError::General("a column is missing in the schema".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<FloatType>().write_batch(numbers, Some(&defined), Some(&repeated))?;
    column.close()
}

/// Writes one column of a row group.
fn put<D: DataType, T>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[Option<T>],
    convert: impl Fn(&T) -> D::T,
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<D::T> = values.iter().flatten().map(convert).collect();
    let missing = || ParquetError::General("a column is missing in the schema".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<D>().write_batch(&present, Some(&levels), None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::ParquetRows;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_written_is_read_again_and_has_the_same_bytes(
            rows in prop::collection::vec(
                (
                    prop::option::of(any::<String>()),
                    prop::option::of(any::<i64>()),
                    prop::option::of(-1e300..1e300f64),
                    prop::option::of(any::<bool>()),
                    prop::collection::vec("[aé]{0,3}", 0..4),
                    prop::array::uniform3(-1e30..1e30f32),
                ),
                0..40,
            ),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let table = ParquetTable::new(vec![
                TableColumn::texts("text", rows.iter().map(|row| row.0.clone()).collect()),
                TableColumn::integers("n", rows.iter().map(|row| row.1).collect()),
                TableColumn::numbers("x", rows.iter().map(|row| row.2).collect()),
                TableColumn::flags("is", rows.iter().map(|row| row.3).collect()),
                TableColumn::text_lists("list", rows.iter().map(|row| row.4.clone()).collect()),
                TableColumn::vectors("vector", 3, rows.iter().flat_map(|row| row.5).collect()),
            ]);
            let paths = [folder.path().join("a.parquet"), folder.path().join("b.parquet")];
            paths.iter().for_each(|path| table.write(path).unwrap());
            prop_assert_eq!(fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
            prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
            let read: Vec<Value> =
                ParquetRows::open(&paths[0]).unwrap().collect::<Result<_>>().unwrap();
            let want: Vec<Value> = rows
                .iter()
                .map(|(text, n, x, is, list, vector)| {
                    let vector = vector.map(f64::from);
                    json!({ "text": text, "n": n, "x": x, "is": is, "list": list, "vector": vector })
                })
                .collect();
            prop_assert_eq!(read, want);
        }
    }

    #[test]
    fn notes_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        assert_eq!(crate::note(&path, "run").unwrap(), None);
        let table = ParquetTable::new(vec![TableColumn::flags("a", vec![None])]);
        table.write(&path).unwrap();
        assert_eq!(crate::note(&path, "run").unwrap(), None);
        table.with_note("run", "r1").write(&path).unwrap();
        assert_eq!(crate::note(&path, "run").unwrap().as_deref(), Some("r1"));
    }

    #[test]
    fn a_table_that_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let uneven = ParquetTable::new(vec![
            TableColumn::integers("a", vec![Some(1)]),
            TableColumn::integers("b", Vec::new()),
        ]);
        assert!(uneven.write(&path).unwrap_err().to_string().contains("differ in length"));
        let ragged = ParquetTable::new(vec![
            TableColumn::integers("a", vec![Some(1)]),
            TableColumn::vectors("b", 2, vec![1.0, 2.0, 3.0]),
        ]);
        assert!(ragged.write(&path).is_err());
        let table = ParquetTable::new(vec![TableColumn::integers("a", vec![Some(1)])]);
        assert!(table.write(&folder.path().join("missing/t.parquet")).is_err());
        fs::create_dir(&path).unwrap();
        assert!(table.write(&path).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
