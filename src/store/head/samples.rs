//! What a series of the head holds: open samples, chunks, and what only few series have.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Head;
use super::columns::Part;
use super::stream::{NONE, Stream};
use crate::series::{Histogram, HistogramPoint, Points, SeriesId, TimeRange};
use crate::store::chunk::{self, Chunk, Effort, Encoder};
use crate::store::log::Run;
use crate::store::merge::{append_within, copy_range, merge_into, range_of, remove_ranges, union};
use crate::store::types::Exemplar;

/// How often a column may be full before its series are sealed while the log is replayed.
const REPLAYED_COLUMNS_MAX: u32 = 3;

/// So many floats of a run are added before it is asked again whether the column is full.
const RUN_MAX: usize = 64;

/// How many exemplars a series keeps, so that one that has many leaves room to the others.
const EXEMPLARS_MAX: usize = 64;

/// So many open histograms are compressed at once when one more comes; upkeep compresses fewer.
const OPEN_HISTOGRAMS_MAX: usize = 240;

/// The samples of one series.
pub(super) struct Samples {
    pub(super) open: Stream,
    pub(super) part: Part,
    /// The newest sample that was ever here, late ones included.
    pub(super) newest_ms: i64,
    pub(super) more: Option<Box<More>>,
}

/// What a series has besides open floats.
#[derive(Default)]
pub(super) struct More {
    /// Samples that came in order, before the open ones.
    chunks: Vec<Chunk>,
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
pub(super) struct Rare {
    /// Start timestamps of the open floats; empty when none has one.
    pub(super) starts_ms: Vec<i64>,
    /// Open histograms.
    pub(super) histograms: Vec<HistogramPoint>,
    /// Samples that came late, sorted by time; none has the time of an ordered one.
    pub(super) late: Points,
    /// In time order, at most [`EXEMPLARS_MAX`].
    exemplars: VecDeque<Exemplar>,
}

impl Rare {
    fn is_empty(&self) -> bool {
        self.starts_ms.is_empty()
            && self.histograms.is_empty()
            && self.late.is_empty()
            && self.exemplars.is_empty()
    }
}

/// A sample as stored.
#[derive(Clone, Debug)]
pub(in crate::store) enum Stored {
    Float(u64),
    Histogram(Arc<Histogram>),
}

impl Stored {
    pub(in crate::store) fn bits_equal(&self, other: &Stored) -> bool {
        match (self, other) {
            (Stored::Float(a), Stored::Float(b)) => a == b,
            (Stored::Histogram(a), Stored::Histogram(b)) => a.bits_equal(b),
            _ => false,
        }
    }
}

impl Samples {
    pub(super) const EMPTY: Samples =
        Samples { open: Stream::EMPTY, part: Part::NONE, newest_ms: i64::MIN, more: None };

    pub(super) fn rare(&self) -> Option<&Rare> {
        self.more.as_ref()?.rare.as_deref()
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.more.get_or_insert_default().rare.get_or_insert_default()
    }

    fn rare_if_any(&mut self) -> Option<&mut Rare> {
        self.more.as_mut()?.rare.as_deref_mut()
    }

    pub(super) fn chunks(&self) -> &[Chunk] {
        self.more.as_ref().map_or(&[], |more| &more.chunks)
    }

    #[inline]
    pub(super) fn open_count(&self) -> u16 {
        self.open.count
    }

    #[inline]
    pub(super) fn open_stream(&self) -> &Stream {
        &self.open
    }

    pub(super) fn sample_count(&self) -> u64 {
        let chunks: u64 = self.chunks().iter().map(|chunk| u64::from(chunk.times.count)).sum();
        let rare = self.rare().map_or(0, |rare| rare.late.len() + rare.histograms.len());
        chunks + u64::from(self.open.count) + rare as u64
    }

    pub(super) fn chunk_count(&self) -> u64 {
        self.chunks().len() as u64 + u64::from(self.open.count > 0)
    }

    pub(super) fn exemplars(&self) -> impl DoubleEndedIterator<Item = &Exemplar> {
        self.rare().into_iter().flat_map(|rare| rare.exemplars.iter())
    }

