//! Layouts of the users. One may take minutes, so that it runs as a job, whatever becomes of the
//! request that began it. Requests wait a moment for it, and are told how far it is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use idiolect_core::peers::UserMap;
use idiolect_engine::progress::Progress;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::ApiError;

/// A finished map, `None` if there is no such cell, or the error.
pub(crate) type MadeMap = Result<Option<Arc<UserMap>>, ApiError>;

/// The job that runs, and the newest result.
#[derive(Default)]
pub(crate) struct MapJobs {
    state: Mutex<JobsState>,
    ended: Condvar,
}

#[derive(Default)]
struct JobsState {
    running: Option<Arc<MapJob>>,
    /// Stamp and result of the job that ended last.
    made: Option<(String, MadeMap)>,
    /// Number of [`Halt`]s.
    n_halts: usize,
}

/// A layout that is being made.
pub(crate) struct MapJob {
    stamp: String,
    started: Instant,
    stage: Mutex<MapStage>,
    stop: AtomicBool,
    ended: watch::Sender<bool>,
}

/// Step that a job is at, and how far it is.
#[derive(Debug, Clone, Default)]
struct MapStage {
    name: String,
    done: u64,
    of: Option<u64>,
}

/// While it lives, no job begins.
pub(crate) struct Halt<'a>(&'a MapJobs);

impl MapJobs {
    /// The result of the newest job, if it has this stamp. An error is told once.
    pub(crate) fn made(&self, stamp: &str) -> Option<MadeMap> {
        let mut state = self.state();
        let (_, made) = state.made.as_ref().filter(|(known, _)| known == stamp)?;
        let made = made.clone();
        if made.is_err() {
            state.made = None;
        }
        Some(made)
    }

    /// Begins a job unless one runs; returns the one that runs. `None` while a deletion forbids it.
    /// `stamp` says what the map is made from.
    ///
    /// # Errors
    /// 500 if no thread can be started.
    pub(crate) fn begin(
        self: &Arc<Self>,
        stamp: String,
        work: impl FnOnce(&MapJob) -> Result<Option<UserMap>, ApiError> + Send + 'static,
    ) -> Result<Option<Arc<MapJob>>, ApiError> {
        let mut state = self.state();
        if state.n_halts > 0 || state.running.is_some() {
            return Ok(state.running.clone());
        }
        let job = Arc::new(MapJob {
            stamp,
            started: Instant::now(),
            stage: Mutex::default(),
            stop: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        });
        let (jobs, own) = (Arc::clone(self), Arc::clone(&job));
        let thread = thread::Builder::new().name("map".to_owned()).spawn(move || {
            // Without an end, no job would begin again.
            let made = catch_unwind(AssertUnwindSafe(|| work(&own)));
            let made = made.unwrap_or_else(|_| {
                Err(ApiError::internal("lay out the users", &"its thread panicked"))
            });
            jobs.end(&own, made.map(|map| map.map(Arc::new)));
        });
        thread.map_err(|error| ApiError::internal("lay out the users", &error))?;
        state.running = Some(Arc::clone(&job));
        Ok(Some(job))
    }

    /// Stops the job that runs, waits for its end, and drops the newest result, so that no map of a
    /// user who is to be deleted comes up later. Blocks the thread.
    pub(crate) fn halt(&self) -> Halt<'_> {
        let mut state = self.state();
        state.n_halts += 1;
        while let Some(job) = &state.running {
            job.stop.store(true, Ordering::SeqCst);
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.made = None;
        Halt(self)
    }

    /// Stops the job that runs.
    pub(crate) fn stop(&self) {
        if let Some(job) = &self.state().running {
            job.stop.store(true, Ordering::SeqCst);
        }
    }

    fn end(&self, job: &MapJob, made: MadeMap) {
        let mut state = self.state();
        // A job that was stopped has no error to tell.
        if !job.stop_requested() {
            state.made = Some((job.stamp.clone(), made));
        }
        state.running = None;
        // Whoever waits for the job finds it ended.
        job.ended.send_replace(true);
        drop(state);
        self.ended.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, JobsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Halt<'_> {
    fn drop(&mut self) {
        self.0.state().n_halts -= 1;
    }
}

impl MapJob {
    /// Waits for the end of the job, at most `most`.
    pub(crate) async fn wait(&self, most: Duration) {
        let mut ended = self.ended.subscribe();
        drop(tokio::time::timeout(most, ended.wait_for(|ended| *ended)).await);
    }

