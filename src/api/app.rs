use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::http_counters::HttpCounters;
use crate::alerts::{Notifier, SharedView};
use crate::config::Config;
use crate::env::Clock;
use crate::ingest::Receiver;
use crate::promql::Engine;
use crate::store::Store;

/// What the handlers ask: the open rooms, and the configuration in force.
pub struct App {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The configuration in force; a reload swaps it.
    pub config: ArcSwap<Config>,
    /// Every flag and its value.
    pub flags: Vec<(&'static str, String)>,
    /// When the process started, ms.
    pub started_ms: i64,
    /// How the last reload went.
    pub reload: ReloadState,
    /// Where samples are.
    pub store: Store,
    /// What evaluates queries.
    pub engine: Engine,
    /// What takes remote write.
    pub receiver: Receiver,
    /// The newest picture of rules and alerts.
    pub rules: SharedView,
    /// What sends alerts.
    pub notifier: Notifier,
    /// What the server counts; the same that it was started with.
    pub http: Arc<HttpCounters>,
    /// The way to whoever runs the server.
    pub control: Control,
}

/// How the last reload went; starting is one.
#[derive(Debug)]
pub struct ReloadState {
    successful: AtomicBool,
    success_ms: AtomicI64,
}

impl ReloadState {
    /// Returns the state after a start at `now_ms`.
    pub fn new(now_ms: i64) -> ReloadState {
        ReloadState { successful: AtomicBool::new(true), success_ms: AtomicI64::new(now_ms) }
    }

    /// Notes a reload.
    pub fn note(&self, successful: bool, now_ms: i64) {
        self.successful.store(successful, Ordering::Relaxed);
        if successful {
            self.success_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Returns whether the last one took effect.
    pub fn successful(&self) -> bool {
        self.successful.load(Ordering::Relaxed)
    }

    /// Returns when the configuration in force was read, ms.
    pub fn success_ms(&self) -> i64 {
        self.success_ms.load(Ordering::Relaxed)
    }
}

/// What a client may ask of whoever runs the server.
#[derive(Debug)]
pub enum Command {
    /// Read configuration and rules again; the answer is `Ok`, or why the old ones stay.
    Reload(oneshot::Sender<Result<(), String>>),
    /// Drain and exit.
    Quit,
}

/// Sends [`Command`]s.
#[derive(Clone, Debug)]
pub struct Control(mpsc::Sender<Command>);

impl Control {
    /// Returns a control and the end where its commands arrive.
    pub fn new() -> (Control, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(8);
        (Control(sender), receiver)
    }

    /// Reloads and waits for the outcome. Blocks its thread.
    pub(super) fn reload(&self) -> Result<(), String> {
        let stopping = || "the server is stopping".to_owned();
        let (answer, outcome) = oneshot::channel();
        self.0.blocking_send(Command::Reload(answer)).map_err(|_| stopping())?;
        outcome.blocking_recv().unwrap_or_else(|_| Err(stopping()))
    }

    /// Asks for a drain.
    pub(super) fn quit(&self) {
        // A closed channel means that the server is stopping already.
        let _ = self.0.blocking_send(Command::Quit);
    }
}
