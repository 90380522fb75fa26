use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::env::{Clock, SystemClock};

/// The clock of the data while they are sent, and the machine's afterwards, as if the data had
/// ended just now.
pub(super) struct DemoClock {
    system: SystemClock,
    /// Added to the machine's time, ms.
    offset_ms: AtomicI64,
    /// Where the clock stands; `i64::MIN` once it runs.
    stands_ms: AtomicI64,
}

impl DemoClock {
    pub(super) fn new(now_ms: i64) -> DemoClock {
        DemoClock {
            system: SystemClock::new(),
            offset_ms: AtomicI64::new(0),
            stands_ms: AtomicI64::new(now_ms),
        }
    }

    pub(super) fn set(&self, now_ms: i64) {
        self.stands_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Lets the clock go on from where it stands.
    pub(super) fn run(&self) {
        let offset_ms = self.now_ms() - self.system.now_ms();
        self.offset_ms.store(offset_ms, Ordering::SeqCst);
        self.stands_ms.store(i64::MIN, Ordering::SeqCst);
    }
}

impl Clock for DemoClock {
    fn now_ms(&self) -> i64 {
        match self.stands_ms.load(Ordering::SeqCst) {
            i64::MIN => self.system.now_ms() + self.offset_ms.load(Ordering::SeqCst),
            stands_ms => stands_ms,
        }
    }

    fn elapsed(&self) -> Duration {
        self.system.elapsed()
    }
}
