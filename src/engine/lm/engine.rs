//! The thread that owns the model.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::job::Job;
use super::scheduler::Scheduler;
use super::{Error, Result};

/// Handle of the engine thread. The thread ends after this is dropped and all requests are answered
/// or cancelled.
pub(super) struct Engine {
    jobs: Sender<Job>,
}

impl Engine {
    /// Starts the thread. `threads` is the number of worker threads for CPU operations; 0 uses the
    /// process's own rayon pool.
    pub(super) fn start(scheduler: Scheduler, threads: usize) -> Result<Self> {
        let cannot = |what: &dyn std::fmt::Display| Error::Engine(format!("cannot start: {what}"));
        let pool = match threads {
            0 => None,
            n => Some(
                rayon::ThreadPoolBuilder::new()
                    .num_threads(n)
                    .thread_name(|i| format!("lm-worker-{i}"))
                    .build()
                    .map_err(|error| cannot(&error))?,
            ),
        };
        let (jobs, inbox) = mpsc::channel();
        thread::Builder::new()
            .name("lm-engine".to_owned())
            .spawn(move || match pool {
                Some(pool) => pool.install(move || serve(inbox, scheduler)),
                None => serve(inbox, scheduler),
            })
            .map_err(|error| cannot(&error))?;
        Ok(Self { jobs })
    }

    /// Sends a request to the engine; its `Job` holds the channel for the answer.
    pub(super) fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).map_err(|_| Error::Engine("has ended".to_owned()))
    }
}

#[allow(clippy::needless_pass_by_value)] // The thread owns both.
fn serve(inbox: Receiver<Job>, mut scheduler: Scheduler) {
    loop {
        if scheduler.is_idle() {
            let Ok(job) = inbox.recv() else { return };
            scheduler.add(job);
        }
        while let Ok(job) = inbox.try_recv() {
            scheduler.add(job);
        }
        scheduler.step();
    }
}
