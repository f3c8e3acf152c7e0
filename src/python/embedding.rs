//! The sentence encoder alone.

use std::sync::Arc;

use idiolect_engine::encoder::Encoder;
use idiolect_engine::progress::ProgressStage;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::failure::CallFailure;
use crate::parts::{EngineParts, PartOptions};
use crate::progress::CallProgress;
use crate::settings::arguments;

/// Texts are embedded in batches between two looks for signals: up to this number of texts and, beyond the first,
/// of bytes. A vector does not depend on the batch.
const BATCH_TEXTS: usize = 256;
const BATCH_BYTES: usize = 8 << 10;

/// A loaded sentence encoder.
#[pyclass(frozen, module = "idiolect._idiolect")]
pub(crate) struct EncoderHandle {
    encoder: Arc<Encoder>,
}

/// Vectors as bytes of native f32, one after the other; numbers of tokens; whether texts were cut.
type Embedded<'py> = (Bound<'py, PyBytes>, Vec<usize>, Vec<bool>);

impl EncoderHandle {
    pub(crate) fn of(encoder: Arc<Encoder>) -> Self {
        Self { encoder }
    }
}

#[pymethods]
impl EncoderHandle {
    #[new]
    #[pyo3(signature = (options, progress=None))]
    fn new(py: Python<'_>, options: &str, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        let options: PartOptions = arguments(options)?;
        let load = |progress: &CallProgress| EngineParts::new(options)?.encoder(progress);
        Ok(Self { encoder: CallProgress::run(py, progress, load)? })
    }

    #[getter]
    fn name(&self) -> &str {
        self.encoder.name()
    }

    #[getter]
    fn stamp(&self) -> &str {
        self.encoder.stamp()
    }

    #[getter]
    fn dimension(&self) -> usize {
        self.encoder.dimension()
    }

    #[getter]
    fn max_tokens(&self) -> usize {
        self.encoder.max_tokens()
    }

    #[pyo3(signature = (texts, progress=None))]
    fn embed<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Embedded<'py>> {
        let (vectors, counts, cut) = CallProgress::run(py, progress, |progress| {
            let n = texts.len();
            let mut vectors = Vec::with_capacity(n * self.encoder.dimension() * size_of::<f32>());
            let (mut counts, mut cut) = (Vec::with_capacity(n), Vec::with_capacity(n));
            let stage = ProgressStage::begin(progress, "embedding texts", Some(n as u64));
            let mut rest = texts.as_slice();
            while !rest.is_empty() {
                let (batch, behind) = rest.split_at(batch_length(rest));
                rest = behind;
                if stage.stop_requested() {
                    return Err(CallFailure::Stopped);
                }
                for embedding in self.encoder.encode(batch)? {
                    vectors.extend(embedding.vector.iter().flat_map(|x| x.to_ne_bytes()));
                    counts.push(embedding.n_tokens);
                    cut.push(embedding.truncated);
                }
                stage.advance(batch.len() as u64);
            }
            Ok((vectors, counts, cut))
        })?;
        Ok((PyBytes::new(py, &vectors), counts, cut))
    }
}

/// Number of texts of the next batch; at least one of any.
fn batch_length(texts: &[String]) -> usize {
    let mut bytes = 0;
    let fits = texts.iter().take(BATCH_TEXTS).take_while(|text| {
        bytes += text.len();
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}
