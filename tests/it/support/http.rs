//! A small blocking HTTP client for tests that talk to real processes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text()))
    }
}

/// One client with kept-alive connections to one server.
pub(crate) struct HttpClient {
    base: String,
    runtime: tokio::runtime::Runtime,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl HttpClient {
    pub(crate) fn new(base: impl Into<String>) -> HttpClient {
        HttpClient {
            base: base.into(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The address that paths are added to.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        self.runtime.block_on(async {
            let exchange = async {
                let response = self.client.request(request).await?;
                let status = response.status().as_u16();
                let headers = response.headers().clone();
                let body = response.into_body().collect().await?.to_bytes();
                anyhow::Ok(Answer { status, headers, body })
            };
            tokio::time::timeout(Duration::from_secs(30), exchange).await?
        })
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, &[], "")
    }

    /// Asks for `path` with URL-encoded parameters.
    pub(crate) fn get_with(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        self.get(&format!("{path}?{}", encode(parameters)))
    }

    /// Sends a snappy-compressed remote-write 1.0 body.
    pub(crate) fn write_v1(&self, body: Vec<u8>) -> anyhow::Result<Answer> {
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        self.send(Method::POST, "/api/v1/write", &headers, body)
    }
}

/// URL-encodes parameters.
pub(crate) fn encode(parameters: &[(&str, &str)]) -> String {
    let encoded = |text: &str| {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                byte => format!("%{byte:02X}"),
            })
            .collect::<String>()
    };
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.join("&")
}
