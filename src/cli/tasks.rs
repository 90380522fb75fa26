//! The threads of a server: they go on until they are told to stop, and their end does not go
//! unnoticed.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use tokio::sync::mpsc;

use crate::alerts::Manager;
use crate::env::Clock;
use crate::store::Store;

/// How often the store is maintained.
const MAINTAIN_EVERY_SECONDS: u64 = 60;
/// Longest sleep of the rules, so that they notice when the clock was set.
const SLEEP_MAX_MS: i64 = 250;

/// A running thread.
pub(super) struct Task {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// A change to the manager, made between two evaluations.
pub(super) type Change = Box<dyn FnOnce(&mut Manager) + Send>;

impl Task {
    /// Starts a thread. However it ends, its name is sent to `tell_end`.
    pub(super) fn start(
        name: &'static str,
        tell_end: mpsc::Sender<&'static str>,
        body: impl FnOnce(Receiver<()>) + Send + 'static,
    ) -> std::io::Result<Task> {
        struct TellEnd(&'static str, mpsc::Sender<&'static str>);
        impl Drop for TellEnd {
            fn drop(&mut self) {
                // Nobody listens any more when everything ends.
                let _ = self.1.try_send(self.0);
            }
        }
        let (stop, stopped) = bounded(1);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _tell_end = TellEnd(name, tell_end);
            body(stopped);
        })?;
        Ok(Task { stop, thread })
    }

    /// Tells the thread to stop and waits until it has.
    pub(super) fn stop(self) {
        let _ = self.stop.try_send(());
        // A thread that panicked has said so.
        let _ = self.thread.join();
    }
}

/// Looks after the store: each second for a checkpoint that is due, each minute for the rest.
pub(super) fn maintain(store: &Store, stop: &Receiver<()>) {
    for second in 1u64.. {
        if stop.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
            break;
        }
        let done = if second.is_multiple_of(MAINTAIN_EVERY_SECONDS) {
            store.maintain()
        } else {
            store.checkpoint_if_due()
        };
        if let Err(error) = done {
            let error = super::with_sources(&error);
            tracing::error!(error, "Maintenance of the store failed; it is tried again.");
        }
    }
}

/// Evaluates the rules that are due, and makes the changes that a reload asks for.
pub(super) fn evaluate(
    mut manager: Manager,
    clock: &Arc<dyn Clock>,
    changes: &Receiver<Change>,
    stop: &Receiver<()>,
) {
    loop {
        let due_ms = manager.next_due().unwrap_or(i64::MAX);
        let sleep_ms = due_ms.saturating_sub(clock.now_ms()).clamp(0, SLEEP_MAX_MS);
        select! {
            recv(stop) -> _ => break,
            recv(changes) -> change => match change {
                Ok(change) => change(&mut manager),
                Err(_) => break,
            },
            default(Duration::from_millis(sleep_ms.unsigned_abs())) => {
                manager.evaluate_due(clock.now_ms());
            }
        }
    }
    manager.close(clock.now_ms());
}