    pub(super) fn push_exemplar(&mut self, exemplar: Exemplar) {
        let exemplars = &mut self.rare_mut().exemplars;
        if exemplars.len() == EXEMPLARS_MAX {
            exemplars.pop_front();
        }
        exemplars.push_back(exemplar);
    }

    /// Drops the oldest exemplar unless it is newer than this.
    pub(super) fn drop_exemplar(&mut self, time_ms: i64) {
        if let Some(rare) = self.rare_if_any()
            && rare.exemplars.front().is_some_and(|oldest| oldest.time_ms <= time_ms)
        {
            rare.exemplars.pop_front();
            self.tidy();
        }
    }

    pub(super) fn push_chunk(&mut self, chunk: Chunk) {
        let chunks = &mut self.more.get_or_insert_default().chunks;
        // A series has few, and there are many series.
        chunks.reserve_exact(1);
        chunks.push(chunk);
    }

    /// Frees what is held on to for nothing.
    fn tidy(&mut self) {
        let Some(more) = &mut self.more else { return };
        if more.rare.as_ref().is_some_and(|rare| rare.is_empty()) {
            more.rare = None;
        }
        if more.chunks.is_empty() && more.rare.is_none() {
            self.more = None;
        }
    }
}

impl Head {
    /// Adds a float that is newer than all floats of its series before.
    #[inline]
    pub(in crate::store) fn push_float(
        &mut self,
        id: SeriesId,
        time_ms: i64,
        bits: u64,
        start_ms: i64,
    ) {
        let Some(at) = self.place_of(id) else { return };
        self.show(at);
        let samples = &self.cells[at].samples;
        // While the log is replayed sealing waits, if it can, for the next sample after that.
        let times = if self.restoring.is_some() { REPLAYED_COLUMNS_MAX } else { 1 };
        if self.columns.is_full(samples.part, u32::from(samples.open.count), times) {
            self.seal(at);
        }
        let samples = &mut self.cells[at].samples;
        samples.part = if samples.open.count == 0 {
            self.columns.begin(time_ms)
        } else {
            self.columns.push(samples.part, u32::from(samples.open.count), time_ms)
        };
        self.streams.push(&mut samples.open, bits);
        samples.newest_ms = samples.newest_ms.max(time_ms);
        if start_ms != 0 || self.cells[at].has_starts {
            self.cells[at].has_starts = true;
            let samples = &mut self.cells[at].samples;
            let count = usize::from(samples.open.count);
            let starts_ms = &mut samples.rare_mut().starts_ms;
            starts_ms.resize(count, 0);
            starts_ms[count - 1] = start_ms;
        }
    }

    /// As [`Head::push_float`] for floats of one series, each newer than the one before.
    pub(in crate::store) fn push_floats(&mut self, id: SeriesId, run: Run<'_>) {
        let Some(at) = self.place_of(id) else { return };
        if self.cells[at].has_starts || !run.starts_ms.is_empty() {
            for (number, time_ms) in run.times_ms.iter().enumerate() {
                let start_ms = run.starts_ms.get(number).copied().unwrap_or(0);
                self.push_float(id, *time_ms, run.bits[number], start_ms);
            }
            return;
        }
        self.show(at);
        let parts = run.times_ms.chunks(RUN_MAX).zip(run.bits.chunks(RUN_MAX));
        for (times_ms, bits) in parts {
            let samples = &self.cells[at].samples;
            let count = u32::from(samples.open.count);
            if self.columns.is_full(samples.part, count, REPLAYED_COLUMNS_MAX) {
                self.seal(at);
            }
            let samples = &mut self.cells[at].samples;
            samples.part = if samples.open.count == 0 {
                self.columns.begin_run(times_ms)
            } else {
                self.columns.push_run(samples.part, count, times_ms)
            };
            for bits in bits {
                self.streams.push(&mut samples.open, *bits);
            }
            samples.newest_ms = samples.newest_ms.max(times_ms[times_ms.len() - 1]);
        }
    }

