//! Progress of long operations, and requests to stop them.
//!
//! The library prints nothing: the caller passes a [`Progress`] and decides what to show.

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
