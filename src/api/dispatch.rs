use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::task::JoinError;

use super::app::App;
use super::error::ApiError;
use super::outgoing::Outgoing;
use super::request::Call;
use super::response::{Body, Reply};
use super::route::{self, Route};
use super::server::{Front, Peer};
use super::write;
use crate::config::Web;
use crate::promql::{CancelToken, QueryError};

/// Forms hold expressions and selectors; Go's servers stop at the same size.
const FORM_BYTES_MAX: usize = 10 << 20;

/// Answers one request, whatever it is.
pub(super) async fn answer(peer: Arc<Peer>, request: Request<Incoming>) -> Response<Outgoing> {
    let front = Arc::clone(&peer.front);
    let started = front.clock.elapsed();
    let origin = request.headers().get(ORIGIN);
    let cors = origin.and_then(|origin| cors(&front.web, origin));
    let head = request.method() == Method::HEAD;
    let (parts, body) = request.into_parts();
    let (handler, reply) = dispatch(&peer, parts, body).await;
    let taken = front.clock.elapsed().saturating_sub(started);
    front.http.count(handler, reply.status.as_u16(), taken);

    let body = match reply.body {
        _ if head => Outgoing::Whole(Full::default()),
        Body::Whole(bytes) => Outgoing::Whole(Full::new(Bytes::from(bytes))),
        Body::Pieces(pieces) => Outgoing::Pieces(pieces),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    if reply.status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    if let Some(encoding) = reply.encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if reply.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(*name, value);
        }
    }
    for (name, value) in cors.iter().flatten() {
        headers.append(name, value.clone());
    }
    response
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

/// Finds who answers and has it answered; returns the name that it is counted under too.
async fn dispatch(peer: &Arc<Peer>, parts: Parts, body: Incoming) -> (&'static str, Reply) {
    const OTHER: &str = "other";
    let front = &peer.front;
    if parts.method == Method::OPTIONS {
        return (OTHER, Reply::text(StatusCode::NO_CONTENT, ""));
    }
    let Some(path) = parts.uri.path().strip_prefix(front.web.route_prefix.as_str()) else {
        return (OTHER, not_found());
    };
    if let Some(vital) = vital(front, path, &parts.method) {
        return vital;
    }
    if path == route::WRITE_PATH {
        return (route::WRITE_PATH, write::write(peer, &parts, body).await);
    }
    let Some((route, part)) = route::find(path) else { return (OTHER, not_found()) };
    if !route.methods.allow(&parts.method) {
        return (route.path, not_allowed(route));
    }
    let Some(app) = front.app.get() else { return (route.path, unavailable(front)) };
    let body = match front.bodies.read(body, FORM_BYTES_MAX, front.web.read_timeout).await {
        Ok(body) => body,
        Err(reply) => return (route.path, reply),
    };
    let cancel = CancelToken::default();
    let _cancel_when_dropped = CancelOnDrop(cancel.clone());
    let call = Call::new(&parts.method, &parts.uri, parts.headers, part, &body.bytes, cancel);
    drop(body);
    (route.path, handle(front, Arc::clone(app), route, call).await)
}

/// Runs the handler on the blocking pool; queries wait for their turn first.
async fn handle(front: &Arc<Front>, app: Arc<App>, route: &'static Route, mut call: Call) -> Reply {
    let asked = front.clock.elapsed();
    let place = if route.is_query {
        let place = Arc::clone(&front.queries).acquire_owned();
        match tokio::time::timeout(front.query_timeout, place).await {
            Ok(place) => place.ok(),
            Err(_) => return ApiError::Query(QueryError::Timeout).reply(),
        }
    } else {
        None
    };
    call.waited = front.clock.elapsed().saturating_sub(asked);
    let front = Arc::clone(front);
    let handled = tokio::task::spawn_blocking(move || {
        let _place = place;
        let _counted = route.is_query.then(|| CountedQuery::new(&front));
        let mut reply = (route.handler)(&app, &call).unwrap_or_else(|error| error.reply());
        reply.compress(&call.headers);
        reply
    });
    handled.await.unwrap_or_else(|error| internal_error(route.path, &error))
}

/// A query being evaluated; counted when dropped, also by a panic.
struct CountedQuery<'a> {
    front: &'a Front,
    started: Duration,
}

impl CountedQuery<'_> {
    fn new(front: &Front) -> CountedQuery<'_> {
        front.http.query_begins();
        CountedQuery { front, started: front.clock.elapsed() }
    }
}

impl Drop for CountedQuery<'_> {
    fn drop(&mut self) {
        self.front.http.query_ends(self.front.clock.elapsed().saturating_sub(self.started));
    }
}

/// Cancels a query when the request's future is dropped: hyper does so when the client goes away.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Answers what must be answered whatever else goes on.
fn vital(front: &Front, path: &str, method: &Method) -> Option<(&'static str, Reply)> {
    let open = front.app.get().is_some();
    let ready = open && !front.stopping.load(Ordering::Relaxed);
    let (path, reply) = match path {
        "/-/healthy" => ("/-/healthy", Reply::text(StatusCode::OK, "Forewarn is Healthy.\n")),
        "/-/ready" if ready => ("/-/ready", Reply::text(StatusCode::OK, "Forewarn is Ready.\n")),
        "/-/ready" => ("/-/ready", unavailable(front)),
        // Asked by those who wait for the replay to end.
        "/api/v1/status/walreplay" if !open => (
            "/api/v1/status/walreplay",
            Reply::data(&serde_json::json!({ "min": 0, "max": 0, "current": 0 })),
        ),
        _ => return None,
    };
    let allowed = method == Method::GET || method == Method::HEAD;
    let refused = || Reply::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    Some((path, if allowed { reply } else { refused() }))
}

fn not_found() -> Reply {
    Reply::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn not_allowed(route: &Route) -> Reply {
    let mut reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    reply.headers.push(("allow", route.methods.names().to_owned()));
    reply
}

/// The answer while the log is replayed, and while the server stops.
pub(super) fn unavailable(front: &Front) -> Reply {
    let mut reply = Reply::text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    let stopping = front.stopping.load(Ordering::Relaxed);
    reply.headers.push(("x-prometheus-stopping", stopping.to_string()));
    reply
}

/// The answer of a handler that panicked.
pub(super) fn internal_error(handler: &'static str, error: &JoinError) -> Reply {
    tracing::error!(handler, %error, "A request handler panicked. This is a bug; please report it.");
    ApiError::Internal("internal error; the log of the server says more".to_owned()).reply()
}