    /// Makes a chunk of the open floats.
    #[inline(never)]
    fn seal(&mut self, at: usize) {
        let samples = &mut self.cells[at].samples;
        let count = u32::from(samples.open.count);
        if count == 0 {
            return;
        }
        let times = self.columns.encoded(samples.part, count);
        let values = &mut self.values;
        values.clear();
        self.streams.read(samples.open.first, count, values);
        let starts_ms = samples.rare().map_or(&[][..], |rare| &rare.starts_ms);
        let chunk = Chunk::of_floats(times, values, starts_ms, Effort::Seal);
        samples.push_chunk(chunk);
        self.clear_open(at);
    }

    fn open_range(&self, at: usize) -> Option<TimeRange> {
        let samples = &self.cells[at].samples;
        if samples.open.count == 0 {
            return None;
        }
        let first_ms = self.columns.first_ms(samples.part)?;
        // The newest sample of all may be a late one or a histogram, which does no harm here.
        Some(TimeRange::new(first_ms, samples.newest_ms.max(first_ms)))
    }

    /// Adds a histogram that is newer than all of its series before.
    pub(in crate::store) fn push_histogram(&mut self, id: SeriesId, point: HistogramPoint) {
        let Some(at) = self.place_of(id) else { return };
        self.show(at);
        let samples = &mut self.cells[at].samples;
        samples.newest_ms = samples.newest_ms.max(point.time_ms);
        let rare = samples.rare_mut();
        rare.histograms.push(point);
        if rare.histograms.len() >= OPEN_HISTOGRAMS_MAX {
            self.seal_histograms(id, 1);
        }
    }

    /// Compresses the open histograms of a series when there are at least `count_min` of them.
    pub(in crate::store) fn seal_histograms(&mut self, id: SeriesId, count_min: usize) {
        let Some(at) = self.place_of(id) else { return };
        let Some(more) = &mut self.cells[at].samples.more else { return };
        let Some(rare) = more.rare.as_mut().filter(|rare| rare.histograms.len() >= count_min)
        else {
            return;
        };
        let histograms = std::mem::take(&mut rare.histograms);
        let points = Points { histograms, ..Points::default() };
        let chunks = Encoder::new(Effort::Seal, usize::MAX).encode(&points);
        more.chunks.extend(chunks);
    }

    /// Adds a sample that came late.
    pub(in crate::store) fn insert_late(
        &mut self,
        id: SeriesId,
        time_ms: i64,
        sample: Stored,
        start_ms: i64,
    ) {
        let Some(at) = self.place_of(id) else { return };
        self.show(at);
        let samples = &mut self.cells[at].samples;
        samples.newest_ms = samples.newest_ms.max(time_ms);
        let mut one = Points::default();
        match sample {
            Stored::Float(bits) => one.push(time_ms, f64::from_bits(bits), start_ms),
            Stored::Histogram(histogram) => {
                one.histograms.push(HistogramPoint { time_ms, start_ms, histogram });
            }
        }
        merge_into(&mut samples.rare_mut().late, &one);
    }

    /// Returns the time and the bits of the newest open float of a series.
    pub(in crate::store) fn open_end(&self, id: SeriesId) -> Option<(i64, u64)> {
        let Samples { open, part, .. } = &self.cells[self.place_of(id)?].samples;
        let last = u32::from(open.count).checked_sub(1)?;
        Some((self.columns.time_at(*part, last)?, open.last_bits))
    }

    /// Returns the time and the bits of the newest sample of a series, where that is an open float.
    #[inline]
    pub(in crate::store) fn newest_float(&self, id: SeriesId) -> Option<(i64, u64)> {
        let newest = self.open_end(id)?;
        (newest.0 == self.cells[self.place_of(id)?].samples.newest_ms).then_some(newest)
    }

    /// Returns the sample at a time, late or not.
    pub(in crate::store) fn sample_at(&self, id: SeriesId, time_ms: i64) -> Option<Stored> {
        let mut found = Points::default();
        self.read(id, TimeRange::new(time_ms, time_ms), &mut found);
        match (found.values.first(), found.histograms.pop()) {
            (Some(value), _) => Some(Stored::Float(value.to_bits())),
            (None, Some(point)) => Some(Stored::Histogram(point.histogram)),
            (None, None) => None,
        }
    }

