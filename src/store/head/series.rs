use std::collections::VecDeque;
use std::sync::Arc;

use crate::series::{Histogram, HistogramPoint, Labels, Points, TimeRange};
use crate::store::merge::{merge_into, range_of, union};
use crate::store::types::Exemplar;

/// How many exemplars a series keeps.
pub(in crate::store) const EXEMPLARS_MAX: usize = 64;

/// One series of the head.
pub(in crate::store) struct Series {
    pub(in crate::store) labels: Labels,
    /// Whether the index names it, that is, whether readers see it.
    pub(super) indexed: bool,
    /// Samples that came in time order.
    pub(in crate::store) ordered: Points,
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
        Series { labels, indexed: false, ordered: Points::default(), rare: None }
    }

    /// Adds a sample that is newer than all of its kind before.
    #[inline]
    pub(in crate::store) fn push_float(&mut self, time_ms: i64, value: f64, start_ms: i64) {
        self.ordered.push(time_ms, value, start_ms);
    }

    pub(in crate::store) fn push_histogram(&mut self, point: HistogramPoint) {
        self.ordered.histograms.push(point);
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
        let find = |points: &Points| {
            if let Ok(at) = points.times_ms.binary_search(&time_ms) {
                return Some(Stored::Float(points.values[at].to_bits()));
            }
            let histograms = &points.histograms;
            let at = histograms.binary_search_by_key(&time_ms, |point| point.time_ms).ok()?;
            Some(Stored::Histogram(Arc::clone(&histograms[at].histogram)))
        };
        find(&self.ordered).or_else(|| self.rare.as_deref().and_then(|rare| find(&rare.late)))
    }

    /// Returns the newest sample that came in order.
    pub(in crate::store) fn newest(&self) -> Option<(i64, Stored)> {
        let float = self.ordered.times_ms.last().zip(self.ordered.values.last());
        let float = float.map(|(time_ms, value)| (*time_ms, Stored::Float(value.to_bits())));
        let histogram = self.ordered.histograms.last();
        let histogram = histogram.map(|p| (p.time_ms, Stored::Histogram(Arc::clone(&p.histogram))));
        [float, histogram].into_iter().flatten().max_by_key(|(time_ms, _)| *time_ms)
    }

    /// Returns first and last time of what is held; `None` without samples.
    pub(in crate::store) fn range(&self) -> Option<TimeRange> {
        let late = self.rare.as_deref().and_then(|rare| range_of(&rare.late));
        union(range_of(&self.ordered), late)
    }

    pub(in crate::store) fn sample_count(&self) -> u64 {
        let late = self.rare.as_ref().map_or(0, |rare| rare.late.len());
        (self.ordered.len() + late) as u64
    }

    pub(in crate::store) fn chunk_count(&self) -> u64 {
        u64::from(!self.ordered.is_empty())
    }

    /// Merges the samples within `range` into `into`; what is there already stays.
    pub(in crate::store) fn read(&self, range: TimeRange, into: &mut Points) {
        let mut part = Points::default();
        copy_range(&self.ordered, range, &mut part);
        merge_into(into, &part);
        if let Some(rare) = &self.rare {
            part.clear();
            copy_range(&rare.late, range, &mut part);
            merge_into(into, &part);
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
