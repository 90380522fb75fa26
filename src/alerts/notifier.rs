//! One bounded queue and one sender for each Alertmanager.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::warn;

use crate::env::Clock;

use super::notifiable::{NotifiableAlert, body};

/// Alerts of one request, as upstream.
const BATCH_MAX: usize = 256;

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertmanagerTarget {
    /// Whole address: `http://host:9093/prefix/api/v2/alerts`.
    pub url: String,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// What became of the alerts for one Alertmanager, since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertmanagerStatus {
    /// Its address.
    pub url: String,
    /// Alerts that were handed to a request.
    pub sent: u64,
    /// Alerts of requests that failed.
    pub errors: u64,
    /// Alerts that were dropped: the queue was full, or their request failed.
    pub dropped: u64,
    /// Alerts that wait.
    pub queue_length: usize,
    /// How many may wait.
    pub queue_capacity: usize,
    /// Requests so far.
    pub requests: u64,
    /// Time spent in them.
    pub latency_total: Duration,
}

/// Sends alerts to every Alertmanager, each at its own pace.
///
/// A full queue drops its oldest alerts and counts them. A batch that fails is dropped and counted
/// too: every firing alert is sent again soon, so the next send repairs it.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    clock: Arc<dyn Clock>,
    queue_capacity: usize,
    queues: Mutex<Vec<Arc<Queue>>>,
    failed: Notify,
}

struct Queue {
    target: AlertmanagerTarget,
    // Held only to push, to pop and to count; never across an await.
    waiting: Mutex<Waiting>,
    wake: Notify,
    idle: Notify,
}

#[derive(Default)]
struct Waiting {
    alerts: VecDeque<Arc<NotifiableAlert>>,
    status: AlertmanagerStatus,
    is_sending: bool,
    is_closed: bool,
}

impl Notifier {
    /// Returns a notifier without Alertmanagers, whose senders run on `runtime`.
    pub fn new(runtime: Handle, clock: Arc<dyn Clock>, queue_capacity: usize) -> Notifier {
        let (queues, failed) = (Mutex::new(Vec::new()), Notify::new());
        Notifier { shared: Arc::new(Shared { runtime, clock, queue_capacity, queues, failed }) }
    }

    /// Sends to these Alertmanagers from here on. Those that stay keep their queue and counters.
    pub fn set_alertmanagers(&self, targets: &[AlertmanagerTarget]) {
        let mut queues = self.shared.queues.lock();
        let old = std::mem::take(&mut *queues);
        for target in targets {
            let kept = old.iter().find(|queue| queue.target == *target);
            queues.push(kept.cloned().unwrap_or_else(|| self.start(target.clone())));
        }
        for queue in old {
            if !targets.contains(&queue.target) {
                queue.close();
            }
        }
    }

    fn start(&self, target: AlertmanagerTarget) -> Arc<Queue> {
        let status = AlertmanagerStatus {
            url: target.url.clone(),
            queue_capacity: self.shared.queue_capacity,
            ..AlertmanagerStatus::default()
        };
        let queue = Arc::new(Queue {
            target,
            waiting: Mutex::new(Waiting { status, ..Waiting::default() }),
            wake: Notify::new(),
            idle: Notify::new(),
        });
        let shared = Arc::clone(&self.shared);
        let sender = send_all(Arc::clone(&queue), Arc::clone(&shared.clock));
        let sender = self.shared.runtime.spawn(sender);
        self.shared.runtime.spawn(async move {
            if sender.await.is_err_and(|error| error.is_panic()) {
                shared.failed.notify_one();
            }
        });
        queue
    }

    /// Queues alerts for every Alertmanager. Never waits.
    pub fn send(&self, alerts: Vec<NotifiableAlert>) {
        if alerts.is_empty() {
            return;
        }
        let alerts: Vec<_> = alerts.into_iter().map(Arc::new).collect();
        for queue in self.shared.queues.lock().iter() {
            queue.push(&alerts);
        }
    }

