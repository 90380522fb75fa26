use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use super::app::App;
use super::request::Call;
use super::response::Reply;
use super::route::{self, Route};
use crate::config::Web;

/// Forms hold expressions and selectors; Go's servers stop at the same size.
const FORM_BYTES_MAX: usize = 10 << 20;
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
struct Front {
    web: Web,
    app: OnceLock<App>,
    stopping: AtomicBool,
}

impl Server {
    /// Listens. Until [`Server::open`] only `/-/healthy` says yes; the rest is 503.
    pub async fn start(web: Web) -> Result<Server, BindError> {
        let address = web.listen_address;
        let listening = async {
            let listener = TcpListener::bind(address).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (local_address, listener) =
            listening.await.map_err(|source| BindError { address, source })?;
        let front = Arc::new(Front { web, app: OnceLock::new(), stopping: AtomicBool::new(false) });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::clone(&front), stopped));
        Ok(Server { front, local_address, stop, task })
    }

    /// Returns where it listens, with the port that was found for port 0.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Serves everything from now on. The first call counts.
    pub fn open(&self, app: App) {
        let _ = self.front.app.set(app);
    }

    /// Returns the rooms, once the server is open.
    pub fn app(&self) -> Option<&App> {
        self.front.app.get()
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
            let place = Arc::clone(&places).acquire_owned().await;
            (place.expect("the semaphore is never closed"), listener.accept().await)
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
    place: OwnedSemaphorePermit,
    graceful: &GracefulShutdown,
) {
    let _ = stream.set_nodelay(true);
    let read_timeout = front.web.read_timeout;
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(answer(front, request).await) }
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

async fn answer(front: Arc<Front>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let origin = request.headers().get(ORIGIN).cloned();
    let cors = origin.and_then(|origin| cors(&front.web, &origin));
    let head = request.method() == Method::HEAD;
    let (reply, encoding) = dispatch(front, request).await;
    let mut response = Response::builder().status(reply.status);
    let headers = response.headers_mut().expect("a status alone cannot be wrong");
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(*name, value);
        }
    }
    if let Some(cors) = cors {
        headers.extend(cors);
    }
    let body = if head { Bytes::new() } else { reply.into_bytes() };
    response.body(Full::new(body)).expect("every header was checked")
}

/// Returns the headers that let a browser read the answer from `origin`.
fn cors(web: &Web, origin: &HeaderValue) -> Option<HeaderMap> {
    let allowed = match origin.to_str() {
        _ if web.cors_origin.as_str() == "^(?:.*)$" => HeaderValue::from_static("*"),
        Ok(text) if web.cors_origin.is_match(text) => origin.clone(),
        _ => return None,
    };
    let fixed = HeaderValue::from_static;
    Some(HeaderMap::from_iter([
        (ACCESS_CONTROL_ALLOW_ORIGIN, allowed),
        (ACCESS_CONTROL_ALLOW_HEADERS, fixed("Accept, Authorization, Content-Type, Origin")),
        (ACCESS_CONTROL_ALLOW_METHODS, fixed("GET, POST, OPTIONS")),
        (ACCESS_CONTROL_EXPOSE_HEADERS, fixed("Date")),
        (VARY, fixed("Origin")),
    ]))
}

/// Finds who answers, reads the body, and has it answered. Returns the encoding of the body too.
async fn dispatch(front: Arc<Front>, request: Request<Incoming>) -> (Reply, Option<&'static str>) {
    let plain = |reply| (reply, None);
    let (parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        return plain(Reply::text(StatusCode::NO_CONTENT, ""));
    }
    let path = parts.uri.path();
    let Some(path) = path.strip_prefix(front.web.route_prefix.as_str()) else {
        return plain(not_found());
    };
    let ready = front.app.get().is_some() && !front.stopping.load(Ordering::Relaxed);
    if let Some(reply) = vital(path, &parts.method, ready) {
        return plain(reply);
    }
    let Some((route, part)) = route::find(path) else { return plain(not_found()) };
    if !route.methods.allow(&parts.method) {
        return plain(not_allowed(route));
    }
    if front.app.get().is_none() {
        return plain(unavailable(&front));
    }
    let body = match read_body(body, FORM_BYTES_MAX, front.web.read_timeout).await {
        Ok(body) => body,
        Err(reply) => return plain(reply),
    };
    let call = Call::new(parts.method, &parts.uri, parts.headers, part, &body);
    let handled = tokio::task::spawn_blocking(move || {
        let app = front.app.get().expect("checked above, and never taken back");
        let mut reply = (route.handler)(app, &call).unwrap_or_else(|error| error.reply());
        let encoding = reply.compress(&call.headers);
        (reply, encoding)
    });
    handled.await.unwrap_or_else(|_| {
        tracing::error!(route = route.path, "A request handler panicked.");
        plain(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the log\n"))
    })
}

/// Answers what must be answered whatever else goes on.
fn vital(path: &str, method: &Method, ready: bool) -> Option<Reply> {
    let reply = match path {
        "/-/healthy" => Reply::text(StatusCode::OK, "Forewarn is Healthy.\n"),
        "/-/ready" if ready => Reply::text(StatusCode::OK, "Forewarn is Ready.\n"),
        "/-/ready" => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        _ => return None,
    };
    let allowed = method == Method::GET || method == Method::HEAD;
    Some(if allowed { reply } else { Reply::text(StatusCode::METHOD_NOT_ALLOWED, "") })
}

fn not_found() -> Reply {
    Reply::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn not_allowed(route: &Route) -> Reply {
    let mut reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    reply.headers.push(("allow", route.methods.names().to_owned()));
    reply
}

fn unavailable(front: &Front) -> Reply {
    let mut reply = Reply::text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    let stopping = front.stopping.load(Ordering::Relaxed);
    reply.headers.push(("x-prometheus-stopping", stopping.to_string()));
    reply
}

/// Reads a body and never holds more than `limit` bytes of it.
async fn read_body(mut body: Incoming, limit: usize, timeout: Duration) -> Result<Vec<u8>, Reply> {
    let too_large = || {
        let text = format!("the body is larger than {limit} bytes\n");
        Reply::text(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(Reply::text(StatusCode::BAD_REQUEST, "the body broke off\n"));
            };
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(data);
        }
        Ok(bytes)
    };
    tokio::time::timeout(timeout, reading).await.unwrap_or_else(|_| {
        Err(Reply::text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"))
    })
}
