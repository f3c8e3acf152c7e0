//! The calls of an engine: arguments and results are JSON.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::embedding::EncoderHandle;
use crate::evaluation::{EvaluateArgs, evaluate};
use crate::failure::Result;
use crate::importing::{GivenRows, ImportArgs, import_files, import_rows};
use crate::language_model::LmHandle;
use crate::parts::{EngineParts, PartOptions};
use crate::peers::{IndexArgs, RepresentativesArgs, index, neighbours, representatives};
use crate::profiles::{ProfileArgs, profile};
use crate::progress::CallProgress;
use crate::rows::{ArrowLines, PythonLines};
use crate::settings::arguments;
use crate::store_calls::{self, ForgetArgs, SplitArgs};
use crate::streams::JsonStream;
use crate::writing::{
    ScoredTextArgs, WriteArgs, WriteManyArgs, score, stream_text, write, write_many,
};

/// A store with a language model and a sentence encoder.
#[pyclass(frozen, module = "idiolect._idiolect")]
pub(crate) struct EngineHandle {
    work: Arc<EngineParts>,
}

impl EngineHandle {
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        progress: Option<Py<PyAny>>,
        call: impl FnOnce(&EngineParts, &CallProgress) -> Result<T> + Send,
    ) -> PyResult<T> {
        CallProgress::run(py, progress, |progress| call(&self.work, progress))
    }
}

#[pymethods]
impl EngineHandle {
    #[new]
    fn new(py: Python<'_>, options: &str) -> PyResult<Self> {
        let options: PartOptions = arguments(options)?;
        let work = CallProgress::run(py, None, |_| EngineParts::new(options))?;
        Ok(Self { work: Arc::new(work) })
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.work.close());
    }

    #[pyo3(signature = (progress=None))]
    fn lm(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<LmHandle> {
        self.call(py, progress, |work, progress| Ok(LmHandle::of(work.lm(progress)?)))
    }

    #[pyo3(signature = (progress=None))]
    fn encoder(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<EncoderHandle> {
        self.call(py, progress, |work, progress| Ok(EncoderHandle::of(work.encoder(progress)?)))
    }

    #[pyo3(signature = (args, progress=None))]
    fn import_files(
        &self,
        py: Python<'_>,
        args: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let args: ImportArgs = arguments(args)?;
        self.call(py, progress, |work, progress| import_files(work, &args, progress))
    }

    /// `table` has `__arrow_c_stream__`.
    #[pyo3(signature = (args, table, progress=None))]
    fn import_table(
        &self,
        py: Python<'_>,
        args: &str,
        table: &Bound<'_, PyAny>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let args: ImportArgs = arguments(args)?;
        let lines = ArrowLines::of(crate::capsule::stream_of(table)?)?;
        self.call(py, progress, |work, progress| {
            let columns = Some(lines.columns().to_vec());
            import_rows(work, &args, GivenRows { columns, rows: Box::new(lines) }, progress)
        })
    }

    /// `lines` gives bytes with whole JSON lines.
    #[pyo3(signature = (args, lines, progress=None))]
    fn import_lines(
        &self,
        py: Python<'_>,
        args: &str,
        lines: Py<PyAny>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let args: ImportArgs = arguments(args)?;
        CallProgress::run_shared(py, progress, |progress| {
            let rows = Box::new(PythonLines::of(lines, Arc::clone(progress)));
            let given = GivenRows { columns: None, rows };
            import_rows(&self.work, &args, given, progress.as_ref())
        })
    }

    fn counts(&self, py: Python<'_>) -> PyResult<String> {
        self.call(py, None, |work, _| store_calls::counts(work))
    }

    #[pyo3(signature = (min_reviews, limit=None))]
    fn users(&self, py: Python<'_>, min_reviews: u64, limit: Option<usize>) -> PyResult<String> {
        self.call(py, None, |work, _| store_calls::users(work, min_reviews, limit))
    }

    fn items(&self, py: Python<'_>) -> PyResult<String> {
        self.call(py, None, |work, _| store_calls::items(work))
    }

    fn item(&self, py: Python<'_>, item: &str) -> PyResult<String> {
        self.call(py, None, |work, _| store_calls::item(work, item))
    }

    fn history(&self, py: Python<'_>, user: &str) -> PyResult<String> {
        self.call(py, None, |work, _| store_calls::history(work, user))
    }

    fn reviews_of(&self, py: Python<'_>, item: &str) -> PyResult<String> {
        self.call(py, None, |work, _| store_calls::reviews_of(work, item))
    }

    #[pyo3(signature = (args, progress=None))]
    fn index(&self, py: Python<'_>, args: &str, progress: Option<Py<PyAny>>) -> PyResult<String> {
        let args: IndexArgs = arguments(args)?;
        self.call(py, progress, |work, progress| index(work, &args, progress))
    }

    #[pyo3(signature = (user, k, progress=None))]
    fn neighbours(
        &self,
        py: Python<'_>,
        user: &str,
        k: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Vec<String>> {
        self.call(py, progress, |work, progress| neighbours(work, user, k, progress))
    }

    #[pyo3(signature = (args, progress=None))]
    fn representatives(
        &self,
        py: Python<'_>,
        args: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let args: RepresentativesArgs = arguments(args)?;
        self.call(py, progress, |work, progress| representatives(work, &args, progress))
    }

    #[pyo3(signature = (args, progress=None))]
    fn profile(&self, py: Python<'_>, args: &str, progress: Option<Py<PyAny>>) -> PyResult<String> {
        let args: ProfileArgs = arguments(args)?;
        self.call(py, progress, |work, progress| profile(work, &args, progress))
    }

    #[pyo3(signature = (args, progress=None))]
    fn write(&self, py: Python<'_>, args: &str, progress: Option<Py<PyAny>>) -> PyResult<String> {
        let args: WriteArgs = arguments(args)?;
        self.call(py, progress, |work, progress| write(work, &args, progress))
    }

    fn stream(&self, args: &str) -> PyResult<JsonStream> {
        let args: WriteArgs = arguments(args)?;
        let work = Arc::clone(&self.work);
        Ok(JsonStream::of_pieces(move |stop, sink| stream_text(&work, &args, stop, sink))?)
    }

    fn write_many(&self, args: &str) -> PyResult<JsonStream> {
        let args: WriteManyArgs = arguments(args)?;
        let work = Arc::clone(&self.work);
        Ok(JsonStream::of_results(move |stop, sink| write_many(&work, &args, stop, sink))?)
    }

    #[pyo3(signature = (args, progress=None))]
    fn score(&self, py: Python<'_>, args: &str, progress: Option<Py<PyAny>>) -> PyResult<String> {
        let args: ScoredTextArgs = arguments(args)?;
        self.call(py, progress, |work, progress| score(work, &args, progress))
    }

    #[pyo3(signature = (args, progress=None))]
    fn split(&self, py: Python<'_>, args: &str, progress: Option<Py<PyAny>>) -> PyResult<String> {
        let args: SplitArgs = arguments(args)?;
        self.call(py, progress, |work, progress| store_calls::split(work, &args, progress))
    }

    #[pyo3(signature = (args, progress=None))]
    fn evaluate(
        &self,
        py: Python<'_>,
        args: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let args: EvaluateArgs = arguments(args)?;
        self.call(py, progress, |work, progress| evaluate(work, &args, progress))
    }

    fn forget(&self, py: Python<'_>, args: &str) -> PyResult<String> {
        let args: ForgetArgs = arguments(args)?;
        self.call(py, None, |work, _| store_calls::forget(work, &args))
    }
}