    /// Returns once a sender has died, which is a bug: whoever waits should end the process, since
    /// alerts would go nowhere from here on.
    pub async fn failed(&self) {
        self.shared.failed.notified().await;
    }

    /// Returns what became of the alerts, for each Alertmanager.
    pub fn status(&self) -> Vec<AlertmanagerStatus> {
        let queues = self.shared.queues.lock();
        queues.iter().map(|queue| queue.status()).collect()
    }

    /// Waits until every queue is empty and every request answered, at most for `limit`. Returns
    /// how many alerts are left.
    pub async fn drain(&self, limit: Duration) -> usize {
        let queues = self.shared.queues.lock().clone();
        let all = async {
            for queue in &queues {
                queue.wait_idle().await;
            }
        };
        let _ = tokio::time::timeout(limit, all).await;
        queues.iter().map(|queue| queue.status().queue_length).sum()
    }
}

impl Queue {
    fn push(&self, alerts: &[Arc<NotifiableAlert>]) {
        let mut waiting = self.waiting.lock();
        waiting.alerts.extend(alerts.iter().cloned());
        let excess = waiting.alerts.len().saturating_sub(waiting.status.queue_capacity);
        if excess > 0 {
            waiting.alerts.drain(..excess);
            waiting.status.dropped += excess as u64;
            warn!(url = %self.target.url, dropped = excess, "Alert queue is full; oldest dropped.");
        }
        drop(waiting);
        self.wake.notify_one();
    }

    fn status(&self) -> AlertmanagerStatus {
        let waiting = self.waiting.lock();
        AlertmanagerStatus { queue_length: waiting.alerts.len(), ..waiting.status.clone() }
    }

    fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.wake.notify_one();
    }

    /// Takes the next batch, empty where nothing waits; `None` once the queue is closed.
    fn next_batch(&self) -> Option<Vec<Arc<NotifiableAlert>>> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return None;
        }
        let len = waiting.alerts.len().min(BATCH_MAX);
        waiting.is_sending = len > 0;
        Some(waiting.alerts.drain(..len).collect())
    }

    async fn wait_idle(&self) {
        loop {
            let idle = self.idle.notified();
            {
                let waiting = self.waiting.lock();
                if waiting.is_closed || (waiting.alerts.is_empty() && !waiting.is_sending) {
                    return;
                }
            }
            idle.await;
        }
    }

    fn account(&self, count: usize, took: Duration, outcome: &Result<(), SendError>) {
        let mut waiting = self.waiting.lock();
        waiting.is_sending = false;
        let status = &mut waiting.status;
        status.requests += 1;
        status.latency_total += took;
        status.sent += count as u64;
        if let Err(error) = outcome {
            status.errors += count as u64;
            status.dropped += count as u64;
            warn!(url = %self.target.url, alerts = count, %error, "Alerts were not taken.");
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("not an address: {0}")]
    Address(#[from] hyper::http::Error),
    #[error("cannot reach it: {}", with_causes(.0))]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("it answered {0}")]
    Refused(hyper::StatusCode),
}

/// The client's errors say what they were doing, and only their causes say what went wrong.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

async fn send_all(queue: Arc<Queue>, clock: Arc<dyn Clock>) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    while let Some(batch) = queue.next_batch() {
        if batch.is_empty() {
            queue.idle.notify_waiters();
            queue.wake.notified().await;
            continue;
        }
        let started = clock.elapsed();
        let outcome = post(&client, &queue.target, &batch).await;
        queue.account(batch.len(), clock.elapsed().saturating_sub(started), &outcome);
    }
    queue.idle.notify_waiters();
}

async fn post(
    client: &Client<HttpConnector, Full<Bytes>>,
    target: &AlertmanagerTarget,
    batch: &[Arc<NotifiableAlert>],
) -> Result<(), SendError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(&target.url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("forewarn/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(body(batch.iter().map(AsRef::as_ref)))))?;
    let answer = tokio::time::timeout(target.timeout, client.request(request))
        .await
        .map_err(|_| SendError::Timeout(target.timeout))??;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(SendError::Refused(status)),
    }
}
