//! The thread that owns the model.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::decoder::Decoder;
use super::scheduler::Scheduler;
use super::sequence::Ticket;
use super::{Error, Result};
use crate::model::tokenizer::Tokenizer;

/// A running engine. Its thread ends when this is dropped and nobody waits for an answer any more.
pub(super) struct Engine {
    tickets: Sender<Ticket>,
}

impl Engine {
    /// `threads`: worker threads of the CPU's operations; 0 takes the process's own pool.
    pub(super) fn start(
        decoder: Decoder,
        tokenizer: Arc<Tokenizer>,
        threads: usize,
    ) -> Result<Self> {
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
        let (tickets, inbox) = mpsc::channel();
        let scheduler = Scheduler::new(decoder, tokenizer);
        thread::Builder::new()
            .name("lm-engine".to_owned())
            .spawn(move || match pool {
                Some(pool) => pool.install(move || serve(inbox, scheduler)),
                None => serve(inbox, scheduler),
            })
            .map_err(|error| cannot(&error))?;
        Ok(Self { tickets })
    }

    /// Hands a request over; its job carries the way back.
    pub(super) fn send(&self, ticket: Ticket) -> Result<()> {
        self.tickets.send(ticket).map_err(|_| Error::Engine("has ended".to_owned()))
    }
}

#[allow(clippy::needless_pass_by_value)] // The thread owns both.
fn serve(inbox: Receiver<Ticket>, mut scheduler: Scheduler) {
    loop {
        if scheduler.is_idle() {
            let Ok(ticket) = inbox.recv() else { return };
            scheduler.add(ticket);
        }
        while let Ok(ticket) = inbox.try_recv() {
            scheduler.add(ticket);
        }
        scheduler.step();
    }
}
