use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use crate::env::DiskFile;
use crate::store::WalSync;

/// Syncs the current segment in the background. Its thread ends when this is dropped.
pub(super) struct Syncer {
    shared: Arc<Mutex<Shared>>,
    _ends_the_thread: Option<Sender<()>>,
}

#[derive(Default)]
struct Shared {
    /// The segment that was written to since the last sync.
    dirty: Option<Arc<dyn DiskFile>>,
    failure: Option<io::Error>,
}

impl Syncer {
    pub(super) fn start(sync: WalSync) -> Syncer {
        let shared = Arc::new(Mutex::new(Shared::default()));
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

    /// Says that a segment was written to.
    pub(super) fn note(&self, file: &Arc<dyn DiskFile>) {
        let mut shared = self.shared.lock();
        if shared.dirty.is_none() {
            shared.dirty = Some(Arc::clone(file));
        }
    }

    /// Says that the segment written to is synced, or given up.
    pub(super) fn forget(&self) {
        let mut shared = self.shared.lock();
        shared.dirty = None;
        shared.failure = None;
    }

    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.shared.lock().failure.take()
    }
}

fn run(shared: &Mutex<Shared>, ended: &Receiver<()>, period: Duration) {
    while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
        let dirty = shared.lock().dirty.take();
        let Some(file) = dirty else { continue };
        if let Err(error) = file.sync() {
            shared.lock().failure = Some(error);
        }
    }
}
