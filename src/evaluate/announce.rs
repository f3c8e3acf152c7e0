//! Tells in the store how far an evaluation is, so that others can show it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idiolect_core::corpus::{RunningEvaluation, Store};
use idiolect_core::methods::Method;
use idiolect_engine::progress::Progress;

/// Time between two messages.
const BETWEEN: Duration = Duration::from_secs(5);

/// Runs `work` with a progress that is also told in the store
/// ([`Store::running_evaluations`](idiolect_core::corpus::Store::running_evaluations)), until it has
/// ended. A store that cannot be written, for a while or at all, does not stop it.
pub fn announced<T>(
    store: &Store,
    methods: &[Method],
    progress: &dyn Progress,
    work: impl FnOnce(&dyn Progress) -> T,
) -> T {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let run = RunningEvaluation {
        id: format!("run-{}-{started}", std::process::id()),
        done: 0,
        of: 0,
        methods: methods.iter().map(|method| method.name().to_owned()).collect(),
        started: started as i64,
    };
    let told = Told {
        progress,
        done: AtomicU64::new(0),
        of: AtomicU64::new(0),
        is_begun: AtomicBool::new(false),
    };
    let (end, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (told, run) = (&told, &run);
        scope.spawn(move || {
            let mut run = run.clone();
            loop {
                (run.done, run.of) = (told.done.load(SeqCst), told.of.load(SeqCst));
                if let Err(error) = store.put_running_evaluation(&run) {
                    tracing::debug!(%error, "tell how far the evaluation is");
                }
                match ended.recv_timeout(BETWEEN) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            if let Err(error) = store.end_evaluation(&run.id) {
                tracing::debug!(%error, "tell that the evaluation has ended");
            }
        });
        let done = work(told);
        // The thread ends when this is dropped, also in a panic.
        drop(end);
        done
    })
}

/// A progress that counts cases.
struct Told<'a> {
    progress: &'a dyn Progress,
    done: AtomicU64,
    of: AtomicU64,
    is_begun: AtomicBool,
}

impl Progress for Told<'_> {
    fn begin(&self, what: &str, total: Option<u64>) {
        if let Some(total) = total
            && !self.is_begun.swap(true, SeqCst)
        {
            self.of.store(total, SeqCst);
        }
        self.progress.begin(what, total);
    }

    fn advance(&self, n: u64) {
        self.done.fetch_add(n, SeqCst);
        self.progress.advance(n);
    }

    fn end(&self) {
        self.progress.end();
    }

    fn stop_requested(&self) -> bool {
        self.progress.stop_requested()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect_engine::progress::Silent;

    #[test]
    fn a_run_is_in_the_store_while_it_lasts() {
        let store = Store::in_memory().unwrap();
        let result = announced(&store, &[Method::RAG], &Silent, |progress| {
            progress.begin("evaluating", Some(4));
            progress.advance(3);
            let start = std::time::Instant::now();
            while store.running_evaluations().unwrap().is_empty() {
                assert!(start.elapsed() < Duration::from_secs(20));
                std::thread::yield_now();
            }
            let runs = store.running_evaluations().unwrap();
            assert_eq!((runs.len(), &runs[0].methods[0][..]), (1, "rag"));
            progress.stop_requested()
        });
        assert!(!result);
        assert!(store.running_evaluations().unwrap().is_empty());
    }
}
