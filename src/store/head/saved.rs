//! Series of the head as bytes and back, for checkpoints. Layout: `FORMAT.md`.
//!
//! What is open goes as it is, bits and all, so that neither way encodes a sample anew.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::columns::{Part, RestoredColumns};
use super::pairs::{PairId, Pairs};
use super::samples::Samples;
use super::{Head, Slot};
use crate::series::{HistogramPoint, Points, SeriesId, TimeRange};
use crate::store::bytes::{Reader, put_signed, put_u64, put_varint};
use crate::store::chunk::{Chunk, Times};
use crate::store::log::{get_histogram, put_histogram};

const SEEN: u8 = 1;
const OPEN: u8 = 2;
const STARTS: u8 = 4;
const CHUNKS: u8 = 8;
const LATE: u8 = 16;
const HISTOGRAMS: u8 = 32;

/// Saves series, a few at a time.
#[derive(Default)]
pub(in crate::store) struct Saver {
    /// The label pairs of the present series; each stands at its place.
    pub(in crate::store) pairs: Vec<PairId>,
    /// The place that each pair has, and one more; 0 where it has none.
    places: Vec<u32>,
    /// The present series.
    pub(in crate::store) series: Vec<SeriesId>,
    /// How many samples they have.
    pub(in crate::store) samples: u64,
    /// The newest of these; `i64::MIN` without.
    pub(in crate::store) newest_ms: i64,
    /// What [`Head::restore`] takes.
    pub(in crate::store) bytes: Vec<u8>,
    labels: Vec<u8>,
    rows: Vec<u8>,
    columns: Shared<u32>,
    /// By their addresses.
    times: Shared<usize>,
    before: Vec<u32>,
    blocks: Vec<u32>,
}

/// Things that several series name, by their places in the present bytes.
struct Shared<K> {
    places: HashMap<K, u32>,
    bytes: Vec<u8>,
}

impl<K> Default for Shared<K> {
    fn default() -> Shared<K> {
        Shared { places: HashMap::new(), bytes: Vec::new() }
    }
}

impl<K: std::hash::Hash + Eq> Shared<K> {
    fn clear(&mut self) {
        self.places.clear();
        self.bytes.clear();
    }

    /// Returns the place of a thing, which is put the first time.
    fn place(&mut self, key: K, put: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let next = self.places.len() as u32;
        let bytes = &mut self.bytes;
        let place = *self.places.entry(key).or_insert_with(|| {
            put(bytes);
            next
        });
        u64::from(place)
    }
}

impl Saver {
    /// Begins with the series in some slots.
    pub(in crate::store) fn save(&mut self, head: &Head, slots: Range<Slot>) {
        self.pairs.drain(..).for_each(|pair| self.places[pair as usize] = 0);
        self.series.clear();
        (self.samples, self.newest_ms) = (0, i64::MIN);
        self.labels.clear();
        self.rows.clear();
        self.columns.clear();
        self.times.clear();
        self.before.clear();
        self.warm(head, slots.clone());
        for slot in slots {
            if let Some(id) = head.in_slot(slot) {
                self.series.push(id);
                self.save_one(head, slot as usize);
            }
        }
        self.bytes.clear();
        put_varint(&mut self.bytes, self.columns.places.len() as u64);
        self.bytes.extend_from_slice(&self.columns.bytes);
        put_varint(&mut self.bytes, self.times.places.len() as u64);
        self.bytes.extend_from_slice(&self.times.bytes);
        self.bytes.extend_from_slice(&self.labels);
        self.bytes.extend_from_slice(&self.rows);
    }

    /// Brings what some series hold near the processor, step by step for all of them: the misses of
    /// a step overlap, where those of one series after the other would add up.
    fn warm(&mut self, head: &Head, slots: Range<Slot>) {
        let cells = &head.cells[slots.start as usize..slots.end as usize];
        let open = cells.iter().filter(|cell| cell.samples.open.count > 0);
        self.blocks.clear();
        self.blocks.extend(open.map(|cell| cell.samples.open.first));
        while head.streams.step(&mut self.blocks) {}
        let chunks = || cells.iter().map(|cell| cell.samples.chunks());
        let mut seen = chunks().map(<[Chunk]>::len).fold(0, usize::wrapping_add);
        for chunks in chunks() {
            seen ^= chunks.last().map_or(0, |chunk| chunk.body.len());
        }
        for chunk in chunks().flatten() {
            seen ^= usize::from(chunk.body.first().copied().unwrap_or(0));
        }
        std::hint::black_box(seen);
    }

