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

/// Shows nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _n: u64) {}
    fn end(&self) {}
}
