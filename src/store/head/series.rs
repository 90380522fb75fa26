use std::collections::VecDeque;
use std::sync::Arc;

use crate::series::{Histogram, HistogramPoint, Labels, Points, TimeRange};
use crate::store::chunk::{self, Chunk};
use crate::store::merge::{merge_into, range_of, union};
use crate::store::types::Exemplar;

/// How many exemplars a series keeps.
pub(in crate::store) const EXEMPLARS_MAX: usize = 64;

/// So many open samples of a kind are compressed at once when one more comes; upkeep compresses
/// fewer, so this is for bursts.
const OPEN_MAX: usize = 240;

/// One series of the head.
pub(in crate::store) struct Series {
    pub(in crate::store) labels: Labels,
    /// Whether the index names it, that is, whether readers see it.
    pub(super) indexed: bool,
    /// Samples that came in time order, sealed; before those in `open`.
    chunks: Vec<Chunk>,
    /// The newest samples that came in time order.
    open: Points,
    /// What only few series have.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Samples that came late, sorted by time; none has the time of an ordered one.
    late: Points,
    /// In time order, at most [`EXEMPLARS_MAX`].
    exemplars: VecDeque<Exemplar>,
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

impl Series {
    pub(super) fn new(labels: Labels) -> Series {
        Series { labels, indexed: false, chunks: Vec::new(), open: Points::default(), rare: None }
    }

    /// Adds a sample that is newer than all of its kind before.
    #[inline]
    pub(in crate::store) fn push_float(&mut self, time_ms: i64, value: f64, start_ms: i64) {
        if self.open.times_ms.len() >= OPEN_MAX {
            self.seal(OPEN_MAX);
        }
        self.open.push(time_ms, value, start_ms);
    }

    pub(in crate::store) fn push_histogram(&mut self, point: HistogramPoint) {
        if self.open.histograms.len() >= OPEN_MAX {
            self.seal(OPEN_MAX);
        }
        self.open.histograms.push(point);
    }

    /// Compresses the open samples when there are at least `count_min` of them.
    pub(in crate::store) fn seal(&mut self, count_min: usize) {
        if self.open.len() >= count_min && !self.open.is_empty() {
            self.chunks.extend(chunk::encode(&self.open));
            self.open = Points::default();
        }
    }

    /// Adds a sample that came late.
    pub(in crate::store) fn insert_late(&mut self, time_ms: i64, sample: Stored, start_ms: i64) {
        let late = &mut self.rare.get_or_insert_default().late;
        let mut one = Points::default();
        match sample {
            Stored::Float(bits) => one.push(time_ms, f64::from_bits(bits), start_ms),
            Stored::Histogram(histogram) => {
                one.histograms.push(HistogramPoint { time_ms, start_ms, histogram });
            }
        }
        merge_into(late, &one);
    }

    /// Returns the sample at a time, late or not.
    pub(in crate::store) fn at(&self, time_ms: i64) -> Option<Stored> {
        let mut found = Points::default();
        self.read(TimeRange::new(time_ms, time_ms), &mut found);
        match (found.values.first(), found.histograms.pop()) {
            (Some(value), _) => Some(Stored::Float(value.to_bits())),
            (None, Some(point)) => Some(Stored::Histogram(point.histogram)),
            (None, None) => None,
        }
    }

