use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::RwLockReadGuard;

use super::forget::Epoch;
use super::head::{NO_GENERATION, Slot, join, split};
use super::spellings::{self, Found, Speller, Spelling, Spellings};
use super::types::{Committed, Exemplar, MetricMetadata};
use super::{AppendError, Inner};
use crate::series::{Histogram, Labels, SeriesId};

/// So many series are found or created under one hold of the head.
const CREATED_AT_ONCE: usize = 64;

/// Writes into the store; one per sender or rule group, which lends its buffers from transaction to
/// transaction.
pub struct Appender {
    store: Arc<Inner>,
    batch: Batch,
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
        Appender { store, batch: Batch::default() }
    }

    /// Starts a transaction.
    pub fn begin(&mut self) -> Transaction<'_> {
        self.batch.clear();
        Transaction {
            epoch: self.store.epochs.current(),
            store: &self.store,
            batch: &mut self.batch,
            spellings: None,
            last: spellings::START,
            new: HashMap::new(),
            asked: Vec::new(),
            before_new: spellings::START,
            lookups: [0; 3],
        }
    }
}

/// Samples that are stored together or, when dropped or refused by the disk, not at all. The order
/// of samples is kept.
pub struct Transaction<'a> {
    store: &'a Inner,
    batch: &'a mut Batch,
    /// Keeps the labels of series that are forgotten meanwhile within reach.
    epoch: Arc<Epoch>,
    /// What was known when it was looked at first. Given back before any other lock is waited for.
    spellings: Option<RwLockReadGuard<'a, Spellings>>,
    /// The entry of the series that was found last.
    last: u32,
    /// Spellings that were not known.
    new: HashMap<Spelling, SeriesId>,
    /// The series asked for by their labels, as numbered by ids of no generation.
    asked: Vec<(Option<Spelling>, Labels)>,
    /// The entry of the series that came before the first new spelling.
    before_new: u32,
    /// Series found by prediction, by their hash, and not at all.
    lookups: [u64; 3],
}

impl<'a> Transaction<'a> {
    /// Returns what makes the spellings of series.
    pub fn speller(&self) -> &'a Speller {
        &self.store.speller
    }

    /// Returns the series that is expected next and the length of its spelling, where a message
    /// begins with that: where the spelling ends need not be known.
    #[inline]
    pub fn expected(&mut self, message: &[u8]) -> Option<(SeriesId, usize)> {
        let store = self.store;
        let spellings = self.spellings.get_or_insert_with(|| store.spellings.read());
        let (at, id, len) = spellings.expected(&store.speller, message, self.last)?;
        self.last = at;
        self.lookups[0] += 1;
        Some((id, len))
    }

    /// Returns the series that some sender has spelled like this before: on a hit no label is
    /// looked at.
    #[inline]
    pub fn known(&mut self, spelling: Spelling) -> Option<SeriesId> {
        let spellings = self.spellings.get_or_insert_with(|| self.store.spellings.read());
        match spellings.find(spelling, self.last) {
            Found::Predicted(at, id) => {
                self.last = at;
                self.lookups[0] += 1;
                Some(id)
            }
            Found::Hashed(at, id) => {
                self.last = at;
                self.lookups[1] += 1;
                Some(id)
            }
            Found::Not => {
                self.lookups[2] += 1;
                self.new.get(&spelling).copied()
            }
        }
    }

    /// Asks for the series with these labels, which the commit finds or creates; until then the id
    /// means something to this transaction alone. Remembers `spelling`, which must not be known yet,
    /// for it.
    pub fn series(&mut self, spelling: Option<Spelling>, labels: &Labels) -> SeriesId {
        let id = join(self.asked.len() as Slot, NO_GENERATION);
        self.asked.push((spelling, labels.clone()));
        if let Some(spelling) = spelling {
            if self.new.is_empty() {
                self.before_new = self.last;
            }
            self.new.insert(spelling, id);
        }
        id
    }

    /// Returns the labels of a series, unless it was forgotten.
    pub fn labels(&mut self, series: SeriesId) -> Option<Labels> {
        if let (asked, NO_GENERATION) = split(series) {
            return self.asked.get(asked as usize).map(|(_, labels)| labels.clone());
        }
        self.spellings = None;
        self.store.head.read().labels(series)
    }

    /// Adds a float. `start_ms` is when it began to count, 0 where unset.
    #[inline]
    pub fn sample(&mut self, series: SeriesId, time_ms: i64, value: f64, start_ms: i64) {
        let bits = value.to_bits();
        self.batch.samples.push(Row { series, time_ms, bits, start_ms, is_histogram: false });
    }

    /// Adds a native histogram, whose validity the caller has checked.
    pub fn histogram(
        &mut self,
        series: SeriesId,
        time_ms: i64,
        histogram: Histogram,
        start_ms: i64,
    ) {
        let batch = &mut *self.batch;
        let bits = batch.histograms.len() as u64;
        batch.histograms.push(Arc::new(histogram));
        batch.samples.push(Row { series, time_ms, bits, start_ms, is_histogram: true });
    }

    /// Adds an exemplar. One that is too long or too far ahead of the clock is dropped in silence.
    pub fn exemplar(&mut self, series: SeriesId, exemplar: Exemplar) {
        self.batch.exemplars.push((series, exemplar));
    }

    /// Sets what is known of a metric; the latest wins.
    pub fn metadata(&mut self, metric: &str, metadata: MetricMetadata) {
        self.batch.metadata.push((metric.to_owned(), metadata));
    }

    /// Judges every sample, writes the accepted ones to the log and makes them visible; with
    /// [`WalSync::Ack`](super::WalSync::Ack) it then waits until they are synced. After an error the
    /// same may be sent again, and nothing of it was stored but after [`AppendError::Sync`]; after
    /// `Ok` the refused ones will never be taken.
    pub fn commit(mut self) -> Result<Committed, AppendError> {
        self.spellings = None;
        let ids = self.create();
        let committed = self.store.commit(self.batch);
        self.remember(&ids);
        self.store.counters.add_lookups(self.lookups);
        drop(self.epoch);
        committed
    }

    /// Finds or creates the series asked for, and puts their ids in the place of those of here.
    fn create(&mut self) -> Vec<SeriesId> {
        let mut ids = Vec::with_capacity(self.asked.len());
        for asked in self.asked.chunks(CREATED_AT_ONCE) {
            let mut head = self.store.head.write();
            ids.extend(asked.iter().map(|(_, labels)| head.find_or_create(labels)));
        }
        if !ids.is_empty() {
            let samples = self.batch.samples.iter_mut().map(|row| &mut row.series);
            let exemplars = self.batch.exemplars.iter_mut().map(|(series, _)| series);
            for series in samples.chain(exemplars) {
                if let (asked, NO_GENERATION) = split(*series)
                    && let Some(id) = ids.get(asked as usize)
                {
                    *series = *id;
                }
            }
        }
        ids
    }

    /// Makes the new spellings known to all, in the order they came in: what is side by side in a
    /// request is so in memory.
    fn remember(&self, ids: &[SeriesId]) {
        if self.new.is_empty() {
            return;
        }
        let head = self.store.head.read();
        let mut spellings = self.store.spellings.write();
        let mut last = self.before_new;
        for ((spelling, _), id) in self.asked.iter().zip(ids) {
            // One that was forgotten meanwhile has got another id.
            if let Some(spelling) = spelling
                && head.contains(*id)
            {
                last = spellings.insert(*spelling, *id, last);
            }
        }
    }
}
