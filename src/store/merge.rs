use crate::series::{HistogramPoint, Points, TimeRange};

/// Merges `from` into `into`, both in time order. Of two samples at one time the one in `into`
/// stays: sources are merged in the order in which they were stored.
pub(super) fn merge_into(into: &mut Points, from: &Points) {
    merge_floats(into, from);
    merge_histograms(&mut into.histograms, &from.histograms);
}

fn start_at(points: &Points, at: usize) -> i64 {
    points.starts_ms.get(at).copied().unwrap_or(0)
}

fn merge_floats(into: &mut Points, from: &Points) {
    let Some(first) = from.times_ms.first() else { return };
    if into.times_ms.last().is_none_or(|last| last < first) {
        if from.starts_ms.is_empty() && into.starts_ms.is_empty() {
            into.times_ms.extend_from_slice(&from.times_ms);
            into.values.extend_from_slice(&from.values);
        } else {
            for (at, (time_ms, value)) in from.times_ms.iter().zip(&from.values).enumerate() {
                into.push(*time_ms, *value, start_at(from, at));
            }
        }
        return;
    }
    let mut merged = Points::default();
    let (mut a, mut b) = (0, 0);
    while a < into.times_ms.len() || b < from.times_ms.len() {
        let time_a = into.times_ms.get(a);
        let time_b = from.times_ms.get(b);
        let take_a = match (time_a, time_b) {
            (Some(time_a), Some(time_b)) => time_a <= time_b,
            (first, _) => first.is_some(),
        };
        if take_a {
            if time_a == time_b {
                b += 1;
            }
            merged.push(into.times_ms[a], into.values[a], start_at(into, a));
            a += 1;
        } else {
            merged.push(from.times_ms[b], from.values[b], start_at(from, b));
            b += 1;
        }
    }
    into.times_ms = merged.times_ms;
    into.values = merged.values;
    into.starts_ms = merged.starts_ms;
}

fn merge_histograms(into: &mut Vec<HistogramPoint>, from: &[HistogramPoint]) {
    let Some(first) = from.first() else { return };
    if into.last().is_none_or(|last| last.time_ms < first.time_ms) {
        into.extend_from_slice(from);
        return;
    }
    // A stable sort keeps the one stored first in front of its duplicate.
    into.extend_from_slice(from);
    into.sort_by_key(|point| point.time_ms);
    into.dedup_by_key(|point| point.time_ms);
}

/// Returns the time from the first to the last sample; `None` without samples.
pub(super) fn range_of(points: &Points) -> Option<TimeRange> {
    let floats = points.times_ms.first().zip(points.times_ms.last());
    let floats = floats.map(|(first, last)| TimeRange::new(*first, *last));
    let histograms = points.histograms.first().zip(points.histograms.last());
    let histograms = histograms.map(|(first, last)| TimeRange::new(first.time_ms, last.time_ms));
    union(floats, histograms)
}

/// Returns the range that covers both.
pub(super) fn union(a: Option<TimeRange>, b: Option<TimeRange>) -> Option<TimeRange> {
    match (a, b) {
        (Some(a), Some(b)) => {
            Some(TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms)))
        }
        (one, other) => one.or(other),
    }
}

/// Appends to `into` what lies within `range`.
pub(super) fn copy_range(from: &Points, range: TimeRange, into: &mut Points) {
    let first = from.times_ms.partition_point(|time| *time < range.start_ms);
    let last = from.times_ms.partition_point(|time| *time <= range.end_ms).max(first);
    if from.starts_ms.is_empty() && into.starts_ms.is_empty() {
        into.times_ms.extend_from_slice(&from.times_ms[first..last]);
        into.values.extend_from_slice(&from.values[first..last]);
    } else {
        for at in first..last {
            into.push(from.times_ms[at], from.values[at], start_at(from, at));
        }
    }
    let histograms = from.histograms.iter().skip_while(|point| point.time_ms < range.start_ms);
    into.histograms.extend(histograms.take_while(|point| point.time_ms <= range.end_ms).cloned());
}

/// Merges what `decode` appends, of which no sample is before `first_ms`, as far as it lies within
/// `range`. Where it follows all that is there, as it nearly always does, it is decoded in place.
pub(super) fn append_within(
    into: &mut Points,
    range: TimeRange,
    first_ms: i64,
    decode: impl FnOnce(&mut Points),
) {
    let last_ms = into.times_ms.last().copied();
    let last_ms = last_ms.max(into.histograms.last().map(|point| point.time_ms));
    if last_ms.is_some_and(|last_ms| last_ms >= first_ms) {
        let (mut decoded, mut within) = (Points::default(), Points::default());
        decode(&mut decoded);
        copy_range(&decoded, range, &mut within);
        return merge_into(into, &within);
    }
    let (floats, histograms) = (into.times_ms.len(), into.histograms.len());
    decode(into);
    let times_ms = &into.times_ms[floats..];
    let until = floats + times_ms.partition_point(|time_ms| *time_ms <= range.end_ms);
    let from = floats + times_ms.partition_point(|time_ms| *time_ms < range.start_ms);
    keep(&mut into.times_ms, floats, from, until);
    keep(&mut into.values, floats, from, until);
    if !into.starts_ms.is_empty() {
        keep(&mut into.starts_ms, floats, from, until);
    }
    let points = &into.histograms[histograms..];
    let until = histograms + points.partition_point(|point| point.time_ms <= range.end_ms);
    let from = histograms + points.partition_point(|point| point.time_ms < range.start_ms);
    keep(&mut into.histograms, histograms, from, until);
}

/// Keeps of what begins at `start` only `from` to `until`.
fn keep<T>(items: &mut Vec<T>, start: usize, from: usize, until: usize) {
    items.truncate(until.max(from));
    items.drain(start..from);
}

/// Removes the samples within any of the ranges.
pub(super) fn remove_ranges(points: &mut Points, ranges: &[TimeRange]) {
    let is_gone = |time_ms: i64| ranges.iter().any(|range| range.contains(time_ms));
    let before = std::mem::take(points);
    for (at, (time_ms, value)) in before.times_ms.iter().zip(&before.values).enumerate() {
        if !is_gone(*time_ms) {
            points.push(*time_ms, *value, start_at(&before, at));
        }
    }
    points.histograms.extend(before.histograms.into_iter().filter(|point| !is_gone(point.time_ms)));
}