    /// Returns a range that all samples of a series are in, exact at its start; `None` without
    /// samples.
    pub(in crate::store) fn range(&self, id: SeriesId) -> Option<TimeRange> {
        let at = self.place_of(id)?;
        let samples = &self.cells[at].samples;
        let mut range = self.open_range(at);
        for chunk in samples.chunks() {
            range = union(range, Some(chunk.times.range));
        }
        if let Some(rare) = samples.rare() {
            let times_ms = rare.histograms.first().zip(rare.histograms.last());
            let held = times_ms.map(|(first, last)| TimeRange::new(first.time_ms, last.time_ms));
            range = union(union(range, held), range_of(&rare.late));
        }
        range
    }

    /// Merges the samples of a series within `range` into `into`; what is there already stays.
    pub(in crate::store) fn read(&self, id: SeriesId, range: TimeRange, into: &mut Points) {
        let Some(at) = self.place_of(id) else { return };
        let samples = &self.cells[at].samples;
        for chunk in samples.chunks().iter().filter(|chunk| chunk.times.range.overlaps(range)) {
            append_within(into, range, chunk.times.range.start_ms, |into| read_chunk(chunk, into));
        }
        if let Some(open) = self.open_range(at).filter(|open| open.overlaps(range)) {
            append_within(into, range, open.start_ms, |into| self.read_open(at, into));
        }
        let Some(rare) = samples.rare() else { return };
        let mut part = Points::default();
        let in_range = |point: &&HistogramPoint| range.contains(point.time_ms);
        part.histograms.extend(rare.histograms.iter().filter(in_range).cloned());
        merge_into(into, &part);
        if !rare.late.is_empty() {
            part.clear();
            copy_range(&rare.late, range, &mut part);
            merge_into(into, &part);
        }
    }

    /// Appends the open floats of a series.
    fn read_open(&self, at: usize, into: &mut Points) {
        let samples = &self.cells[at].samples;
        let (before, count) = (into.times_ms.len(), u32::from(samples.open.count));
        self.columns.read(samples.part, count, &mut into.times_ms);
        self.streams.read(samples.open.first, count, &mut into.values);
        let starts_ms = samples.rare().map_or(&[][..], |rare| &rare.starts_ms);
        if !starts_ms.is_empty() || !into.starts_ms.is_empty() {
            into.starts_ms.resize(before, 0);
            into.starts_ms.extend_from_slice(starts_ms);
            into.starts_ms.resize(into.times_ms.len(), 0);
        }
    }

    /// Returns the times of the late samples before `end_ms`, floats and histograms.
    pub(in crate::store) fn late_before(&self, id: SeriesId, end_ms: i64) -> [Vec<i64>; 2] {
        let rare = self.place_of(id).and_then(|at| self.cells[at].samples.rare());
        let Some(rare) = rare else { return [Vec::new(), Vec::new()] };
        let histograms = rare.late.histograms.iter().map(|point| point.time_ms);
        [
            rare.late.times_ms.iter().copied().filter(|time| *time < end_ms).collect(),
            histograms.filter(|time| *time < end_ms).collect(),
        ]
    }

    /// Drops what a block has: the samples in order before `end_ms`, and of the late ones those
    /// listed. Late ones that came since stay.
    pub(in crate::store) fn truncate(&mut self, id: SeriesId, end_ms: i64, late: &[Vec<i64>; 2]) {
        let (Some(at), Some(last_ms)) = (self.place_of(id), end_ms.checked_sub(1)) else { return };
        self.remove_ordered(at, TimeRange::new(i64::MIN, last_ms));
        if let Some(rare) = self.cells[at].samples.rare_if_any() {
            let mut kept = Points::default();
            for (at, time_ms) in rare.late.times_ms.iter().enumerate() {
                if late[0].binary_search(time_ms).is_err() {
                    let start_ms = rare.late.starts_ms.get(at).copied().unwrap_or(0);
                    kept.push(*time_ms, rare.late.values[at], start_ms);
                }
            }
            let histograms = rare.late.histograms.drain(..);
            kept.histograms
                .extend(histograms.filter(|point| late[1].binary_search(&point.time_ms).is_err()));
            rare.late = kept;
        }
        self.cells[at].samples.tidy();
    }

