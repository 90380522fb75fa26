use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

/// Upper bounds of the duration buckets, in seconds; upstream's, so that its dashboards work.
pub(super) const BUCKETS_SECONDS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];

/// What the server counts of its requests.
#[derive(Debug, Default)]
pub struct HttpCounters {
    counts: Mutex<Counts>,
}

/// A copy of the counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Requests by handler and status.
    pub(super) requests: BTreeMap<(&'static str, u16), u64>,
    /// Durations by handler.
    pub(super) durations: BTreeMap<&'static str, Durations>,
    /// Durations of PromQL queries.
    pub(super) queries: Durations,
    /// PromQL queries being evaluated.
    pub(super) queries_running: u64,
}

/// A histogram.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    /// How many were within each bound, and not within the one before.
    pub(super) buckets: [u64; BUCKETS_SECONDS.len()],
    pub(super) count: u64,
    pub(super) sum_seconds: f64,
}

impl HttpCounters {
    pub(super) fn count(&self, handler: &'static str, status: u16, taken: Duration) {
        let mut counts = self.counts.lock();
        *counts.requests.entry((handler, status)).or_default() += 1;
        counts.durations.entry(handler).or_default().add(taken);
    }

    pub(super) fn query_begins(&self) {
        self.counts.lock().queries_running += 1;
    }

    pub(super) fn query_ends(&self, taken: Duration) {
        let mut counts = self.counts.lock();
        counts.queries_running -= 1;
        counts.queries.add(taken);
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts.lock().clone()
    }
}

impl Durations {
    fn add(&mut self, taken: Duration) {
        let seconds = taken.as_secs_f64();
        if let Some(bucket) = BUCKETS_SECONDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }
}
