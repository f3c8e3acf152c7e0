//! The thread that owns the model.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::decoder::Decoder;
use super::scheduler::Scheduler;
use super::sequence::SequenceGroup;
use super::{Error, Result};

/// Handle of the engine thread. The thread ends after this is dropped and all requests are answered
/// or cancelled.
pub(super) struct Engine {
    requests: Sender<SequenceGroup>,
}

impl Engine {
    /// Starts the thread. `threads` is the number of worker threads for CPU operations; 0 uses the
    /// process's own rayon pool.
    pub(super) fn start<D: Decoder>(scheduler: Scheduler<D>, threads: usize) -> Result<Self> {
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
        let (requests, inbox) = mpsc::channel();
        thread::Builder::new()
            .name("lm-engine".to_owned())
            .spawn(move || match pool {
                Some(pool) => pool.install(move || serve(inbox, scheduler)),
                None => serve(inbox, scheduler),
            })
            .map_err(|error| cannot(&error))?;
        Ok(Self { requests })
    }

    /// Sends a request to the engine; its work holds the channel for the answer.
    pub(super) fn send(&self, group: SequenceGroup) -> Result<()> {
        self.requests.send(group).map_err(|_| Error::Engine("has ended".to_owned()))
    }
}

#[allow(clippy::needless_pass_by_value)] // The thread owns both.
fn serve<D: Decoder>(inbox: Receiver<SequenceGroup>, mut scheduler: Scheduler<D>) {
    loop {
        if scheduler.is_idle() {
            let Ok(group) = inbox.recv() else { return };
            scheduler.add(group);
        }
        while let Ok(group) = inbox.try_recv() {
            scheduler.add(group);
        }
        scheduler.step();
    }
}
