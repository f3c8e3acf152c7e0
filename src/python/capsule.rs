//! Tables of other libraries, by the Arrow PyCapsule interface
//! (<https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>).

use std::ffi::CStr;

use arrow_array::RecordBatch;
use arrow_array::RecordBatchIterator;
use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_schema::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::failure::{CallFailure, Result};

const STREAM: &CStr = c"arrow_array_stream";
const SCHEMA: &CStr = c"arrow_schema";

/// Takes the stream of record batches that an object's `__arrow_c_stream__` gives.
#[allow(unsafe_code)]
pub(crate) fn stream_of(object: &Bound<'_, PyAny>) -> Result<RecordBatchStreamReader> {
    let capsule = object.call_method0("__arrow_c_stream__")?;
    let capsule = capsule.cast::<PyCapsule>().map_err(PyErr::from)?;
    let pointer = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: the capsule has the name under which the PyCapsule interface promises a pointer to an
    // `ArrowArrayStream` of the C stream interface, aligned and initialized, that lives as long as the capsule,
    // which `capsule` keeps alive. `from_raw` moves the struct out and marks the one in the capsule as
    // released, so that the capsule's destructor frees nothing that the reader owns. The interpreter's lock is
    // held, so nobody else moves it meanwhile.
    let reader = unsafe { RecordBatchStreamReader::from_raw(pointer.as_ptr()) };
    reader.map_err(|error| CallFailure::Told {
        exception: "DataError",
        message: format!("read the table: {error}"),
    })
}

/// A capsule with a stream of record batches.
pub(crate) fn stream_capsule<'py>(
    py: Python<'py>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let batches = RecordBatchIterator::new(batches.into_iter().map(Ok), schema);
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), STREAM)
}

/// A capsule with a schema.
pub(crate) fn schema_capsule<'py>(
    py: Python<'py>,
    schema: &SchemaRef,
) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema.as_ref()).map_err(CallFailure::from)?;
    PyCapsule::new_with_value(py, schema, SCHEMA)
}