    /// Drops the samples of a series before `end_ms`, all of which a block has.
    pub(in crate::store) fn truncate_all(&mut self, id: SeriesId, end_ms: i64) {
        if let Some(last_ms) = end_ms.checked_sub(1) {
            self.delete(id, TimeRange::new(i64::MIN, last_ms));
        }
    }

    /// Deletes the samples of a series within a range.
    pub(in crate::store) fn delete(&mut self, id: SeriesId, range: TimeRange) {
        let Some(at) = self.place_of(id) else { return };
        self.remove_ordered(at, range);
        if let Some(rare) = self.cells[at].samples.rare_if_any() {
            remove_ranges(&mut rare.late, &[range]);
        }
        self.cells[at].samples.tidy();
    }

    /// Removes the samples within a range that came in order.
    fn remove_ordered(&mut self, at: usize, gone: TimeRange) {
        self.remove_from_chunks(at, gone);
        self.remove_from_open(at, gone);
        if let Some(rare) = self.cells[at].samples.rare_if_any() {
            rare.histograms.retain(|point| !gone.contains(point.time_ms));
        }
    }

    fn remove_from_chunks(&mut self, at: usize, gone: TimeRange) {
        let Some(more) = &mut self.cells[at].samples.more else { return };
        if !more.chunks.iter().any(|chunk| chunk.times.range.overlaps(gone)) {
            return;
        }
        let mut kept = Vec::new();
        for chunk in std::mem::take(&mut more.chunks) {
            let held = chunk.times.range;
            if !held.overlaps(gone) {
                kept.push(chunk);
            } else if !(gone.contains(held.start_ms) && gone.contains(held.end_ms)) {
                let mut rest = Points::default();
                read_chunk(&chunk, &mut rest);
                remove_ranges(&mut rest, &[gone]);
                kept.extend(Encoder::new(Effort::Seal, usize::MAX).encode(&rest));
            }
        }
        kept.shrink_to_fit();
        more.chunks = kept;
    }

    fn remove_from_open(&mut self, at: usize, gone: TimeRange) {
        if !self.open_range(at).is_some_and(|open| open.overlaps(gone)) {
            return;
        }
        let mut rest = Points::default();
        self.read_open(at, &mut rest);
        let count = rest.len();
        remove_ranges(&mut rest, &[gone]);
        if rest.len() == count {
            return;
        }
        self.clear_open(at);
        let id = self.id_at(at);
        for (number, time_ms) in rest.times_ms.iter().enumerate() {
            let start_ms = rest.starts_ms.get(number).copied().unwrap_or(0);
            self.push_float(id, *time_ms, rest.values[number].to_bits(), start_ms);
        }
    }

    fn clear_open(&mut self, at: usize) {
        let samples = &mut self.cells[at].samples;
        if samples.open.first != NONE {
            self.streams.free(samples.open.first);
            self.columns.release(samples.part.column);
        }
        (samples.open, samples.part) = (Stream::EMPTY, Part::NONE);
        if std::mem::take(&mut self.cells[at].has_starts)
            && let Some(rare) = self.cells[at].samples.rare_if_any()
        {
            rare.starts_ms = Vec::new();
        }
    }

    /// Frees all that a series holds.
    pub(super) fn clear(&mut self, at: usize) {
        self.clear_open(at);
        self.cells[at].samples.more = None;
    }
}

/// Appends the samples of a chunk. It was decoded when it was sealed, and is only then damaged when a
/// checkpoint had something else under the right checksum.
fn read_chunk(chunk: &Chunk, into: &mut Points) {
    if chunk::decode(chunk.times.count, &chunk.times.bytes, &chunk.body, into).is_none() {
        tracing::error!("A chunk of the head does not decode; its samples are passed over.");
    }
}