    fn save_one(&mut self, head: &Head, at: usize) {
        let cell = &head.cells[at];
        let pairs = head.sets.get(cell.set);
        put_varint(&mut self.labels, pairs.len() as u64);
        self.before.resize(pairs.len().max(self.before.len()), 0);
        for (number, pair) in pairs.iter().enumerate() {
            let place = self.place_of(*pair);
            let before = std::mem::replace(&mut self.before[number], place);
            put_signed(&mut self.labels, i64::from(place) - i64::from(before));
        }
        let samples = &cell.samples;
        self.samples += samples.sample_count();
        self.newest_ms = self.newest_ms.max(samples.newest_ms);
        let rare = samples.rare();
        let has = |flag, is: bool| if is { flag } else { 0 };
        let late = rare
            .map(|rare| &rare.late)
            .filter(|late| !late.times_ms.is_empty() || !late.histograms.is_empty());
        let histograms = rare.map_or(&[][..], |rare| &rare.histograms);
        let rows = &mut self.rows;
        rows.push(
            has(SEEN, cell.is_seen)
                | has(OPEN, samples.open.count > 0)
                | has(STARTS, cell.has_starts)
                | has(CHUNKS, !samples.chunks().is_empty())
                | has(LATE, late.is_some())
                | has(HISTOGRAMS, !histograms.is_empty()),
        );
        if samples.open.count > 0 {
            let Part { column, start } = samples.part;
            let place = self.columns.place(column, |into| head.columns.save(column, into));
            put_varint(rows, place);
            put_varint(rows, u64::from(start));
            head.streams.save(&samples.open, rows);
        }
        if cell.has_starts {
            let starts_ms = rare.map_or(&[][..], |rare| &rare.starts_ms);
            for start_ms in starts_ms {
                put_signed(rows, *start_ms);
            }
        }
        if !samples.chunks().is_empty() {
            put_varint(rows, samples.chunks().len() as u64);
        }
        for Chunk { times, body } in samples.chunks() {
            let place = self.times.place(Arc::as_ptr(times).addr(), |into| put_times(into, times));
            put_varint(rows, place);
            put_varint(rows, body.len() as u64);
            rows.extend_from_slice(body);
        }
        if let Some(late) = late {
            put_floats(rows, late);
            put_histograms(rows, &late.histograms);
        }
        if !histograms.is_empty() {
            put_histograms(rows, histograms);
        }
    }

    fn place_of(&mut self, pair: PairId) -> u32 {
        let at = pair as usize;
        if at >= self.places.len() {
            self.places.resize(at + 1, 0);
        }
        if self.places[at] == 0 {
            self.pairs.push(pair);
            self.places[at] = self.pairs.len() as u32;
        }
        self.places[at] - 1
    }
}

