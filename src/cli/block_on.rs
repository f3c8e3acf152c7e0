//! Runs a future on this thread until it is done. If the user asks to stop, the future is dropped,
//! which cancels its requests in the engine.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use idiolect::progress::Progress;

/// Longest delay until Ctrl-C is noticed.
const PATIENCE: Duration = Duration::from_millis(50);

/// Runs `future` on this thread until it is done, or fails if `progress` asks to stop.
pub(crate) fn block_on<T>(
    progress: &dyn Progress,
    future: impl Future<Output = T>,
) -> anyhow::Result<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut task = std::task::Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut task) {
            return Ok(done);
        }
        if progress.stop_requested() {
            anyhow::bail!("stopped");
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
    use idiolect::progress::Silent;

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
        assert!(block_on(&Stopped, futures::future::pending::<()>()).is_err());
    }
}
