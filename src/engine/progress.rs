//! Progress of long operations, requests to stop them, and waiting for a future that may be stopped.
//!
//! The library prints nothing: the caller passes a [`Progress`] and decides what to show.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// Receiver of progress reports; also says whether to stop.
pub trait Progress: Send + Sync {
    /// A stage begins. `what` is a short present participle ("embedding reviews"); `total` is the
    /// number of units if it is known.
    fn begin(&self, what: &str, total: Option<u64>);
    /// Reports `n` more units as done and durable.
    fn advance(&self, n: u64);
    /// The stage that was begun last has ended.
    fn end(&self);
    /// Whether the work should stop at the next safe point.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// A stage of work that ends when it is dropped, so that a stop or an error ends it too.
#[must_use]
pub struct ProgressStage<'a>(&'a dyn Progress);

impl<'a> ProgressStage<'a> {
    /// Begins a stage; see [`Progress::begin`].
    pub fn begin(progress: &'a dyn Progress, what: &str, total: Option<u64>) -> Self {
        progress.begin(what, total);
        Self(progress)
    }

    /// Reports `n` more units as done and durable.
    pub fn advance(&self, n: u64) {
        self.0.advance(n);
    }

    /// Whether the work should stop at the next safe point.
    #[must_use]
    pub fn stop_requested(&self) -> bool {
        self.0.stop_requested()
    }
}

impl Drop for ProgressStage<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Shows nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _n: u64) {}
    fn end(&self) {}
}

/// Longest delay until a stop is noticed.
const PATIENCE: Duration = Duration::from_millis(50);

/// Runs `future` on this thread until it is done. If `progress` asks to stop, the future is dropped,
/// which cancels its requests in the engine, and the result is `None`.
pub fn block_on<T>(progress: &dyn Progress, future: impl Future<Output = T>) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut task = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut task) {
            return Some(done);
        }
        if progress.stop_requested() {
            return None;
        }
        thread::park_timeout(PATIENCE);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Stopped;

    impl Progress for Stopped {
        fn begin(&self, _what: &str, _total: Option<u64>) {}
        fn advance(&self, _n: u64) {}
        fn end(&self) {}
        fn stop_requested(&self) -> bool {
            true
        }
    }

    #[test]
    fn waits_for_another_thread_and_hears_a_stop() {
        let (send, receive) = futures::channel::oneshot::channel();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            send.send(7).unwrap();
        });
        assert_eq!(block_on(&Silent, receive).unwrap().unwrap(), 7);
        assert!(block_on(&Stopped, futures::future::pending::<()>()).is_none());
    }
}
