//! Tables that go out to other libraries, and rows that come in.

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow_schema::{Field, Schema};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use serde_json::{Map, Value};

use crate::capsule::{schema_capsule, stream_capsule, stream_of};
use crate::failure::Result;
use crate::rows::ArrowLines;
use crate::settings::arguments;

/// A table for libraries that read the Arrow PyCapsule interface. Columns have texts, whole numbers, numbers
/// or truth values; other values are JSON texts.
#[pyclass(frozen, module = "idiolect._idiolect")]
pub(crate) struct ArrowTable {
    batch: RecordBatch,
}

#[pymethods]
impl ArrowTable {
    /// The table of rows: a JSON list of objects. Its columns are all fields, in the order of their first rows.
    #[new]
    fn new(py: Python<'_>, rows: &str) -> PyResult<Self> {
        Ok(py.detach(|| -> Result<Self> {
            let rows: Vec<Map<String, Value>> = arguments(rows)?;
            Ok(Self { batch: batch_of(&rows)? })
        })?)
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.batch.schema())
    }

    /// The stream of the table. A requested schema is not needed to be followed, says the interface.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        stream_capsule(py, self.batch.schema(), vec![self.batch.clone()])
    }
}

/// The rows of a table with `__arrow_c_stream__`, each a JSON object.
#[pyfunction]
pub(crate) fn table_rows(py: Python<'_>, table: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let lines = ArrowLines::of(stream_of(table)?);
    Ok(py.detach(|| -> Result<Vec<String>> {
        let lines = BufReader::new(lines?).lines();
        Ok(lines.collect::<Result<_, _>>()?)
    })?)
}

fn batch_of(rows: &[Map<String, Value>]) -> Result<RecordBatch> {
    let mut names: Vec<&String> = Vec::new();
    for row in rows {
        for name in row.keys() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let columns: Vec<ArrayRef> = names.iter().map(|name| column_of(rows, name)).collect();
    let fields: Vec<Field> = names
        .iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(name.as_str(), column.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

fn column_of(rows: &[Map<String, Value>], name: &str) -> ArrayRef {
    let values = || rows.iter().map(|row| row.get(name).filter(|value| !value.is_null()));
    let all = |is: fn(&Value) -> bool| values().flatten().all(is);
    if values().flatten().next().is_none() {
        return Arc::new(NullArray::new(rows.len()));
    }
    if all(Value::is_boolean) {
        return Arc::new(values().map(|value| value?.as_bool()).collect::<BooleanArray>());
    }
    if all(Value::is_i64) {
        return Arc::new(values().map(|value| value?.as_i64()).collect::<Int64Array>());
    }
    if all(Value::is_number) {
        return Arc::new(values().map(|value| value?.as_f64()).collect::<Float64Array>());
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Arc::new(values().map(|value| value.map(text)).collect::<StringArray>())
}
