//! Accepts connections, within bounds of number and time, until the server stops.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::write_deadline::WriteDeadline;

/// Maximum number of open connections; further ones wait in the system's queue.
const MAX_CONNECTIONS: usize = 512;
/// Maximum time until the head of a request has arrived.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// Maximum time that a client may leave an answer unread.
const WRITE_TIME: Duration = Duration::from_secs(60);
/// Maximum time that running answers get after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves connections until `stop` changes, then waits for running answers.
pub(crate) async fn accept(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let Some((place, accepted)) = unless_stopped(accepted, &mut stop).await else { break };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors: those that are open end at some time.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = graceful.watch(connection(stream, router.clone()));
        tokio::spawn(async move {
            // A client that breaks off is no fault of the server.
            drop(connection.await);
            drop(place);
        });
    }
    drop(listener);
    drop(tokio::time::timeout(GRACE, graceful.shutdown()).await);
}

fn connection(
    stream: TcpStream,
    router: Router,
) -> http1::Connection<TokioIo<WriteDeadline>, TowerToHyperService<Router>> {
    // A piece of text is sent at once.
    drop(stream.set_nodelay(true));
    let io = TokioIo::new(WriteDeadline::new(stream, WRITE_TIME));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(100)
        .max_buf_size(64 << 10)
        .serve_connection(io, TowerToHyperService::new(router))
}

/// The result of `work`, or `None` if the server is to stop before it is there.
async fn unless_stopped<T>(
    work: impl Future<Output = T>,
    stop: &mut watch::Receiver<bool>,
) -> Option<T> {
    let (mut work, mut stopped) = (pin!(work), pin!(stop.changed()));
    poll_fn(|context| {
        if stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}
