use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::env::Clock;

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
    /// The way to whoever runs the server.
    pub control: Control,
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
        // A full or closed channel means that someone else's command ends it.
        let _ = self.0.blocking_send(Command::Quit);
    }
}