    /// The answer to a request for a map that is not ready; without a job it waits for a deletion.
    pub(crate) fn status(job: Option<&Self>) -> Value {
        let stage = job.map(|job| job.stage().clone()).unwrap_or_default();
        json!({
            "status": "computing",
            "stage": if stage.name.is_empty() { "waiting" } else { &stage.name },
            "done": stage.done,
            "of": stage.of,
            "seconds": job.map_or(0.0, |job| job.started.elapsed().as_secs_f64()),
        })
    }

    fn stage(&self) -> MutexGuard<'_, MapStage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for MapJob {
    fn begin(&self, what: &str, total: Option<u64>) {
        *self.stage() = MapStage { name: what.to_owned(), done: 0, of: total };
    }

    fn advance(&self, n: u64) {
        self.stage().done += n;
    }

    fn end(&self) {}

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use futures::executor::block_on;

    use super::*;

    fn map(total_users: usize) -> UserMap {
        UserMap {
            total_users,
            users: Vec::new(),
            x: Vec::new(),
            y: Vec::new(),
            n: Vec::new(),
            kept_neighbours: None,
            cells: None,
            computed_in_s: 0.0,
        }
    }

    fn ended(job: &MapJob) {
        block_on(job.ended.subscribe().wait_for(|ended| *ended)).unwrap();
    }

    #[test]
    fn a_job_runs_alone_and_its_result_stays() {
        let jobs = Arc::new(MapJobs::default());
        let (go, wait) = mpsc::channel();
        let job = jobs.begin("one".to_owned(), move |job| {
            job.begin("laying out users", Some(9));
            job.advance(3);
            wait.recv().unwrap();
            Ok(Some(map(7)))
        });
        let job = job.unwrap().unwrap();
        let other = jobs.begin("two".to_owned(), |_| unreachable!("one runs")).unwrap().unwrap();
        assert!(Arc::ptr_eq(&job, &other));
        while MapJob::status(Some(job.as_ref()))["done"] != 3 {
            thread::yield_now();
        }
        let told = MapJob::status(Some(job.as_ref()));
        assert_eq!((&told["stage"], &told["of"]), (&json!("laying out users"), &json!(9)));
        assert!(jobs.made("one").is_none());
        go.send(()).unwrap();
        ended(&job);
        assert_eq!(jobs.made("one").unwrap().unwrap().unwrap().total_users, 7);
        assert!(jobs.made("one").is_some() && jobs.made("two").is_none());
    }

    #[test]
    fn an_error_is_told_once_and_a_panic_is_one() {
        let jobs = Arc::new(MapJobs::default());
        type Work = fn(&MapJob) -> Result<Option<UserMap>, ApiError>;
        let failing: [Work; 2] = [
            |_| Err(ApiError::not_found("there are no vectors")),
            |_| panic!("as it was asked to"),
        ];
        for work in failing {
            ended(&jobs.begin("s".to_owned(), work).unwrap().unwrap());
            assert!(jobs.made("s").unwrap().is_err() && jobs.made("s").is_none());
        }
    }

    #[test]
    fn a_halt_stops_the_job_and_drops_what_was_made() {
        let jobs = Arc::new(MapJobs::default());
        ended(&jobs.begin("s".to_owned(), |_| Ok(Some(map(1)))).unwrap().unwrap());
        let endless = |job: &MapJob| {
            while !job.stop_requested() {
                thread::yield_now();
            }
            Ok(Some(map(2)))
        };
        let running = jobs.begin("t".to_owned(), endless).unwrap().unwrap();
        let halt = jobs.halt();
        assert!(*running.ended.borrow() && jobs.made("s").is_none() && jobs.made("t").is_none());
        assert!(jobs.begin("u".to_owned(), |_| unreachable!("halted")).unwrap().is_none());
        drop(halt);
        ended(&jobs.begin("u".to_owned(), |_| Ok(None)).unwrap().unwrap());
        assert_eq!(jobs.made("u"), Some(Ok(None)));
    }
}
