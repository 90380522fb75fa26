use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use super::app::App;
use super::body::BodyBudget;
use super::dispatch;
use super::http_counters::HttpCounters;
use crate::config::{Config, Web};
use crate::env::Clock;
use crate::ingest;

/// How long requests under way may take once the server stops.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// The listening server.
pub struct Server {
    front: Arc<Front>,
    local_address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another with --web.listen-address")]
pub struct BindError {
    address: SocketAddr,
    source: std::io::Error,
}

/// What every connection shares.
pub(super) struct Front {
    pub(super) web: Web,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) app: OnceLock<Arc<App>>,
    pub(super) stopping: AtomicBool,
    pub(super) http: Arc<HttpCounters>,
    /// One permit for each query that may run.
    pub(super) queries: Arc<Semaphore>,
    /// How long a query may wait for its permit.
    pub(super) query_timeout: Duration,
    /// One permit for each write that may be decoded.
    pub(super) writes: Arc<Semaphore>,
    pub(super) bodies: BodyBudget,
}

/// One connection.
pub(super) struct Peer {
    pub(super) front: Arc<Front>,
    /// What remembers the series of this sender. Taken out by the write under way.
    pub(super) ingest: Mutex<Option<ingest::Connection>>,
}

impl Server {
    /// Listens. Until [`Server::open`] only `/-/healthy` says yes; the rest is 503.
    pub async fn start(
        config: &Config,
        clock: Arc<dyn Clock>,
        http: Arc<HttpCounters>,
    ) -> Result<Server, BindError> {
        let address = config.web.listen_address;
        let listening = async {
            let listener = TcpListener::bind(address).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (local_address, listener) =
            listening.await.map_err(|source| BindError { address, source })?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let front = Arc::new(Front {
            web: config.web.clone(),
            clock,
            app: OnceLock::new(),
            stopping: AtomicBool::new(false),
            http,
            queries: Arc::new(Semaphore::new(config.query.max_concurrency)),
            query_timeout: config.query.timeout,
            writes: Arc::new(Semaphore::new(cores * 2)),
            bodies: BodyBudget::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::clone(&front), stopped));
        Ok(Server { front, local_address, stop, task })
    }

    /// Returns where it listens, with the port that was found for port 0.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Serves everything from now on. The first call counts.
    pub fn open(&self, app: Arc<App>) {
        let _ = self.front.app.set(app);
    }

    /// Resolves when the server ends by itself, which it never should.
    pub async fn ended(&mut self) {
        let _ = (&mut self.task).await;
    }

    /// Stops accepting, lets requests under way finish for half a minute, and closes.
    pub async fn stop(self) {
        self.front.stopping.store(true, Ordering::Relaxed);
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn accept(listener: TcpListener, front: Arc<Front>, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(front.web.max_connections));
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            // The semaphore is never closed, so there is always a place.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            _ = stopped.changed() => break,
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => (place, stream),
                Err(error) => {
                    // Out of file descriptors, mostly: wait for some to be closed.
                    tracing::warn!(%error, "Cannot accept a connection.");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        serve_connection(stream, Arc::clone(&front), place, &graceful);
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = DRAIN_MAX.as_secs(), "Requests were cut off: they took too long.");
    }
}

fn serve_connection(
    stream: TcpStream,
    front: Arc<Front>,
    place: Option<OwnedSemaphorePermit>,
    graceful: &GracefulShutdown,
) {
    let _ = stream.set_nodelay(true);
    let read_timeout = front.web.read_timeout;
    let peer = Arc::new(Peer { front, ingest: Mutex::new(None) });
    let service = service_fn(move |request| {
        let peer = Arc::clone(&peer);
        async move { Ok::<_, Infallible>(dispatch::answer(peer, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read_timeout)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "Connection ended.");
        }
        drop(place);
    });
}
