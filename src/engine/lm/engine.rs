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
    orders: Sender<Order>,
}

/// Order to the engine thread.
enum Order {
    /// A request.
    Run(Box<SequenceGroup>),
    /// Empty the prefix cache.
    DropPrefixes,
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
        let (orders, inbox) = mpsc::channel();
        thread::Builder::new()
            .name("lm-engine".to_owned())
            .spawn(move || match pool {
                Some(pool) => pool.install(move || serve(inbox, scheduler)),
                None => serve(inbox, scheduler),
            })
            .map_err(|error| cannot(&error))?;
        Ok(Self { orders })
    }

    /// Sends a request to the engine; its work holds the channel for the answer.
    pub(super) fn send(&self, group: SequenceGroup) -> Result<()> {
        let order = Order::Run(Box::new(group));
        self.orders.send(order).map_err(|_| Error::Engine("has ended".to_owned()))
    }

    /// Empties the prefix cache. Sequences that took blocks of it keep them.
    pub(super) fn drop_prefixes(&self) {
        // An engine that has ended has no cache.
        drop(self.orders.send(Order::DropPrefixes));
    }
}

#[allow(clippy::needless_pass_by_value)] // The thread owns both.
fn serve<D: Decoder>(inbox: Receiver<Order>, mut scheduler: Scheduler<D>) {
    loop {
        if scheduler.is_idle() {
            let Ok(order) = inbox.recv() else { return };
            follow(order, &mut scheduler);
        }
        while let Ok(order) = inbox.try_recv() {
            follow(order, &mut scheduler);
        }
        scheduler.step();
    }
}

fn follow<D: Decoder>(order: Order, scheduler: &mut Scheduler<D>) {
    match order {
        Order::Run(group) => scheduler.add(*group),
        Order::DropPrefixes => scheduler.drop_prefixes(),
    }
}
