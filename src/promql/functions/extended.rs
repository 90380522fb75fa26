//! `rate`, `increase` and `delta` of `anchored` and `smoothed` ranges: values at the very ends of
//! the range instead of extrapolation.

use std::sync::Arc;

use super::rate::{Kind, Remarks};
use crate::promql::ast::RangeMode;
use crate::promql::engine::Value;
use crate::promql::eval::{Column, View};
use crate::series::{Histogram, HistogramPoint, ResetHint};

pub(super) fn column(remarks: &Remarks<'_, '_>, kind: Kind) -> Column {
    remarks.ranges.column(|view| {
        if view.is_mixed() {
            remarks.mixed_kinds();
            return None;
        }
        if view.values.is_empty() {
            return histograms(remarks, &view, kind);
        }
        floats(remarks, &view, kind).map(Value::Float)
    })
}

/// Indices of the samples that the ends of the range are taken from.
fn ends(
    view: &View<'_>,
    times: impl Fn(usize) -> i64,
    len: usize,
    smoothed: bool,
) -> Option<(usize, usize)> {
    let mut last = len - 1;
    let first = partition(last, |at| times(at) <= view.start_ms).saturating_sub(1);
    if smoothed {
        last = partition(last, |at| times(at) < view.end_ms);
    }
    let outside = times(last) <= view.start_ms || smoothed && times(first) > view.end_ms;
    (!outside).then_some((first, last))
}

/// Returns the first index below `len` at which the condition no longer holds, or `len`.
fn partition(len: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = usize::midpoint(low, high);
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn floats(remarks: &Remarks<'_, '_>, view: &View<'_>, kind: Kind) -> Option<f64> {
    let smoothed = remarks.ranges.mode == RangeMode::Smoothed;
    let (times, values) = (view.times_ms, view.values);
    let (first, last) = ends(view, |at| times[at], values.len(), smoothed)?;
    let between = |at: usize, time_ms: i64| {
        let (before, after) = (values[at], values[at + 1]);
        let before = if kind.counter && after < before { 0.0 } else { before };
        before + (after - before) * share(times[at], times[at + 1], time_ms)
    };
    let left = if smoothed && times[first] < view.start_ms {
        between(first, view.start_ms)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > view.end_ms {
        between(last - 1, view.end_ms)
    } else {
        values[last]
    };
    let mut grown = right - left;
    if kind.counter {
        let from = first + usize::from(times[first] <= view.start_ms);
        let to = if times[last] >= view.end_ms { last } else { last + 1 };
        let mut before = left;
        for value in values.get(from..to).unwrap_or(&[]).iter().chain([&right]) {
            if *value < before {
                grown += before;
            }
            before = *value;
        }
    }
    Some(if kind.per_second { grown / (remarks.ranges.range_ms as f64 / 1000.0) } else { grown })
}

fn share(from_ms: i64, to_ms: i64, time_ms: i64) -> f64 {
    (time_ms - from_ms) as f64 / (to_ms - from_ms) as f64
}

/// The histogram between two at a time; across a reset of a counter it grows from nothing.
pub(in crate::promql) fn interpolated(
    remarks: &Remarks<'_, '_>,
    before: &HistogramPoint,
    after: &HistogramPoint,
    time_ms: i64,
    counter: bool,
) -> Option<Histogram> {
    if time_ms == before.time_ms {
        return Some((*before.histogram).clone());
    }
    if time_ms == after.time_ms {
        return Some((*after.histogram).clone());
    }
    let share = share(before.time_ms, after.time_ms, time_ms);
    if counter && after.histogram.is_reset_after(&before.histogram) {
        return Some(after.histogram.scaled(share));
    }
    let grown = remarks.minus(&after.histogram, &before.histogram)?;
    remarks.plus(&grown.scaled(share), &before.histogram)
}

fn histograms(remarks: &Remarks<'_, '_>, view: &View<'_>, kind: Kind) -> Option<Value> {
    let smoothed = remarks.ranges.mode == RangeMode::Smoothed;
    let points = view.histograms;
    let (first, last) = ends(view, |at| points[at].time_ms, points.len(), smoothed)?;
    let custom = points[first].histogram.has_custom_bounds();
    for point in &points[first..=last] {
        if point.histogram.has_custom_bounds() != custom {
            remarks.mixed_schemas();
            return None;
        }
        if kind.counter && point.histogram.reset_hint == ResetHint::Gauge {
            remarks.not_counter();
        }
    }
    let starts_before = smoothed && points[first].time_ms < view.start_ms;
    let left = if starts_before {
        interpolated(remarks, &points[first], &points[first + 1], view.start_ms, kind.counter)?
    } else {
        (*points[first].histogram).clone()
    };
    let right = if smoothed && last > 0 && points[last].time_ms > view.end_ms {
        interpolated(remarks, &points[last - 1], &points[last], view.end_ms, kind.counter)?
    } else {
        (*points[last].histogram).clone()
    };
    let gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    if !(kind.counter || gauge(&left) && gauge(&right)) {
        remarks.not_gauge();
    }
    let mut grown = remarks.minus(&right, &left)?;
    if kind.counter {
        let mut from = first + 1;
        let mut before = &left;
        if starts_before && points[first + 1].histogram.is_reset_after(&points[first].histogram) {
            // The left end has been taken from behind that reset.
            before = &points[first + 1].histogram;
            from += 1;
        }
        if from <= last {
            for point in &points[from..last] {
                if point.histogram.is_reset_after(before) {
                    grown = remarks.plus(&grown, before)?;
                }
                before = &point.histogram;
            }
            if right.is_reset_after(before) {
                grown = remarks.plus(&grown, before)?;
            }
        }
    }
    if kind.per_second {
        grown = grown.divided(remarks.ranges.range_ms as f64 / 1000.0);
    }
    grown.reset_hint = ResetHint::Gauge;
    Some(Value::Histogram(Arc::new(grown.compacted())))
}