fn put_times(into: &mut Vec<u8>, times: &Times) {
    let Times { range, count, bytes } = times;
    put_signed(into, range.start_ms);
    put_signed(into, range.end_ms);
    put_varint(into, u64::from(*count));
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn put_floats(into: &mut Vec<u8>, points: &Points) {
    put_varint(into, points.times_ms.len() as u64);
    for (at, (time_ms, value)) in points.times_ms.iter().zip(&points.values).enumerate() {
        put_signed(into, *time_ms);
        put_signed(into, points.starts_ms.get(at).copied().unwrap_or(0));
        put_u64(into, value.to_bits());
    }
}

fn put_histograms(into: &mut Vec<u8>, points: &[HistogramPoint]) {
    put_varint(into, points.len() as u64);
    for HistogramPoint { time_ms, start_ms, histogram } in points {
        put_signed(into, *time_ms);
        put_signed(into, *start_ms);
        put_histogram(into, histogram);
    }
}

/// What restoring needs besides the head.
#[derive(Default)]
pub(super) struct Restorer {
    columns: RestoredColumns,
    times: HashSet<Arc<Times>>,
    /// The columns and the times that the present bytes have named.
    present: (Vec<u32>, Vec<Arc<Times>>),
    before: Vec<u32>,
    /// The label pairs of the present series, one after the other, and where those of each end.
    ids: Vec<PairId>,
    ends: Vec<usize>,
    /// The numbers of the label names of the last series whose names are known to be in order.
    sorted: Vec<u32>,
}

impl Head {
    /// Takes over `count` series that were saved, whose label pairs are `pairs`. Returns the id of each
    /// series, in order, `None` for one that makes no sense; fewer when the rest of the bytes does not.
    pub(in crate::store) fn restore(
        &mut self,
        bytes: &[u8],
        count: usize,
        pairs: &[PairId],
    ) -> Vec<Option<SeriesId>> {
        let mut restored = Vec::new();
        let mut restorer = self.restoring.take().unwrap_or_default();
        // Another thread has read them, so they are near another processor; brought here all at once.
        let seen = bytes.iter().step_by(64).fold(0, |seen, byte| seen ^ byte);
        std::hint::black_box(seen);
        let mut reader = Reader::new(bytes);
        if restorer.begin(self, &mut reader).is_some()
            && restorer.read_labels(&mut reader, count, pairs).is_some()
        {
            self.warm_table(restorer.sets());
            let one = |number| self.restore_one(&mut restorer, number, &mut reader);
            restored.extend((0..count).map_while(one));
        }
        self.restoring = Some(restorer);
        restored
    }

    /// Returns `None` where the bytes cannot be read, and no id where they can, but make no sense.
    #[expect(clippy::option_option, reason = "the two mean different things")]
    fn restore_one(
        &mut self,
        restorer: &mut Restorer,
        number: usize,
        reader: &mut Reader<'_>,
    ) -> Option<Option<SeriesId>> {
        let flags = reader.u8()?;
        let mut samples = Samples::EMPTY;
        if flags & OPEN != 0 {
            let column = *restorer.present.0.get(usize::try_from(reader.varint()?).ok()?)?;
            let part = Part { column, start: u32::try_from(reader.varint()?).ok()? };
            samples.open = self.streams.restore(reader)?;
            samples.part = part;
        }
        let rest = self.restore_rest(restorer, reader, flags, &mut samples);
        if rest.is_none() {
            self.streams.free(samples.open.first);
            return None;
        }
        let known = restorer.are_sorted(number, &self.pairs);
        let known = known.then(|| self.find_or_create_set(restorer.set(number)));
        let place = known.and_then(|id| self.place_of(id));
        let Some(at) = place.filter(|at| self.cells[*at].samples.is_empty()) else {
            self.streams.free(samples.open.first);
            return Some(None);
        };
        if samples.open.count > 0 {
            self.columns.join(samples.part, u32::from(samples.open.count));
        }
        let cell = &mut self.cells[at];
        cell.has_starts = flags & STARTS != 0;
        cell.samples = samples;
        // The index comes at the end, for all at once.
        cell.is_seen |= flags & SEEN != 0;
        Some(known)
    }

    fn restore_rest(
        &self,
        restorer: &Restorer,
        reader: &mut Reader<'_>,
        flags: u8,
        samples: &mut Samples,
    ) -> Option<()> {
        if let Some(last) = samples.open.count.checked_sub(1) {
            samples.newest_ms = self.columns.time_at(samples.part, u32::from(last))?;
        }
        if flags & STARTS != 0 {
            let mut starts_ms = Vec::new();
            for _ in 0..samples.open.count {
                starts_ms.push(reader.signed()?);
            }
            samples.rare_mut().starts_ms = starts_ms;
        }
        if flags & CHUNKS != 0 {
            for _ in 0..reader.count(2)? {
                let times = restorer.present.1.get(usize::try_from(reader.varint()?).ok()?)?;
                let len = reader.count(1)?;
                let body = reader.take(len)?.into();
                samples.newest_ms = samples.newest_ms.max(times.range.end_ms);
                samples.push_chunk(Chunk { times: Arc::clone(times), body });
            }
        }
        let mut newest_ms = samples.newest_ms;
        if flags & LATE != 0 {
            let mut late = get_floats(reader)?;
            late.histograms = get_histograms(reader)?;
            newest_ms = newest_ms.max(late.times_ms.last().copied().unwrap_or(i64::MIN));
            let last = late.histograms.last();
            newest_ms = newest_ms.max(last.map_or(i64::MIN, |point| point.time_ms));
            samples.rare_mut().late = late;
        }
        if flags & HISTOGRAMS != 0 {
            let histograms = get_histograms(reader)?;
            let last = histograms.last();
            newest_ms = newest_ms.max(last.map_or(i64::MIN, |point| point.time_ms));
            samples.rare_mut().histograms = histograms;
        }
        samples.newest_ms = newest_ms;
        Some(())
    }
}

impl Restorer {
    /// Gives back what was held for those that restored nothing.
    pub(super) fn finish(self, head: &mut Head) {
        head.columns.finish_restoring(self.columns);
    }

    fn begin(&mut self, head: &mut Head, reader: &mut Reader<'_>) -> Option<()> {
        self.present.0.clear();
        for _ in 0..reader.count(3)? {
            self.present.0.push(head.columns.restore(reader, &mut self.columns)?);
        }
        self.present.1.clear();
        for _ in 0..reader.count(4)? {
            let range = TimeRange::new(reader.signed()?, reader.signed()?);
            let count = u32::try_from(reader.varint()?).ok()?;
            let len = reader.count(1)?;
            let times = Times { range, count, bytes: reader.take(len)?.into() };
            // Most were named before, by other series of the scrape.
            let times = self.times.get_or_insert(Arc::new(times));
            self.present.1.push(Arc::clone(times));
        }
        Some(())
    }

    /// Reads the labels of all series.
    fn read_labels(
        &mut self,
        reader: &mut Reader<'_>,
        count: usize,
        pairs: &[PairId],
    ) -> Option<()> {
        self.before.clear();
        self.ids.clear();
        self.ends.clear();
        for _ in 0..count {
            let count = reader.count(1)?;
            self.before.resize(count.max(self.before.len()), 0);
            for before in &mut self.before[..count] {
                *before = u32::try_from(i64::from(*before).checked_add(reader.signed()?)?).ok()?;
                self.ids.push(*pairs.get(*before as usize)?);
            }
            self.ends.push(self.ids.len());
        }
        Some(())
    }

    /// Returns the label pairs of a series that was read.
    fn set(&self, number: usize) -> &[PairId] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[start..self.ends[number]]
    }

    fn sets(&self) -> impl Iterator<Item = &[PairId]> {
        (0..self.ends.len()).map(|number| self.set(number))
    }

    /// Returns whether the labels of a series are sorted by name, as they were when saved.
    fn are_sorted(&mut self, number: usize, pairs: &Pairs) -> bool {
        let set = self.set(number);
        let names = set.iter().map(|id| pairs.name_number(*id));
        if names.clone().eq(self.sorted.iter().copied()) {
            return true;
        }
        let are_sorted = set.is_sorted_by(|a, b| pairs.text(*a).0 < pairs.text(*b).0);
        self.sorted = names.collect();
        if !are_sorted {
            self.sorted.clear();
        }
        are_sorted
    }
}

fn get_floats(reader: &mut Reader<'_>) -> Option<Points> {
    let mut points = Points::default();
    for _ in 0..reader.count(10)? {
        let (time_ms, start_ms) = (reader.signed()?, reader.signed()?);
        points.push(time_ms, f64::from_bits(reader.u64()?), start_ms);
    }
    points.times_ms.is_sorted().then_some(points)
}

fn get_histograms(reader: &mut Reader<'_>) -> Option<Vec<HistogramPoint>> {
    let mut points = Vec::new();
    for _ in 0..reader.count(3)? {
        let (time_ms, start_ms) = (reader.signed()?, reader.signed()?);
        points.push(HistogramPoint {
            time_ms,
            start_ms,
            histogram: Arc::new(get_histogram(reader)?),
        });
    }
    points.is_sorted_by_key(|point| point.time_ms).then_some(points)
}

impl Samples {
    fn is_empty(&self) -> bool {
        self.open.count == 0 && self.more.is_none()
    }
}
