use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Tells the time. Every room that asks "when" takes one, so that replay and tests can be any time.
pub trait Clock: Send + Sync {
    /// Returns the wall clock, ms since the epoch. It may jump, also back.
    fn now_ms(&self) -> i64;

    /// Returns the time since some fixed instant; never goes back. For durations.
    fn elapsed(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    /// Returns the machine's clocks, with the present as origin of [`Clock::elapsed`].
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that the others take")]
    pub fn new() -> SystemClock {
        SystemClock { origin: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that the others take")]
    fn now_ms(&self) -> i64 {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
    origin_ms: i64,
}

impl ManualClock {
    /// Returns a clock that stands at `now_ms`.
    pub fn new(now_ms: i64) -> ManualClock {
        ManualClock { now_ms: AtomicI64::new(now_ms), origin_ms: now_ms }
    }

    /// Moves the clock, in either direction.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Moves the clock ahead.
    pub fn advance(&self, by_ms: i64) {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis((self.now_ms() - self.origin_ms).max(0).unsigned_abs())
    }
}
