use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use crate::ingest::proto::v1::WriteRequest;
use crate::ingest::send;

/// A sender of remote write over one connection, as Prometheus is.
pub(super) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

/// What a server did not take.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("the server cannot be reached")]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("the answer broke off")]
    Answer(#[from] hyper::Error),
    #[error("the server answered {status}: {text}")]
    Refused { status: StatusCode, text: String },
}

impl Sender {
    pub(super) fn new(server: SocketAddr) -> Sender {
        Sender {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: format!("http://{server}/api/v1/write"),
        }
    }

    pub(super) async fn send(&self, message: &WriteRequest) -> Result<(), SendError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(CONTENT_TYPE, send::CONTENT_TYPE_V1)
            .header(CONTENT_ENCODING, "snappy")
            .body(Full::from(send::body(message)))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        if status.is_success() {
            return Ok(());
        }
        Err(SendError::Refused { status, text: String::from_utf8_lossy(&text).into_owned() })
    }
}
