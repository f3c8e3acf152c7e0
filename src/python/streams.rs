//! Results that come one by one, made on a thread of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use idiolect_engine::progress::Progress;
use pyo3::prelude::*;

use crate::failure::{CallFailure, Result};

/// A JSON text, or the reason why no more come.
pub(crate) type JsonLine = Result<String>;

/// Number of results that wait for their reader before the next ones are begun.
const WAITING: usize = 64;

/// Time between two looks for signals.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A flag by which a reader who has gone stops the work.
#[derive(Debug, Default)]
pub(crate) struct ReaderFlag(AtomicBool);

impl ReaderFlag {
    fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Progress for ReaderFlag {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _n: u64) {}
    fn end(&self) {}
    fn stop_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// An iterator over JSON texts. Dropping it stops what makes them.
#[pyclass(frozen, module = "idiolect._idiolect")]
pub(crate) struct JsonStream {
    lines: Mutex<Receiver<JsonLine>>,
    stop: Arc<ReaderFlag>,
}

impl JsonStream {
    /// Runs `work` on a thread; it sends each piece at once, and must not wait for the reader.
    pub(crate) fn of_pieces(
        work: impl FnOnce(&ReaderFlag, &Sender<JsonLine>) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let (send, receive) = mpsc::channel();
        Self::begin(receive, move |stop| {
            if let Err(failure) = work(stop, &send) {
                drop(send.send(Err(failure)));
            }
        })
    }

    /// Runs `work` on a thread; it waits if its reader is slow.
    pub(crate) fn of_results(
        work: impl FnOnce(&ReaderFlag, &SyncSender<JsonLine>) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let (send, receive) = mpsc::sync_channel(WAITING);
        Self::begin(receive, move |stop| {
            if let Err(failure) = work(stop, &send) {
                drop(send.send(Err(failure)));
            }
        })
    }

    fn begin(
        receive: Receiver<JsonLine>,
        work: impl FnOnce(&ReaderFlag) + Send + 'static,
    ) -> Result<Self> {
        let stop = Arc::new(ReaderFlag::default());
        let of_thread = Arc::clone(&stop);
        thread::Builder::new().name("idiolect-call".to_owned()).spawn(move || work(&of_thread))?;
        Ok(Self { lines: Mutex::new(receive), stop })
    }
}

#[pymethods]
impl JsonStream {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        loop {
            let line = py.detach(|| {
                let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.recv_timeout(BETWEEN_LOOKS)
            });
            match line {
                Ok(Ok(line)) => return Ok(Some(line)),
                Ok(Err(failure)) => return Err(failure.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(raised) = py.check_signals() {
                        self.stop.stop();
                        return Err(CallFailure::Raised(raised).into());
                    }
                }
            }
        }
    }

    /// Stops what makes the results.
    fn close(&self) {
        self.stop.stop();
    }
}

impl Drop for JsonStream {
    fn drop(&mut self) {
        self.stop.stop();
    }
}
