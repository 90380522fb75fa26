//! A pretended Alertmanager on loopback, which remembers what it was sent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// One request to `/api/v2/alerts`.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) alerts: Vec<Value>,
}

/// Answers 200 until told otherwise.
#[derive(Clone)]
pub(crate) struct FakeAlertmanager {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    status: Mutex<Option<StatusCode>>,
    /// While true requests are taken and not answered.
    holds: Mutex<bool>,
    arrived: Notify,
    released: Notify,
}

impl FakeAlertmanager {
    /// Listens on a free port; serves as long as the runtime lives.
    pub(crate) async fn start() -> FakeAlertmanager {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let fake = FakeAlertmanager { address, state };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| fake.clone().answer(request));
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        fake
    }

    /// Where alerts are to be posted.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v2/alerts", self.address)
    }

    /// What has arrived so far, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.lock().clone()
    }

    /// All alerts that have arrived so far, in order.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.received().into_iter().flat_map(|received| received.alerts).collect()
    }

    /// Answers with this status from here on.
    pub(crate) fn answer_with(&self, status: StatusCode) {
        *self.state.status.lock() = Some(status);
    }

    /// Takes requests without answering them, until [`FakeAlertmanager::release`].
    pub(crate) fn hold(&self) {
        *self.state.holds.lock() = true;
    }

    /// Answers all requests again.
    pub(crate) fn release(&self) {
        *self.state.holds.lock() = false;
        self.state.released.notify_waiters();
    }

    /// Waits until at least `count` alerts have arrived; panics after ten seconds.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Value> {
        let arrived = async {
            loop {
                let next = self.state.arrived.notified();
                let alerts = self.alerts();
                if alerts.len() >= count {
                    return alerts;
                }
                next.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), arrived).await.unwrap_or_else(|_| {
            panic!("{count} alerts did not arrive in 10 s: {:?}", self.received())
        })
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body =
            body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let content_type = parts.headers.get("content-type");
        self.state.received.lock().push(Received {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            content_type: content_type.map_or("", |value| value.to_str().unwrap()).to_owned(),
            alerts: serde_json::from_slice(&body).unwrap_or_default(),
        });
        self.state.arrived.notify_waiters();
        loop {
            let released = self.state.released.notified();
            if !*self.state.holds.lock() {
                break;
            }
            released.await;
        }
        let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
        *response.status_mut() = self.state.status.lock().unwrap_or(StatusCode::OK);
        Ok(response)
    }
}
