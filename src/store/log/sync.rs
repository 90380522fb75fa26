//! Syncing: in the background, or by one commit for all that wait for it.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::env::DiskFile;
use crate::store::WalSync;

/// So many ranges of records that were lost are kept for those that still wait for them.
const LOST_MAX: usize = 64;

/// Knows what was written and what was synced. Its thread, if any, ends when this is dropped.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    _ends_the_thread: Option<Sender<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The segment that was written to since the last sync began.
    dirty: Option<Arc<dyn DiskFile>>,
    /// How many records were written.
    written: u64,
    /// So many of them are safe, but for those that were lost.
    synced: u64,
    is_syncing: bool,
    /// The records that were in a segment when it was given up.
    lost: Vec<RangeInclusive<u64>>,
    failure: Option<io::Error>,
}

/// The place of a record, for one who waits until it is safe.
#[must_use]
pub(in crate::store) struct Ticket {
    number: u64,
    shared: Arc<Shared>,
}

impl Syncer {
    pub(super) fn start(sync: WalSync) -> Syncer {
        let shared = Arc::new(Shared::default());
        let WalSync::Every(period_ms) = sync else {
            return Syncer { shared, _ends_the_thread: None };
        };
        let (sender, receiver) = bounded(0);
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log-sync".to_owned())
            .spawn(move || run(&of_thread, &receiver, Duration::from_millis(period_ms.max(1))))
            .expect("the system can start one more thread");
        Syncer { shared, _ends_the_thread: Some(sender) }
    }

    /// Says that a record was written to a segment.
    pub(super) fn note(&self, file: &Arc<dyn DiskFile>) -> Ticket {
        let mut state = self.shared.state.lock();
        state.written += 1;
        if state.dirty.is_none() {
            state.dirty = Some(Arc::clone(file));
        }
        Ticket { number: state.written, shared: Arc::clone(&self.shared) }
    }

    /// Returns the ticket of the last record.
    pub(super) fn last(&self) -> Ticket {
        let number = self.shared.state.lock().written;
        Ticket { number, shared: Arc::clone(&self.shared) }
    }

    /// Says that all that was written is safe.
    pub(super) fn settle(&self) {
        let mut state = self.shared.state.lock();
        state.dirty = None;
        state.synced = state.written;
        self.shared.changed.notify_all();
    }

    /// Says that the segment written to is given up.
    pub(super) fn give_up(&self) {
        let mut state = self.shared.state.lock();
        state.dirty = None;
        state.failure = None;
        state.lose();
        self.shared.changed.notify_all();
    }

    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.shared.state.lock().failure.take()
    }
}

impl State {
    /// Says that what is not synced never will be.
    fn lose(&mut self) {
        if self.synced < self.written {
            if self.lost.len() == LOST_MAX {
                self.lost.remove(0);
            }
            self.lost.push(self.synced + 1..=self.written);
            self.synced = self.written;
        }
    }
}

impl Ticket {
    /// Waits until the record is safe from a power cut. Whoever comes first syncs for all that were
    /// written until then.
    pub(in crate::store) fn wait(&self) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        loop {
            if state.lost.iter().any(|lost| lost.contains(&self.number)) {
                return Err(io::Error::other("the segment could not be synced"));
            }
            if state.synced >= self.number {
                return Ok(());
            }
            if state.is_syncing {
                self.shared.changed.wait(&mut state);
            } else {
                self.shared.sync(&mut state);
            }
        }
    }
}

impl Shared {
    /// Syncs what was written, if anything was. The state is not held meanwhile.
    fn sync(&self, state: &mut MutexGuard<'_, State>) {
        let Some(file) = state.dirty.take() else { return };
        let written = state.written;
        state.is_syncing = true;
        let synced = MutexGuard::unlocked(state, || file.sync());
        state.is_syncing = false;
        match synced {
            Ok(()) => state.synced = state.synced.max(written),
            Err(error) => {
                // What came meanwhile is in the same segment.
                state.lose();
                state.failure = Some(error);
            }
        }
        self.changed.notify_all();
    }
}

fn run(shared: &Shared, ended: &Receiver<()>, period: Duration) {
    while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
        shared.sync(&mut shared.state.lock());
    }
}
