use std::sync::Arc;

use super::cache::Cache;
use super::forget::Epoch;
use super::types::{Committed, Exemplar, MetricMetadata};
use super::{AppendError, Inner};
use crate::series::{Histogram, Labels, SeriesId};

/// Writes into the store; one per sender or rule group, since it remembers how that one spells its
/// series and in which order it sends them.
pub struct Appender {
    store: Arc<Inner>,
    cache: Cache,
    /// The epoch for which the cache names only living series.
    epoch: u64,
    batch: Batch,
    counted: [u64; 3],
}

/// What a transaction collects, in the order it came.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) samples: Vec<Row>,
    pub(super) histograms: Vec<Arc<Histogram>>,
    pub(super) exemplars: Vec<(SeriesId, Exemplar)>,
    pub(super) metadata: Vec<(String, MetricMetadata)>,
}

/// One sample of a transaction.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) series: SeriesId,
    pub(super) time_ms: i64,
    /// The bits of a float, or the place of the histogram in the batch.
    pub(super) bits: u64,
    pub(super) start_ms: i64,
    pub(super) is_histogram: bool,
}

impl Batch {
    fn clear(&mut self) {
        self.samples.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.metadata.clear();
    }
}

impl Appender {
    pub(super) fn new(store: Arc<Inner>) -> Appender {
        let epoch = store.epochs.current().number;
        let cache = Cache::new();
        Appender { store, cache, epoch, batch: Batch::default(), counted: [0; 3] }
    }

    /// Starts a transaction.
    pub fn begin(&mut self) -> Transaction<'_> {
        let epoch = self.store.epochs.current();
        if epoch.number != self.epoch {
            self.epoch = epoch.number;
            let head = self.store.head.read();
            self.cache.retain(|id| head.get(id).is_some());
        }
        self.cache.begin();
        self.batch.clear();
        Transaction { appender: self, epoch }
    }

    fn count_lookups(&mut self) {
        let lookups = [self.cache.hits_predicted, self.cache.hits_hashed, self.cache.misses];
        self.store.counters.add_lookups(std::array::from_fn(|at| lookups[at] - self.counted[at]));
        self.counted = lookups;
    }
}

/// Samples that are stored together or, when dropped or refused by the disk, not at all. The order
/// of samples is kept.
pub struct Transaction<'a> {
    appender: &'a mut Appender,
    /// Keeps the labels of series that are forgotten meanwhile within reach.
    epoch: Arc<Epoch>,
}

impl Transaction<'_> {
    /// Returns the series that this sender spells as `key`, if it did so before. `key` is the label
    /// section exactly as the sender encodes it: on a hit no label is looked at.
    #[inline]
    pub fn known(&mut self, key: &[u8]) -> Option<SeriesId> {
        self.appender.cache.find(key)
    }

    /// Finds or creates the series with these labels; remembers `key`, which must not be known yet,
    /// as this sender's spelling of it.
    pub fn series(&mut self, key: Option<&[u8]>, labels: &Labels) -> SeriesId {
        let store = &self.appender.store;
        let found = store.head.read().find(labels);
        let id = found.unwrap_or_else(|| store.head.write().find_or_create(labels));
        if let Some(key) = key {
            self.appender.cache.insert(key, id);
        }
        id
    }

    /// Adds a float. `start_ms` is when it began to count, 0 where unset.
    #[inline]
    pub fn sample(&mut self, series: SeriesId, time_ms: i64, value: f64, start_ms: i64) {
        let bits = value.to_bits();
        self.appender.batch.samples.push(Row {
            series,
            time_ms,
            bits,
            start_ms,
            is_histogram: false,
        });
    }

    /// Adds a native histogram, whose validity the caller has checked.
    pub fn histogram(
        &mut self,
        series: SeriesId,
        time_ms: i64,
        histogram: Histogram,
        start_ms: i64,
    ) {
        let batch = &mut self.appender.batch;
        let bits = batch.histograms.len() as u64;
        batch.histograms.push(Arc::new(histogram));
        batch.samples.push(Row { series, time_ms, bits, start_ms, is_histogram: true });
    }

    /// Adds an exemplar. One that is too long or too far ahead of the clock is dropped in silence.
    pub fn exemplar(&mut self, series: SeriesId, exemplar: Exemplar) {
        self.appender.batch.exemplars.push((series, exemplar));
    }

    /// Sets what is known of a metric; the latest wins.
    pub fn metadata(&mut self, metric: &str, metadata: MetricMetadata) {
        self.appender.batch.metadata.push((metric.to_owned(), metadata));
    }

    /// Judges every sample, writes the accepted ones to the log and makes them visible. After an
    /// error nothing was stored, and the same may be sent again; after `Ok` the refused ones will
    /// never be taken.
    pub fn commit(self) -> Result<Committed, AppendError> {
        let committed = self.appender.store.commit(&mut self.appender.batch);
        self.appender.count_lookups();
        drop(self.epoch);
        committed
    }
}