    /// Returns first and last time of what is held; `None` without samples.
    pub(in crate::store) fn range(&self) -> Option<TimeRange> {
        // Floats and histograms take turns among the chunks only where a series has both.
        let chunks = self.chunks.iter().map(|chunk| chunk.range);
        let chunks = chunks
            .reduce(|a, b| TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms)));
        let late = self.rare.as_deref().and_then(|rare| range_of(&rare.late));
        union(union(chunks, range_of(&self.open)), late)
    }

    pub(in crate::store) fn sample_count(&self) -> u64 {
        let chunks: u64 = self.chunks.iter().map(|chunk| u64::from(chunk.count)).sum();
        let late = self.rare.as_ref().map_or(0, |rare| rare.late.len());
        chunks + (self.open.len() + late) as u64
    }

    pub(in crate::store) fn chunk_count(&self) -> u64 {
        self.chunks.len() as u64 + u64::from(!self.open.is_empty())
    }

    /// Merges the samples within `range` into `into`; what is there already stays.
    pub(in crate::store) fn read(&self, range: TimeRange, into: &mut Points) {
        let mut part = Points::default();
        let mut whole = Points::default();
        for chunk in self.chunks.iter().filter(|chunk| chunk.range.overlaps(range)) {
            whole.clear();
            chunk::decode(&chunk.bytes, &mut whole).expect("it was decoded when it was sealed");
            copy_range(&whole, range, &mut part);
        }
        copy_range(&self.open, range, &mut part);
        merge_into(into, &part);
        if let Some(rare) = self.rare.as_ref().filter(|rare| !rare.late.is_empty()) {
            part.clear();
            copy_range(&rare.late, range, &mut part);
            merge_into(into, &part);
        }
    }

    /// Returns the times of the late samples before `end_ms`, floats and histograms.
    pub(in crate::store) fn late_before(&self, end_ms: i64) -> [Vec<i64>; 2] {
        let Some(rare) = &self.rare else { return [Vec::new(), Vec::new()] };
        let histograms = rare.late.histograms.iter().map(|point| point.time_ms);
        [
            rare.late.times_ms.iter().copied().filter(|time| *time < end_ms).collect(),
            histograms.filter(|time| *time < end_ms).collect(),
        ]
    }

    /// Drops what a block has: the samples in order before `end_ms`, and of the late ones those
    /// listed. Late ones that came since stay.
    pub(in crate::store) fn truncate(&mut self, end_ms: i64, late: &[Vec<i64>; 2]) {
        let from = TimeRange::new(end_ms, i64::MAX);
        if self.chunks.iter().any(|chunk| chunk.range.start_ms < end_ms) {
            let mut rest = Points::default();
            for chunk in std::mem::take(&mut self.chunks) {
                if chunk.range.start_ms >= end_ms {
                    self.chunks.push(chunk);
                } else if chunk.range.end_ms >= end_ms {
                    let mut whole = Points::default();
                    chunk::decode(&chunk.bytes, &mut whole)
                        .expect("it was decoded when it was sealed");
                    copy_range(&whole, from, &mut rest);
                }
            }
            self.chunks.splice(0..0, chunk::encode(&rest));
        }
        if range_of(&self.open).is_some_and(|open| open.start_ms < end_ms) {
            let mut rest = Points::default();
            copy_range(&self.open, from, &mut rest);
            self.open = rest;
        }
        let Some(rare) = &mut self.rare else { return };
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
        if rare.late.is_empty() && rare.exemplars.is_empty() {
            self.rare = None;
        }
    }

    pub(in crate::store) fn exemplars(&self) -> impl Iterator<Item = &Exemplar> {
        self.rare.iter().flat_map(|rare| rare.exemplars.iter())
    }

    pub(in crate::store) fn push_exemplar(&mut self, exemplar: Exemplar) {
        let exemplars = &mut self.rare.get_or_insert_default().exemplars;
        if exemplars.len() == EXEMPLARS_MAX {
            exemplars.pop_front();
        }
        exemplars.push_back(exemplar);
    }

    pub(in crate::store) fn newest_exemplar(&self) -> Option<&Exemplar> {
        self.rare.as_ref()?.exemplars.back()
    }
}

/// Appends to `into` what lies within `range`.
pub(in crate::store) fn copy_range(from: &Points, range: TimeRange, into: &mut Points) {
    let first = from.times_ms.partition_point(|time| *time < range.start_ms);
    let last = from.times_ms.partition_point(|time| *time <= range.end_ms).max(first);
    if from.starts_ms.is_empty() && into.starts_ms.is_empty() {
        into.times_ms.extend_from_slice(&from.times_ms[first..last]);
        into.values.extend_from_slice(&from.values[first..last]);
    } else {
        for at in first..last {
            let start_ms = from.starts_ms.get(at).copied().unwrap_or(0);
            into.push(from.times_ms[at], from.values[at], start_ms);
        }
    }
    let histograms = from.histograms.iter().skip_while(|point| point.time_ms < range.start_ms);
    into.histograms.extend(histograms.take_while(|point| point.time_ms <= range.end_ms).cloned());
}
