//! State that all requests share.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::guesses::Guesses;
use crate::ids;
use crate::map_jobs::MapJobs;
use crate::metrics::Metrics;
use crate::score_memo::ScoreMemo;
use crate::tickets::Tickets;
use crate::{ServedModels, ServerOptions};

/// State that all requests share.
pub(crate) struct App {
    pub(crate) options: ServerOptions,
    pub(crate) metrics: Metrics,
    pub(crate) scores: ScoreMemo,
    pub(crate) guesses: Guesses,
    /// Seconds since 1970 at which the server started.
    pub(crate) started: u64,
    /// Whether only programs of this machine reach the server, so that answers may help with names.
    pub(crate) on_loopback: bool,
    pub(crate) map_jobs: Arc<MapJobs>,
    pub(crate) tickets: Tickets,
    models: OnceLock<ServedModels>,
    queue: Arc<Semaphore>,
}

/// Place of a request among those that are computed or wait; free again after it is dropped.
pub(crate) struct QueuePlace {
    _permit: OwnedSemaphorePermit,
}

impl App {
    pub(crate) fn new(address: SocketAddr, options: ServerOptions) -> Self {
        let queue = Arc::new(Semaphore::new(options.max_queue));
        Self {
            options,
            metrics: Metrics::new(),
            scores: ScoreMemo::default(),
            guesses: Guesses::new(),
            started: ids::now(),
            on_loopback: address.ip().is_loopback(),
            map_jobs: Arc::default(),
            tickets: Tickets::default(),
            models: OnceLock::new(),
            queue,
        }
    }

    /// Sets the models; later calls have no effect.
    pub(crate) fn set_models(&self, models: ServedModels) {
        drop(self.models.set(models));
    }

    /// The models.
    ///
    /// # Errors
    /// 503 while they are being loaded.
    pub(crate) fn models(&self) -> Result<&ServedModels, ApiError> {
        self.models.get().ok_or_else(ApiError::loading)
    }

    /// Takes a place for a request.
    ///
    /// # Errors
    /// 429 if all are taken.
    pub(crate) fn enter(&self) -> Result<QueuePlace, ApiError> {
        match Arc::clone(&self.queue).try_acquire_owned() {
            Ok(permit) => Ok(QueuePlace { _permit: permit }),
            Err(_) => Err(ApiError::queue_full()),
        }
    }
}
