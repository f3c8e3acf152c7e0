//! The thread that owns the model.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use futures::channel::oneshot;

use super::decoder::Decoder;
use super::scheduler::Scheduler;
use super::sequence::SequenceGroup;
use super::{Error, Result};

/// Handle of the engine thread. The thread ends after this is dropped and all requests are answered
/// or cancelled.
pub(super) struct Engine {
    orders: Sender<EngineOrder>,
}

/// EngineOrder to the engine thread.
enum EngineOrder {
    /// A request.
    Run(Box<SequenceGroup>),
    /// Empty the prefix cache.
    DropPrefixes,
    /// Tell the full KV blocks of the longest prefix of these tokens in the prefix cache.
    SavePrefix { tokens: Vec<u32>, reply: oneshot::Sender<Option<Vec<Vec<u8>>>> },
    /// Add KV blocks of these tokens to the prefix cache.
    LoadPrefix { tokens: Vec<u32>, blocks: Vec<Vec<u8>> },
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
        let order = EngineOrder::Run(Box::new(group));
        self.orders.send(order).map_err(|_| Error::Engine("has ended".to_owned()))
    }

    /// The full KV blocks of the longest prefix of `tokens` in the prefix cache.
    pub(super) async fn save_prefix(&self, tokens: Vec<u32>) -> Option<Vec<Vec<u8>>> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(EngineOrder::SavePrefix { tokens, reply }).ok()?;
        answer.await.ok()?
    }

    /// Adds KV blocks to the prefix cache, before later requests are run.
    pub(super) fn load_prefix(&self, tokens: Vec<u32>, blocks: Vec<Vec<u8>>) {
        // An engine that has ended has no cache.
        drop(self.orders.send(EngineOrder::LoadPrefix { tokens, blocks }));
    }

    /// Empties the prefix cache. Sequences that took blocks of it keep them.
    pub(super) fn drop_prefixes(&self) {
        // An engine that has ended has no cache.
        drop(self.orders.send(EngineOrder::DropPrefixes));
    }
}

#[allow(clippy::needless_pass_by_value)] // The thread owns both.
fn serve<D: Decoder>(inbox: Receiver<EngineOrder>, mut scheduler: Scheduler<D>) {
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

fn follow<D: Decoder>(order: EngineOrder, scheduler: &mut Scheduler<D>) {
    match order {
        EngineOrder::Run(group) => scheduler.add(*group),
        EngineOrder::DropPrefixes => scheduler.drop_prefixes(),
        EngineOrder::SavePrefix { tokens, reply } => {
            // The caller may have given up; that is no error.
            drop(reply.send(scheduler.save_prefix(&tokens)));
        }
        EngineOrder::LoadPrefix { tokens, blocks } => scheduler.load_prefix(&tokens, &blocks),
    }
}
