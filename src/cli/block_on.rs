//! Runs a future on this thread until it is done; if the user asks to stop, the command fails.

use idiolect::progress::{self, Progress};

/// Runs `future` on this thread until it is done, or fails if `progress` asks to stop.
pub(crate) fn block_on<T>(
    progress: &dyn Progress,
    future: impl Future<Output = T>,
) -> anyhow::Result<T> {
    progress::block_on(progress, future).ok_or_else(|| anyhow::anyhow!("stopped"))
}
