//! Progress of a call: shown by bars of Python, stopped by signals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use idiolect_engine::progress::Progress;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::failure::{CallFailure, Result};

/// Time between two looks for signals.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Progress of one call. No lock of it is taken by a thread that holds the interpreter's.
pub(crate) struct CallProgress {
    /// Makes a bar, called as `tqdm` is; `None` shows nothing.
    make_bar: Option<Py<PyAny>>,
    bar: Mutex<Option<Py<PyAny>>>,
    stop: AtomicBool,
    /// Exception that stopped the call, e.g. `KeyboardInterrupt`.
    raised: Mutex<Option<PyErr>>,
    looked: Mutex<Instant>,
}

impl CallProgress {
    fn new(make_bar: Option<Py<PyAny>>) -> Self {
        Self {
            make_bar,
            bar: Mutex::default(),
            stop: AtomicBool::new(false),
            raised: Mutex::default(),
            looked: Mutex::new(Instant::now()),
        }
    }

    /// Runs a call without the interpreter's lock. An exception of a signal or a bar is raised in place of
    /// what the call returns.
    pub(crate) fn run<T: Send>(
        py: Python<'_>,
        make_bar: Option<Py<PyAny>>,
        call: impl FnOnce(&Self) -> Result<T> + Send,
    ) -> PyResult<T> {
        Self::run_shared(py, make_bar, |progress| call(progress.as_ref()))
    }

    /// As [`CallProgress::run`], of a call that keeps the progress.
    pub(crate) fn run_shared<T: Send>(
        py: Python<'_>,
        make_bar: Option<Py<PyAny>>,
        call: impl FnOnce(&Arc<Self>) -> Result<T> + Send,
    ) -> PyResult<T> {
        let progress = Arc::new(Self::new(make_bar));
        let result = py.detach(|| call(&progress));
        let raised = locked(&progress.raised).take();
        match raised {
            Some(raised) => Err(raised),
            None => Ok(result?),
        }
    }

    /// Waits for a future.
    pub(crate) fn block_on<T, E>(
        &self,
        future: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<T>
    where
        CallFailure: From<E>,
    {
        match idiolect_engine::progress::block_on(self, future) {
            Some(result) => Ok(result?),
            None => Err(CallFailure::Stopped),
        }
    }

    /// Stops the call with an exception.
    pub(crate) fn stop_with(&self, raised: PyErr) {
        locked(&self.raised).get_or_insert(raised);
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Calls Python with the bar, if there is one.
    fn on_bar(&self, call: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>) {
        let bar = locked(&self.bar);
        let Some(bar) = bar.as_ref() else { return };
        if let Err(raised) = Python::attach(|py| call(bar.bind(py))) {
            self.stop_with(raised);
        }
    }
}

impl Progress for CallProgress {
    fn begin(&self, what: &str, total: Option<u64>) {
        // A stage without a total is short or shows its text.
        let (Some(make_bar), Some(total)) = (&self.make_bar, total) else { return };
        let mut slot = locked(&self.bar);
        let made = Python::attach(|py| {
            let keywords = PyDict::new(py);
            keywords.set_item("total", total)?;
            keywords.set_item("desc", what)?;
            keywords.set_item("leave", false)?;
            Ok::<_, PyErr>(make_bar.bind(py).call((), Some(&keywords))?.unbind())
        });
        match made {
            Ok(bar) => *slot = Some(bar),
            Err(raised) => self.stop_with(raised),
        }
    }

    fn advance(&self, n: u64) {
        self.on_bar(|bar| bar.call_method1("update", (n,)).map(drop));
    }

    fn end(&self) {
        self.on_bar(|bar| bar.call_method0("close").map(drop));
        *locked(&self.bar) = None;
    }

    fn stop_requested(&self) -> bool {
        if self.stop.load(Ordering::SeqCst) {
            return true;
        }
        {
            let mut looked = locked(&self.looked);
            if looked.elapsed() < BETWEEN_LOOKS {
                return false;
            }
            *looked = Instant::now();
        }
        // Only the main thread of Python handles signals; elsewhere this does nothing.
        if let Err(raised) = Python::attach(|py| py.check_signals()) {
            self.stop_with(raised);
        }
        self.stop.load(Ordering::SeqCst)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
