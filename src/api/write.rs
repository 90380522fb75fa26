use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::dispatch::{internal_error, unavailable};
use super::response::Reply;
use super::server::Peer;
use crate::ingest::{self, Protocol, WriteAnswer, WriteHeaders, Written};

/// `/api/v1/write`: judges the headers, then reads the body, then has it stored.
///
/// Source: remote-write specification 2.0; the order of checks is that of its receivers.
pub(super) async fn write(peer: &Arc<Peer>, parts: &Parts, body: Incoming) -> Reply {
    let front = &peer.front;
    let app = match front.app.get() {
        Some(app) if !front.stopping.load(Ordering::Relaxed) => Arc::clone(app),
        _ => return unavailable(front),
    };
    if parts.method != Method::POST {
        let mut reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
        reply.headers.push(("allow", "POST, OPTIONS".to_owned()));
        return reply;
    }
    let protocol = match ingest::negotiate(&headers_of(&parts.headers)) {
        Ok(protocol) => protocol,
        Err(answer) => return reply(answer),
    };
    let limit = app.receiver.limits().compressed_bytes_max;
    let body = match front.bodies.read(body, limit, front.web.read_timeout).await {
        Ok(body) => body,
        Err(mut reply) => {
            if protocol == Protocol::V2 {
                push_written(&mut reply, &Written::default());
            }
            return reply;
        }
    };
    let place = Arc::clone(&front.writes).acquire_owned().await;
    let peer = Arc::clone(peer);
    let stored = tokio::task::spawn_blocking(move || {
        let _place = place;
        let known = peer.ingest.lock().take();
        let mut connection = known.unwrap_or_else(|| app.receiver.connection());
        let answer = connection.write(protocol, &body.bytes);
        *peer.ingest.lock() = Some(connection);
        answer
    });
    match stored.await {
        Ok(answer) => reply(answer),
        Err(error) => internal_error("/api/v1/write", &error),
    }
}

fn headers_of(headers: &HeaderMap) -> WriteHeaders<'_> {
    // A header that is no text is not one that we know: it must not count as absent.
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    WriteHeaders { content_type: text(&CONTENT_TYPE), content_encoding: text(&CONTENT_ENCODING) }
}

fn reply(answer: WriteAnswer) -> Reply {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = Reply::text(status, answer.body);
    if let Some(written) = &answer.written {
        push_written(&mut reply, written);
    }
    if let Some(seconds) = answer.retry_after_s {
        reply.headers.push(("retry-after", seconds.to_string()));
    }
    reply
}

fn push_written(reply: &mut Reply, written: &Written) {
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", written.samples),
        ("x-prometheus-remote-write-histograms-written", written.histograms),
        ("x-prometheus-remote-write-exemplars-written", written.exemplars),
    ] {
        reply.headers.push((name, count.to_string()));
    }
}
