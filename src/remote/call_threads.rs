//! Threads that wait for the answers of servers.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

type Call = Box<dyn FnOnce() + Send>;

/// A bounded number of threads, each of which makes one call at a time. They are started when they are
/// needed and end after the handle was dropped and all calls were made.
pub(crate) struct CallThreads {
    shared: Arc<SharedCalls>,
    most: usize,
}

struct SharedCalls {
    queue: Mutex<CallQueue>,
    changed: Condvar,
}

#[derive(Default)]
struct CallQueue {
    waiting: VecDeque<Call>,
    n_threads: usize,
    n_idle: usize,
    closed: bool,
}

impl SharedCalls {
    fn lock(&self) -> MutexGuard<'_, CallQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(call) = queue.waiting.pop_front() {
                drop(queue);
                call();
                queue = self.lock();
            } else if queue.closed {
                queue.n_threads -= 1;
                return;
            } else {
                queue.n_idle += 1;
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.n_idle -= 1;
            }
        }
    }
}

impl CallThreads {
    /// At most `most` threads; 0 counts as 1.
    pub(crate) fn new(most: usize) -> Self {
        let shared = SharedCalls { queue: Mutex::default(), changed: Condvar::new() };
        Self { shared: Arc::new(shared), most: most.max(1) }
    }

    /// Makes a call as soon as a thread is free, in the order of the calls.
    ///
    /// # Errors
    /// There is no thread, and none can be started.
    pub(crate) fn run(&self, call: Call) -> std::io::Result<()> {
        let mut queue = self.shared.lock();
        let is_needed = queue.n_idle <= queue.waiting.len() && queue.n_threads < self.most;
        if is_needed {
            let shared = Arc::clone(&self.shared);
            let started =
                thread::Builder::new().name("remote".to_owned()).spawn(move || shared.work());
            match started {
                Ok(_) => queue.n_threads += 1,
                Err(error) if queue.n_threads == 0 => return Err(error),
                // The threads that there are make the call later.
                Err(_) => {}
            }
        }
        queue.waiting.push_back(call);
        drop(queue);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for CallThreads {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn all_calls_are_made_by_few_threads() {
        let threads = CallThreads::new(3);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (send, receive) = channel();
        for i in 0..200 {
            let (send, running, most) = (send.clone(), Arc::clone(&running), Arc::clone(&most));
            let call = move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                send.send(i).unwrap();
            };
            threads.run(Box::new(call)).unwrap();
        }
        drop((send, threads));
        let mut made: Vec<i32> = receive.iter().collect();
        made.sort_unstable();
        assert_eq!(made, (0..200).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= 3);
    }
}
