//! A running server: its threads, its address, its end.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::connection::accept;
use crate::routes::router;
use crate::{Error, Result, ServedModels, ServerOptions};

/// Threads that serve connections. The engine computes on threads of its own.
const THREADS: usize = 2;
/// Maximum number of personal texts and embeddings at once.
const BLOCKING_THREADS: usize = 64;
/// Longest delay until a stop is noticed.
const PATIENCE: Duration = Duration::from_millis(50);

/// A listening server.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    runtime: Runtime,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens on `address` (port 0: any free one) and answers 503 until [`Server::serve`].
    ///
    /// # Errors
    /// The address can be reached from other machines and the options have no keys, a user header is
    /// given without keys, the address cannot be listened on, or no thread can be started.
    pub fn bind(address: SocketAddr, options: ServerOptions) -> Result<Self> {
        if options.keys.is_empty() && !address.ip().is_loopback() {
            return Err(Error::KeyNeeded { address: address.ip() });
        }
        if options.keys.is_empty() && options.user_header.is_some() {
            return Err(Error::HeaderWithoutKey);
        }
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let start = |source| Error::Start { source };
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("serve")
            .enable_all()
            .build()
            .map_err(start)?;
        let app = Arc::new(App::new(address, options));
        let router = router(Arc::clone(&app));
        let (stop, stopped) = watch::channel(false);
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(start)?
        };
        let accepting = runtime.spawn(accept(listener, router, stopped));
        Ok(Self { app, address, runtime, stop, accepting })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the server its models; from then on it answers. A second call has no effect.
    pub fn serve(&self, models: ServedModels) {
        self.app.set_models(models);
    }

    /// Waits until `stop` says to stop, then lets running answers end, for ten seconds at most.
    pub fn wait(self, stop: impl Fn() -> bool) {
        while !stop() {
            thread::sleep(PATIENCE);
        }
        self.stop.send_replace(true);
        self.app.map_jobs.stop();
        drop(self.runtime.block_on(self.accepting));
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}
