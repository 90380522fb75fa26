//! What holds for a whole query: where it reads, what it may cost and has cost, what was noted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::lanes::Lanes;
use super::notes::{Level, Notes};
use super::{Answer, Steps};
use crate::env::Clock;
use crate::lang::Source;
use crate::promql::duration::QuerySpan;
use crate::promql::engine::{
    EngineOptions, Phases, QueryError, QueryOptions, QueryStats, RangeQuery,
};
use crate::store::Snapshot;

/// What holds for a whole query, at whatever depth and on whichever lane.
pub(in crate::promql) struct Query<'q> {
    pub(super) snapshot: &'q Snapshot,
    pub(super) engine: &'q EngineOptions,
    pub(super) times: RangeQuery,
    pub(super) lanes: &'q Lanes,
    pub(super) notes: Mutex<Notes>,
    options: &'q QueryOptions,
    clock: &'q dyn Clock,
    deadline: Duration,
    held: AtomicUsize,
    held_peak: AtomicUsize,
    samples_read: AtomicUsize,
    series_read: AtomicUsize,
    /// By [`Phase`], ns.
    phases: [AtomicU64; 4],
}

/// What time is spent on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Select,
    Read,
    Functions,
    Sort,
}

impl<'q> Query<'q> {
    pub(in crate::promql) fn new(
        snapshot: &'q Snapshot,
        engine: &'q EngineOptions,
        options: &'q QueryOptions,
        times: RangeQuery,
        lanes: &'q Lanes,
        clock: &'q dyn Clock,
        deadline: Duration,
    ) -> Query<'q> {
        Query {
            snapshot,
            engine,
            times,
            lanes,
            notes: Mutex::default(),
            options,
            clock,
            deadline,
            held: AtomicUsize::new(0),
            held_peak: AtomicUsize::new(0),
            samples_read: AtomicUsize::new(0),
            series_read: AtomicUsize::new(0),
            phases: Default::default(),
        }
    }

    /// Returns warnings and infos.
    pub(in crate::promql) fn notes(&self) -> (Vec<String>, Vec<String>) {
        let source = self.options.text.as_ref().map(|text| Source { name: "query", text });
        let notes = self.notes.lock();
        (notes.texts(Level::Warning, source), notes.texts(Level::Info, source))
    }

    pub(in crate::promql) fn stats(&self) -> QueryStats {
        QueryStats {
            samples_read: self.samples_read.load(Ordering::Relaxed),
            samples_peak: self.held_peak.load(Ordering::Relaxed),
            series_read: self.series_read.load(Ordering::Relaxed),
            elapsed: Duration::ZERO,
            phases: Phases {
                select: self.spent(Phase::Select),
                read: self.spent(Phase::Read),
                functions: self.spent(Phase::Functions),
                sort: self.spent(Phase::Sort),
            },
        }
    }

    fn spent(&self, phase: Phase) -> Duration {
        Duration::from_nanos(self.phases[phase as usize].load(Ordering::Relaxed))
    }

    /// Does some work of a phase, and times it if that is asked for.
    #[inline]
    pub(super) fn timed<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        if !self.options.times_phases {
            return work();
        }
        let begun = self.clock.elapsed();
        let made = work();
        let took = self.clock.elapsed().saturating_sub(begun).as_nanos();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        self.phases[phase as usize].fetch_add(took, Ordering::Relaxed);
        made
    }

    pub(super) fn lookback_ms(&self) -> i64 {
        self.options.lookback_ms.unwrap_or(self.engine.lookback_ms)
    }

    /// Fails if the query must not go on.
    pub(super) fn check(&self) -> Answer<()> {
        if self.options.cancel.is_canceled() {
            return Err(QueryError::Canceled);
        }
        if self.clock.elapsed() > self.deadline { Err(QueryError::Timeout) } else { Ok(()) }
    }

    /// Returns how many samples are held now.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Counts samples that are held now, until [`Query::release`].
    pub(super) fn hold(&self, samples: usize) -> Answer<()> {
        let held = self.held.fetch_add(samples, Ordering::Relaxed).saturating_add(samples);
        self.held_peak.fetch_max(held, Ordering::Relaxed);
        let limit = self.engine.max_samples;
        if held > limit { Err(QueryError::TooManySamples { limit }) } else { Ok(()) }
    }

    /// Says that samples are no longer held.
    pub(super) fn release(&self, samples: usize) {
        self.held.fetch_sub(samples, Ordering::Relaxed);
    }

    /// Fails if so many steps could never be held, before memory is asked for.
    pub(super) fn check_steps(&self, steps: Steps) -> Answer<()> {
        let limit = self.engine.max_samples;
        if steps.count > limit.max(1_000_000) {
            return Err(QueryError::TooManySamples { limit });
        }
        Ok(())
    }

    pub(super) fn count_read(&self, series: usize, samples: usize) {
        self.samples_read.fetch_add(samples, Ordering::Relaxed);
        self.series_read.fetch_add(series, Ordering::Relaxed);
    }

    /// Returns whether so much was done, for each series over so many steps, that more than one lane
    /// is worth its while.
    pub(super) fn is_large(&self, steps: usize) -> bool {
        /// To find a series costs about as much as to read so many samples.
        const SAMPLES_A_SERIES: usize = 16;
        /// A third of a millisecond.
        const LARGE: usize = 32_768;
        let stats = self.stats();
        let by_series = stats.series_read.saturating_mul(SAMPLES_A_SERIES.saturating_add(steps));
        stats.samples_read.saturating_add(by_series) > LARGE
    }

    pub(super) fn span(&self) -> QuerySpan {
        let range_ms = self.times.end_ms.saturating_sub(self.times.start_ms);
        QuerySpan { step_ms: if range_ms == 0 { 0 } else { self.times.step_ms }, range_ms }
    }
}
