//! Rows to import that are in no file: those of Arrow tables and of Python's iterators, read as JSON lines.

use std::io::{self, Read};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::RecordBatchStreamReader;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch, RecordBatchReader as _};
use arrow_schema::{DataType, TimeUnit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::{Map, Value};

use crate::failure::{CallFailure, Result};
use crate::progress::CallProgress;

/// Bytes that are read, a part at a time.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    at: usize,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn set(&mut self, bytes: Vec<u8>) {
        (self.bytes, self.at) = (bytes, 0);
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let n = buffer.len().min(self.bytes.len() - self.at);
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        n
    }
}

/// The rows of a stream of record batches as JSON lines. Times are seconds since 1970, rounded down, as those
/// of Parquet files are.
pub(crate) struct ArrowLines {
    batches: RecordBatchStreamReader,
    columns: Vec<String>,
    pending: Pending,
}

impl ArrowLines {
    /// # Errors
    /// A column has a type that no field can have.
    pub(crate) fn of(batches: RecordBatchStreamReader) -> Result<Self> {
        let schema = batches.schema();
        let wrong = schema.fields().iter().find(|field| !is_readable(field.data_type()));
        if let Some(field) = wrong {
            return Err(CallFailure::Told {
                exception: "DataError",
                message: format!(
                    "column `{}` of the table has the Arrow type {}, which cannot be read; convert it or leave \
                     it out",
                    field.name(),
                    field.data_type()
                ),
            });
        }
        let mut columns = Vec::new();
        for field in schema.fields() {
            names_of(field.name(), field.data_type(), &mut columns);
        }
        Ok(Self { batches, columns, pending: Pending::default() })
    }

    /// The names of the columns, and of the fields inside them as paths.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }
}

impl Read for ArrowLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pending.is_empty() {
            let Some(batch) = self.batches.next() else { return Ok(0) };
            self.pending.set(lines_of(&batch.map_err(io::Error::other)?));
        }
        Ok(self.pending.read(buffer))
    }
}

/// JSON lines that an iterator of Python gives, any number at a time, each with its line end.
pub(crate) struct PythonLines {
    iterator: Py<PyAny>,
    /// Gets the exception of the iterator.
    progress: Arc<CallProgress>,
    pending: Pending,
}

impl PythonLines {
    pub(crate) fn of(iterator: Py<PyAny>, progress: Arc<CallProgress>) -> Self {
        Self { iterator, progress, pending: Pending::default() }
    }
}

impl Read for PythonLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pending.is_empty() {
            let next = Python::attach(|py| -> PyResult<Option<Vec<u8>>> {
                let Some(next) = self.iterator.bind(py).try_iter()?.next() else { return Ok(None) };
                Ok(Some(next?.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes().to_vec()))
            });
            match next {
                Ok(Some(bytes)) => self.pending.set(bytes),
                Ok(None) => return Ok(0),
                Err(raised) => {
                    self.progress.stop_with(raised);
                    return Err(io::Error::other("the rows could not be read"));
                }
            }
        }
        Ok(self.pending.read(buffer))
    }
}

fn names_of(name: &str, kind: &DataType, names: &mut Vec<String>) {
    names.push(name.to_owned());
    match kind {
        DataType::Struct(fields) => {
            for field in fields {
                names_of(&format!("{name}.{}", field.name()), field.data_type(), names);
            }
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            if let DataType::Struct(fields) = field.data_type() {
                for field in fields {
                    names_of(&format!("{name}.{}", field.name()), field.data_type(), names);
                }
            }
        }
        _ => {}
    }
}

fn is_readable(kind: &DataType) -> bool {
    match kind {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            is_readable(field.data_type())
        }
        DataType::Struct(fields) => fields.iter().all(|field| is_readable(field.data_type())),
        DataType::Dictionary(_, values) => is_readable(values),
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Decimal128(..) => true,
        other => other.is_integer() || other.is_floating(),
    }
}

fn lines_of(batch: &RecordBatch) -> Vec<u8> {
    let schema = batch.schema_ref();
    let mut lines = Vec::new();
    for row in 0..batch.num_rows() {
        let fields = schema.fields().iter().zip(batch.columns());
        let object: Map<String, Value> =
            fields.map(|(field, column)| (field.name().clone(), value_at(column, row))).collect();
        lines.extend_from_slice(Value::Object(object).to_string().as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// The value of a row; null for bytes that are no text.
fn value_at(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    macro_rules! number {
        ($kind:ty) => {
            Value::from(array.as_primitive::<$kind>().value(row))
        };
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => array.as_primitive::<Float16Type>().value(row).to_f64().into(),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Binary => text_or_null(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => text_or_null(array.as_binary::<i64>().value(row)),
        DataType::Timestamp(unit, _) => seconds(array, row, *unit).into(),
        DataType::Date32 => {
            (i64::from(array.as_primitive::<Date32Type>().value(row)) * 86_400).into()
        }
        DataType::Date64 => array.as_primitive::<Date64Type>().value(row).div_euclid(1000).into(),
        DataType::Decimal128(..) => {
            array.as_primitive::<Decimal128Type>().value_as_string(row).into()
        }
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row).as_ref()),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let object: Map<String, Value> = columns
                .map(|(field, column)| (field.name().clone(), value_at(column, row)))
                .collect();
            object.into()
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            match value_at(dictionary.keys(), row).as_u64() {
                Some(key) => value_at(dictionary.values(), key as usize),
                None => Value::Null,
            }
        }
        // `is_readable` lets no other type pass.
        _ => Value::Null,
    }
}

fn list(values: &dyn Array) -> Value {
    (0..values.len()).map(|row| value_at(values, row)).collect()
}

fn text_or_null(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or(Value::Null, Value::from)
}

/// A time in whole seconds since 1970, rounded down.
fn seconds(array: &dyn Array, row: usize, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
        TimeUnit::Millisecond => {
            array.as_primitive::<TimestampMillisecondType>().value(row).div_euclid(1000)
        }
        TimeUnit::Microsecond => {
            array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1_000_000)
        }
        TimeUnit::Nanosecond => {
            array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000_000)
        }
    }
}
